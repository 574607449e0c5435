import { type Kysely, sql } from 'kysely'
import t, { type Test } from 'tap'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import type { Tables } from '../../src/db/tables.ts'
import { type App, earlier, personWith, start, unique } from '../support/start.ts'

type Headers = Record<string, string>

/** An app with a settle key, and somebody with 20 credits who has a job of 5 under way in it. */
async function keyedApp(t: Test) {
  const { app, db, admin } = await start(t)
  const operator = await admin()
  const slug = unique('keyed')
  const put = async (more: object) =>
    (await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0, ...more })).json().app
  const { settle_key: key } = await put({ settle_key: 'rotate' })
  const ada = await personWith(app, 20)
  const reserve = (more: object = {}, headers: Headers = {}) =>
    ada.post('/api/jobs', { app: slug, action: 'render', cost_estimate: 5, ...more }, headers)
  const { job_id } = (await reserve()).json()
  return { app, db, operator, slug, put, key: key as string, ada, reserve, job_id, server: (k = key) => server(app, k) }
}

/** A server with a key and no person's token. */
const server =
  (app: App, key: string) =>
  (url: string, payload: object, headers: Headers = {}) =>
    app.inject({ method: 'POST', url, payload, headers: { 'x-app-key': key, ...headers } })

const movedNothing = async (db: Kysely<Tables>, jobId: string) => {
  const job = await db
    .selectFrom('jobs')
    .select(['status', 'expires_at'])
    .where('id', '=', jobId)
    .executeTakeFirstOrThrow()
  return job.status === 'started' && job.expires_at.getTime() - Date.now() > 86_000_000
}

t.test("where an app has a settle key, a person's token settles nothing and keeps no hold short", async (t) => {
  const { db, ada, reserve, job_id } = await keyedApp(t)
  for (const answer of [
    await ada.complete(job_id, 0),
    await ada.fail(job_id),
    await ada.post(`/api/jobs/${job_id}/heartbeat`, { ttl_seconds: 60 }),
    await reserve({ ttl_seconds: 60 }),
  ]) {
    t.match([answer.statusCode, answer.json().error], [403, 'settle_key_required'])
    t.match(answer.json().message, 'settle or extend its jobs, or reserve with ttl_seconds', 'it fits each of them')
  }
  t.ok(await movedNothing(db, job_id))
  t.strictSame(await ada.balance(), { credits: 15, held: 5 })
})

t.test('a server settles, extends and repeats with its key alone, whatever became of the token', async (t) => {
  const { ada, reserve, job_id, server } = await keyedApp(t)
  const app = server()
  const account_id = ada.id
  t.equal((await app(`/api/jobs/${job_id}/heartbeat`, { account_id, ttl_seconds: 90_000 })).statusCode, 200)
  const completed = await app('/api/jobs/complete', { job_id, account_id, actual_cost: 3 })
  t.match([completed.statusCode, completed.json()], [200, { moved: { kind: 'job_refund', amount: 2 }, credits: 17 }])
  const shouted = account_id.toUpperCase()
  t.equal((await app('/api/jobs/complete', { job_id, account_id: shouted, actual_cost: 3 })).statusCode, 200)
  t.equal((await app('/api/jobs/complete', { job_id, account_id, actual_cost: 4 })).statusCode, 409)

  const second = (await reserve()).json()
  t.equal(second.account_id, account_id, 'create answers whose job it is')
  const stale = { authorization: 'Bearer expired.long.ago' }
  const failed = await app('/api/jobs/fail', { job_id: second.job_id, account_id, refund: false }, stale)
  t.match([failed.statusCode, failed.json()], [200, { job: { status: 'failed', actual_cost: 5 } }])
})

t.test('a repeat without the key is refused as well', async (t) => {
  const { ada, job_id, server } = await keyedApp(t)
  await server()('/api/jobs/complete', { job_id, account_id: ada.id, actual_cost: 3 })
  t.equal((await ada.complete(job_id, 3)).statusCode, 403)
  t.equal((await ada.post(`/api/jobs/${job_id}/heartbeat`, {})).statusCode, 403)
})

