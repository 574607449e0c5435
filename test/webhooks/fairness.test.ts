import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startBackground } from '../../src/background/index.ts'
import { createDispatcher } from '../../src/webhooks/dispatcher.ts'
import { deliverDue, hooked, receiver, status } from '../support/receiver.ts'
import { startOwn, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

const HANGING = 10
const WAITING = 1_000

t.test('ten endpoints that hang do not delay another, with two replicas', async (t) => {
  const [one, two] = await Promise.all([startOwn(t), startOwn(t)])
  const operator = await one.admin()
  const ada = await one.person()

  let mostAtOnce = 0
  const hang = async () => {
    let open = 0
    const { url } = await receiver(t, (response) => {
      mostAtOnce = Math.max(mostAtOnce, ++open)
      response.on('close', () => open--)
    })
    return url
  }
  const register = async (url: string) => {
    const slug = unique('hooked')
    await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0 })
    const made = await operator.post(`/api/admin/apps/${slug}/webhooks`, { url, events: ['job.completed'] })
    return { slug, id: made.json().endpoint.id as string }
  }
  for (let i = 0; i < HANGING; i++) {
    const { id } = await register(await hang())
    await sql`insert into webhook_messages (account_id, endpoint_id, event, payload)
      select ${ada.id}, ${id}, 'job.completed', '{"type":"job.completed"}' from generate_series(1, ${WAITING}::int)`.execute(
      one.db,
    )
  }
  const arrivals = new Map<string, number>()
  const healthy = await receiver(t, (response, { body, at }) => {
    arrivals.set(JSON.parse(body).data.job.id, at)
    response.writeHead(204).end()
  })
  const { slug } = await register(healthy.url)

  for (const { app } of [one, two]) t.teardown(startBackground(app))
  await until(() => mostAtOnce === 2)

  const ended = new Map<string, number>()
  const headers = { authorization: ada.authorization }
  for (let i = 0; i < 20; i++) {
    const { app } = i % 2 ? one : two
    const post = (url: string, payload: object) => app.inject({ method: 'POST', url, headers, payload })
    const { job_id } = (await post('/api/jobs', { app: slug, action: 'render', cost_estimate: 0 })).json()
    await post('/api/jobs/complete', { job_id, actual_cost: 0 })
    ended.set(job_id, performance.now())
    await sleep(100)
  }
  await until(() => arrivals.size === ended.size)
  const delays = [...ended].map(([id, at]) => (arrivals.get(id) ?? Number.POSITIVE_INFINITY) - at)
  const slowest = Math.max(...delays)
  t.ok(slowest < 2_000, `the slowest of ${delays.length} took ${Math.round(slowest)} ms`)
  t.equal(mostAtOnce, 2, 'deliveries in flight to one endpoint')
})

t.test('an endpoint that fails for an hour costs less than an attempt a minute', async (t) => {
  const { db, endpoint, ada, received, operator, path } = await hooked(
    t,
    status(() => 500),
  )
  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload)
    select ${ada.id}, ${endpoint.id}, 'job.completed', '{}' from generate_series(1, 1000)`.execute(db)
  const rests: number[] = []
  for (let seconds = 0; seconds < 3_600; ) {
    await deliverDue(db)
    const { retry_at } = (await operator.get(path)).json().endpoint
    const rest = (Date.parse(retry_at) - Date.now()) / 1000
    t.ok(rest > 0, 'it is not tried for a while')
    const count = received.length
    await deliverDue(db)
    t.equal(received.length, count)
    await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint.id}`.execute(db)
    await sql`update webhook_messages set next_attempt_at = now() where endpoint_id = ${endpoint.id}`.execute(db)
    rests.push(Math.round(rest))
    seconds += rest
  }
  t.ok(received.length < 60, `${received.length} attempts`)
  t.ok(
    rests.every((rest, i) => rest >= (rests[i - 1] ?? 0) - 1),
    `farther and farther apart: ${rests}`,
  )
  t.ok(Math.max(...rests) <= 900)
})

t.test('while an endpoint fails, one delivery is in flight', async (t) => {
  let [open, mostAtOnce, code] = [0, 0, 500]
  const { db, endpoint, endJobs, received } = await hooked(t, async (response) => {
    mostAtOnce = Math.max(mostAtOnce, ++open)
    await sleep(30)
    open--
    response.writeHead(code).end()
  })
  const again = async () => {
    await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint.id}`.execute(db)
    await sql`update webhook_messages set next_attempt_at = now() where endpoint_id = ${endpoint.id}`.execute(db)
    await deliverDue(db)
  }
  await endJobs(6)
  await again()
  t.equal(mostAtOnce, 2, 'it was not known')
  mostAtOnce = 0
  const before = received.length
  await again()
  t.match([mostAtOnce, received.length - before], [1, 1])
  code = 204
  await again()
  t.equal(mostAtOnce, 1, 'the first success ends it')
  t.equal(received.length - before, 1 + 6, 'and the others follow at once')
})

t.test('a message that always fails does not delay the others', async (t) => {
  let poison = ''
  const { endJobs, db, received, messages } = await hooked(t, (response, { headers }) => {
    poison ||= String(headers['webhook-id'])
    response.writeHead(headers['webhook-id'] === poison ? 500 : 204).end()
  })
  await endJobs(10)
  await deliverDue(db)
  t.equal(received.length, 10)
  t.match(await messages(), [{ id: poison, attempts: 1 }])
})

t.test('of many replicas one delivers to an endpoint', async (t) => {
  let [open, mostAtOnce] = [0, 0]
  const { endJobs, db, received, messages } = await hooked(t, async (response) => {
    mostAtOnce = Math.max(mostAtOnce, ++open)
    await sleep(5)
    open--
    response.writeHead(204).end()
  })
  await endJobs(40)
  const dispatchers = Array.from({ length: 5 }, () => createDispatcher({ db, publicOnly: false }))
  await until(async () => {
    await Promise.all(dispatchers.map(({ look }) => look()))
    await Promise.all(dispatchers.map(({ idle }) => idle()))
    return (await messages()).length === 0
  })
  t.equal(received.length, 40, 'each message once')
  t.equal(mostAtOnce, 2)
})

t.test('after a replica dies, its endpoint is delivered to when the lease expires', async (t) => {
  const { db, endpoint, endJobs, received } = await hooked(t)
  await endJobs(1)
  await sql`insert into webhook_delivery_state (endpoint_id, leased_by, leased_until)
    values (${endpoint.id}, gen_random_uuid(), now() + interval '30 seconds')`.execute(db)
  await deliverDue(db)
  t.equal(received.length, 0)
  await sql`update webhook_delivery_state set leased_until = now() where endpoint_id = ${endpoint.id}`.execute(db)
  await deliverDue(db)
  t.equal(received.length, 1)
})
