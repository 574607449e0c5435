import t, { type Test } from 'tap'
import { type Person, personWith, start, startOwn, unique } from '../support/start.ts'

/** An app that caps what its jobs may cost beyond their estimates, and somebody with 100 credits. */
async function capped(t: Test, max_overage: object | null, more: object = {}) {
  const service = await start(t)
  const operator = await service.admin()
  const slug = unique('capped')
  const set = async (body: object) => (await operator.put(`/api/admin/apps/${slug}`, body)).json().app
  await set({ max_overage, ...more })
  const ada = await personWith(service.app, 100)
  const reserve = async (cost_estimate: number): Promise<string> =>
    (await ada.post('/api/jobs', { app: slug, action: 'render', cost_estimate })).json().job_id
  return { ...service, ada, operator, reserve, set, slug }
}
const jobOf = async (ada: Person, id: string) => (await ada.get(`/api/jobs/${id}`)).json().job

t.test('completing beyond the cap charges up to it and says so', async (t) => {
  const { ada, reserve } = await capped(t, { credits: 20 })
  const job = await reserve(5)
  const reply = (await ada.complete(job, 5_000_000)).json()
  t.match(reply, {
    job: { status: 'completed', actual_cost: 25, requested_cost: 5_000_000 },
    moved: { kind: 'job_overage', amount: -20 },
    overage_capped: true,
    credits: 75,
  })
  for (const cost of [25, 4_999_999])
    t.equal((await ada.complete(job, cost)).statusCode, 409, `${cost} is another cost`)
  t.match((await ada.complete(job, 5_000_000)).json(), { overage_capped: true, credits: 75 }, 'a repeat says the same')
  const within = (await ada.complete(await reserve(5), 25)).json()
  t.match(within, { job: { actual_cost: 25, requested_cost: 25 } })
  t.notOk('overage_capped' in within)
  t.match(await jobOf(ada, await reserve(1)), { actual_cost: 0, requested_cost: 0 })
})

t.test('a cap may be a multiple of the estimate', async (t) => {
  const { ada, reserve, set } = await capped(t, { percent: 150 })
  t.match((await ada.complete(await reserve(5), 99)).json(), { job: { actual_cost: 12, requested_cost: 99 } })
  t.match((await ada.complete(await reserve(0), 99)).json(), {
    job: { actual_cost: 0, requested_cost: 99 },
    moved: null,
  })
  await set({ max_overage: { percent: 0 } })
  t.match((await ada.complete(await reserve(5), 6)).json(), { job: { actual_cost: 5 }, overage_capped: true })
  await set({ max_overage: { percent: 29 } })
  t.match((await ada.complete(await reserve(20), 99)).json(), { job: { actual_cost: 25 } })
})

t.test('without a cap the whole overage is charged; other settings leave it', async (t) => {
  const { ada, operator, reserve, set, slug } = await capped(t, null)
  t.match((await ada.complete(await reserve(5), 30)).json(), { job: { actual_cost: 30 }, credits: 70 })
  t.match(await set({ max_overage: { credits: 3 } }), { max_overage: { credits: 3 } })
  t.match(await set({ name: 'Capped' }), { max_overage: { credits: 3 } })
  t.match(await set({ max_overage: { percent: 200 } }), { max_overage: { percent: 200 } })
  t.notOk('credits' in (await set({})).max_overage)
  t.equal((await set({ max_overage: null })).max_overage, null)
  t.match((await ada.complete(await reserve(5), 30)).json(), { job: { actual_cost: 30 } })
  for (const wrong of [
    ...[{}, { credits: 1, percent: 1 }, { credits: -1 }, { credits: 1.5 }, 5, []],
    ...[{ percent: -1 }, { percent: 1.5 }, { percent: 100_001 }],
  ]) {
    const reply = await operator.put(`/api/admin/apps/${slug}`, { max_overage: wrong })
    t.match([reply.statusCode, reply.json().field], [400, /^max_overage/], JSON.stringify(wrong))
  }
})

t.test('the cap is looked at once: a repeat after it changed answers the same', async (t) => {
  const { ada, reserve, set } = await capped(t, { credits: 2 })
  const job = await reserve(5)
  await ada.complete(job, 50)
  await set({ max_overage: null })
  t.match((await ada.complete(job, 50)).json(), { job: { actual_cost: 7, requested_cost: 50 }, overage_capped: true })
  t.equal((await ada.complete(job, 7)).statusCode, 409)
})

t.test('an operator sees it', async (t) => {
  const lines: string[] = []
  const { app, admin } = await startOwn(t, { METRICS_PORT: '9464', LOG_LEVEL: 'info' }, (line) => lines.push(line))
  const slug = unique('seen')
  await (await admin()).put(`/api/admin/apps/${slug}`, { max_overage: { credits: 1 } })
  const ada = await personWith(app, 20)
  const { job_id } = (await ada.post('/api/jobs', { app: slug, action: 'a', cost_estimate: 1 })).json()
  await ada.complete(job_id, 500)
  await ada.complete(job_id, 500)
  const warned = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40)
  t.match(warned, [{ job_id, app_slug: slug, requested_cost: 500, actual_cost: 2, msg: /max_overage/ }])
  t.equal(warned.length, 1, 'once')
  const { text } = (await app.metrics.read?.()) ?? { text: '' }
  t.match(text, new RegExp(`^focus_overages_capped_total\\{app="${slug}"\\} 1$`, 'm'))
})