t.test("a key beside a person's token settles that person's jobs, and allows ttl_seconds", async (t) => {
  const { ada, key, reserve, job_id } = await keyedApp(t)
  const headers = { 'x-app-key': key }
  t.equal((await ada.post('/api/jobs/complete', { job_id, actual_cost: 5 }, headers)).statusCode, 200)
  const short = (await reserve({ ttl_seconds: 60 }, headers)).json()
  t.ok(Date.parse(short.expires_at) - Date.now() < 70_000)
})

t.test('a late completion needs the key too', async (t) => {
  const { app, db, ada, job_id, server } = await keyedApp(t)
  await sql`update jobs set expires_at = now() - interval '1 hour' where id = ${job_id}`.execute(db)
  await sweepHolds(db, app.ledger)
  t.strictSame(await ada.balance(), { credits: 20, held: 0 }, 'the sweeper needs none')
  t.equal((await ada.complete(job_id, 0)).statusCode, 403)
  const late = await server()('/api/jobs/complete', { job_id, account_id: ada.id, actual_cost: 4 })
  t.match([late.statusCode, late.json().moved], [200, { kind: 'job_late_charge', amount: -4 }])
})

t.test("another app's job, somebody else's and an unknown one are not found", async (t) => {
  const { app, db, operator, ada, key, job_id, server } = await keyedApp(t)
  const other = unique('other')
  const body = { starter_credits: 0, settle_key: 'rotate' }
  const { settle_key } = (await operator.put(`/api/admin/apps/${other}`, body)).json().app
  const eve = await personWith(app, 5)
  const plain = (await ada.reserve(5)).json().job_id
  for (const answer of [
    await server(settle_key)('/api/jobs/complete', { job_id, account_id: ada.id, actual_cost: 0 }),
    await server(settle_key)('/api/jobs/fail', { job_id, account_id: ada.id }),
    await server(settle_key)(`/api/jobs/${job_id}/heartbeat`, { account_id: ada.id }),
    await server()('/api/jobs/complete', { job_id: plain, account_id: ada.id, actual_cost: 0 }),
    await server()('/api/jobs/complete', { job_id, account_id: eve.id, actual_cost: 0 }),
    await server()('/api/jobs/complete', { job_id: eve.id, account_id: ada.id, actual_cost: 0 }),
    await eve.post('/api/jobs/complete', { job_id, actual_cost: 0 }, { 'x-app-key': key }),
  ]) {
    t.match([answer.statusCode, answer.json().error], [404, 'job_not_found'])
  }
  const refused = await ada.post('/api/jobs', { app: 'clips', action: 'a', cost_estimate: 1 }, { 'x-app-key': key })
  t.match([refused.statusCode, refused.json().error], [403, 'settle_key_invalid'])
  t.ok(await movedNothing(db, job_id))
})

t.test("a server reads its app's jobs by its key: one, and the list of an account", async (t) => {
  const { app, operator, ada, key, slug, reserve, job_id, server } = await keyedApp(t)
  const elsewhere = (await ada.reserve(5)).json().job_id
  const read = (url: string, headers: Headers = { 'x-app-key': key }) => app.inject({ url, headers })
  const of = `account_id=${ada.id}`
  t.match((await read(`/api/jobs/${job_id}?${of}`)).json(), { job: { id: job_id, app_slug: slug, status: 'started' } })
  const second = (await reserve()).json().job_id
  await server()('/api/jobs/complete', { job_id, account_id: ada.id, actual_cost: 3 })
  const ids = async (query: string, headers?: Headers) =>
    (await read(`/api/jobs?${query}`, headers)).json().jobs.map(({ id }: { id: string }) => id)
  t.strictSame(await ids(of), [second, job_id], 'none of another app')
  const shouted = `account_id=${ada.id.toUpperCase()}`
  t.strictSame(await ids(shouted), [second, job_id])
  t.strictSame((await ids(shouted, { authorization: ada.authorization })).length, 3)
  const twice = await Promise.all([job_id, second].map((id) => read(`/api/jobs/${id}?${shouted}`)))
  t.strictSame(
    twice.map(({ statusCode }) => statusCode),
    [200, 200],
  )
  t.strictSame(await ids(`${of}&status=completed&app=${slug}`), [job_id])
  const page = (await read(`/api/jobs?${of}&limit=1`)).json()
  t.strictSame(await ids(`${of}&limit=1&cursor=${page.next_cursor}`), [job_id])

  const both = { 'x-app-key': key, authorization: ada.authorization }
  t.strictSame(await ids('', both), [second, job_id], "beside a person's token: that person's")
  t.strictSame(await ids('', { authorization: ada.authorization }), [second, elsewhere, job_id])
  t.equal((await read(`/api/jobs/${job_id}`, { authorization: ada.authorization })).statusCode, 200)

  const eve = await personWith(app, 5)
  const other = unique('other')
  const { settle_key } = (await operator.put(`/api/admin/apps/${other}`, { settle_key: 'rotate' })).json().app
  for (const [path, headers] of [
    [`${elsewhere}?${of}`],
    [`${job_id}?account_id=${eve.id}`],
    [`${eve.id}?${of}`],
    [`${job_id}?${of}`, { 'x-app-key': settle_key }],
    [elsewhere, both],
    [`${job_id}?${of}`, { authorization: eve.authorization }],
  ] as [string, Headers?][]) {
    const answer = await read(`/api/jobs/${path}`, headers)
    t.match([answer.statusCode, answer.json().error], [404, 'job_not_found'], path)
  }
  t.strictSame(await ids(of, { 'x-app-key': settle_key }), [])

  const origin = 'http://localhost:3000'
  for (const url of [`/api/jobs/${job_id}?${of}`, `/api/jobs?${of}`]) {
    const error = async (headers: Headers, at = url) => (await read(at, headers)).json().error
    t.equal(await error({ 'x-app-key': key, origin }), 'settle_key_in_browser', url)
    t.equal(await error({ 'x-app-key': `${key}0` }), 'settle_key_invalid')
    t.equal(await error({ 'x-app-key': key }, url.replace(of, '')), 'invalid_request', 'neither account nor token')
    t.equal(await error({}), 'not_signed_in', 'account_id alone opens nothing')
  }
  t.equal((await read(`/api/jobs?${of}&app=${other}`)).json().error, 'settle_key_invalid', "another app's jobs")
  const refused = await read(`/api/jobs?${of}`, { authorization: eve.authorization })
  t.match([refused.statusCode, refused.json().field], [400, 'account_id'], 'a filter that is ignored would lie')
  t.strictSame(await ids(of, { authorization: ada.authorization }), [second, elsewhere, job_id])
})

t.test('a wrong key opens nothing, not even beside a good token', async (t) => {
  const { db, ada, slug, key, job_id, server } = await keyedApp(t)
  const flipped = key.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  for (const wrong of [flipped, '', 'x', `focus_app_${slug}_`, key.replace(slug, 'video'), key.toUpperCase()]) {
    const answers = [
      await server(wrong)('/api/jobs/complete', { job_id, account_id: ada.id, actual_cost: 0 }),
      await ada.post('/api/jobs/fail', { job_id }, { 'x-app-key': wrong }),
      await ada.post(`/api/jobs/${job_id}/heartbeat`, {}, { 'x-app-key': wrong }),
      await ada.post('/api/jobs', { app: 'clips', action: 'a', cost_estimate: 1 }, { 'x-app-key': wrong }),
    ]
    for (const answer of answers) t.match([answer.statusCode, answer.json().error], [403, 'settle_key_invalid'], wrong)
  }
  t.ok(await movedNothing(db, job_id))
  t.strictSame(await ada.balance(), { credits: 15, held: 5 })
})

t.test('a key from a web page is refused, good as it may be', async (t) => {
  const { db, ada, key, job_id, server, reserve } = await keyedApp(t)
  const origin = 'http://localhost:3000'
  for (const answer of [
    await server()('/api/jobs/complete', { job_id, account_id: ada.id, actual_cost: 0 }, { origin }),
    await ada.post('/api/jobs/fail', { job_id }, { 'x-app-key': key, origin }),
    await reserve({}, { 'x-app-key': key, origin }),
  ]) {
    t.match([answer.statusCode, answer.json().error], [403, 'settle_key_in_browser'])
  }
  t.ok(await movedNothing(db, job_id))
})

t.test('a key with neither account_id nor a token says what is missing', async (t) => {
  const { job_id, server } = await keyedApp(t)
  const nobody = await server()('/api/jobs/complete', { job_id, actual_cost: 0 })
  t.match([nobody.statusCode, nobody.json().field], [400, 'account_id'])
  const stale = await server()('/api/jobs/complete', { job_id, actual_cost: 0 }, { authorization: 'Bearer x.y.z' })
  t.equal(stale.statusCode, 401)
  const odd = await server()('/api/jobs/complete', { job_id, account_id: 'ada', actual_cost: 0 })
  t.match([odd.statusCode, odd.json().field], [400, 'account_id'])
})

t.test('without a key, account_id opens nothing', async (t) => {
  const { app, ada, job_id } = await keyedApp(t)
  const eve = await personWith(app, 5)
  const body = { job_id, account_id: ada.id, actual_cost: 0 }
  t.equal((await eve.post('/api/jobs/complete', body)).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: '/api/jobs/complete', payload: body })).statusCode, 401)
})

t.test(
  'after a rotation the key before is good for ten minutes; after a removal none is, and a token suffices',
  async (t) => {
    const { db, ada, slug, put, key, job_id, server } = await keyedApp(t)
    const alive = async (k: string) =>
      (await server(k)(`/api/jobs/${job_id}/heartbeat`, { account_id: ada.id })).statusCode
    const rotated = await put({ settle_key: 'rotate' })
    t.match(rotated, { slug, has_settle_key: true, settle_key: /^focus_app_/ })
    t.strictSame([await alive(key), await alive(rotated.settle_key)], [200, 200])
    const pass = (interval: string) =>
      db
        .updateTable('apps')
        .set({ previous_settle_key_until: earlier('previous_settle_key_until', interval) })
        .where('slug', '=', slug)
        .execute()
    await pass('9 minutes 50 seconds')
    t.equal(await alive(key), 200)
    await pass('10 seconds')
    t.strictSame([await alive(key), await alive(rotated.settle_key)], [403, 200])

    const kept = await put({ name: 'Renamed' })
    t.match(kept, { has_settle_key: true, settle_key: undefined })
    t.equal(await alive(rotated.settle_key), 200)
    const third = await put({ settle_key: 'rotate' })
    t.match(await put({ settle_key: 'remove' }), { has_settle_key: false, settle_key: undefined })
    t.strictSame([await alive(rotated.settle_key), await alive(third.settle_key)], [403, 403])
    t.equal((await ada.complete(job_id, 1)).statusCode, 200)
  },
)

t.test('the key is shown once, stored as a hash, and listed nowhere', async (t) => {
  const { db, operator, slug, put, key } = await keyedApp(t)
  const rotated = await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0, settle_key: 'rotate' })
  t.equal(rotated.headers['cache-control'], 'no-store')
  const stored = await db.selectFrom('apps').selectAll().where('slug', '=', slug).executeTakeFirstOrThrow()
  const listed = await operator.get('/api/admin/apps')
  t.match(
    listed.json().apps.find((app: { slug: string }) => app.slug === slug),
    { has_settle_key: true },
  )
  for (const text of [JSON.stringify(stored), listed.body, JSON.stringify(await put({}))]) {
    t.notMatch(text, rotated.json().app.settle_key)
    t.notMatch(text, key)
    t.notMatch(text, key.slice(-20))
  }
  t.equal((await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0, settle_key: 'new' })).statusCode, 400)
})

t.test('an app without a key behaves as the contract says, with its metadata and its overage', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  t.match((await ada.complete(job_id, 7)).json(), { moved: { kind: 'job_overage', amount: -2 } })
})
