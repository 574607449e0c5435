import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { closeAccount } from '../../src/accounts/close.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { GAUGES } from '../../src/observe/database-gauges.ts'
import { listenForMetrics } from '../../src/observe/metrics-listener.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { freePort } from '../support/free-port.ts'
import { planWithoutScans } from '../support/plan.ts'
import { LISTENING, launch } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'
import { databaseUrl, personWith, startOwn, unique } from '../support/start.ts'

// Several starts of the whole service, on a slow machine.
t.setTimeout(240_000)

/** A service that counts, and its metrics by name and labels, as `focus_x{a="b"}`. */
async function counting(t: Test, env: Record<string, string> = {}) {
  const service = await startOwn(t, { METRICS_PORT: '9464', ...env })
  // The port of the configuration is the process's; here any will do.
  const port = await listenForMetrics(service.app, 0)
  const scrape = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    t.match([answer.status, answer.headers.get('content-type')], [200, /^text\/plain; version=0\.0\.4/])
    const lines = (await answer.text()).split('\n').filter((line) => line && !line.startsWith('#'))
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
    )
  }
  return { ...service, port, scrape }
}

t.test('requests, ledger operations, the pool and the process are counted', async (t) => {
  const { app, scrape, port } = await counting(t)
  const ada = await personWith(app, 10)
  const headers = { 'idempotency-key': 'once' }
  const { job_id } = (await ada.reserve(5, headers)).json()
  await ada.reserve(5, headers)
  await ada.reserve(50)
  await ada.complete(job_id, 3)
  await ada.complete(job_id, 4)
  await ada.post('/api/jobs', { app: 'NO' })
  await app.inject('/nowhere/at/all?token=hidden')
  const metrics = await scrape()
  const operation = (name: string, outcome: string) =>
    metrics[`focus_ledger_operations_total{operation="${name}",outcome="${outcome}"}`]
  t.equal(operation('reserve', 'ok'), 1)
  t.equal(operation('reserve', 'replayed'), 1)
  t.equal(operation('reserve', 'insufficient_credits'), 1)
  t.equal(operation('reserve', 'invalid_request'), undefined, 'that never reached the ledger')
  t.equal(operation('complete', 'ok'), 1)
  t.equal(operation('complete', 'job_already_ended'), 1)
  t.equal(operation('adjust', 'ok'), 1)
  const requests = (method: string, route: string, status: number) =>
    metrics[`focus_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`]
  t.equal(requests('POST', '/api/jobs', 200), 2)
  t.equal(requests('POST', '/api/jobs', 402), 1)
  t.equal(requests('GET', 'none', 404), 1, 'paths that nobody knows are one')
  t.ok(
    Object.keys(metrics).some((name) => /^focus_http_request_duration_seconds_bucket\{le="0\.25",.*wallet/.test(name)),
  )
  t.ok(
    (metrics['focus_database_connections{state="idle"}'] ?? 0) +
      (metrics['focus_database_connections{state="in_use"}'] ?? 0) >
      0,
  )
  t.equal(metrics['focus_queue_length{queue="database"}'], 0)
  t.equal(metrics.focus_overloaded, 0)
  t.ok((metrics.process_resident_memory_bytes ?? 0) > 1e7)
  t.ok('nodejs_eventloop_lag_seconds' in metrics)

  const before = metrics.focus_ledger_batch_size_sum ?? 0
  await Promise.all(Array.from({ length: 20 }, () => ada.reserve(1)))
  const after = await scrape()
  t.equal((after.focus_ledger_batch_size_sum ?? 0) - before, 20)
  t.equal(after['focus_queue_length{queue="ledger"}'], 0)

  for (const path of ['/', '/metrics/x', '/api/wallet']) {
    t.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 404, path)
  }
  t.equal((await app.inject('/metrics')).statusCode, 404, 'nothing of it is public')
})

t.test('holds and debts are read from the database', async (t) => {
  const { app, admin, scrape } = await counting(t)
  const operator = await admin()
  const before = await scrape()
  const ada = await personWith(app, 10)
  const began = performance.now()
  await ada.reserve(2)
  const { job_id } = (await ada.reserve(2)).json()
  await ada.complete(job_id, 50)
  const metrics = await scrape()
  const grown = (name: string) => Number(metrics[name]) - Number(before[name])
  t.equal(grown('focus_open_holds'), 1)
  t.equal(grown('focus_negative_accounts'), 1)
  const age = metrics.focus_oldest_hold_age_seconds ?? -1
  t.ok(age >= 0 && age <= (performance.now() - began) / 1000 + 60, `a hold of ${age} s`)
  t.equal(metrics.focus_database_up, 1)

  const paid = { clerk_id: ada.clerkId, amount: 60, kind: 'topup', reference: unique('paid'), reason: 'a test' }
  t.equal((await operator.post('/api/admin/credits', paid)).statusCode, 200)
  t.equal((await scrape()).focus_negative_accounts, before.focus_negative_accounts, 'whoever has paid is none of them')
})

t.test('the gauges show holds that are never released, but not closed accounts or long heartbeats', async (t) => {
  const { app, db, scrape } = await counting(t)
  const before = await scrape()
  t.equal(before.focus_overdue_hold_seconds, 0)
  const [ada, bob] = [await personWith(app, 10), await personWith(app, 10)]
  const { job_id } = (await ada.reserve(2)).json()
  await sql`update jobs set created_at = now() - interval '30 days' where id = ${job_id}`.execute(db)
  await ada.post(`/api/jobs/${job_id}/heartbeat`, {})
  await bob.reserve(1)
  await bob.complete((await bob.reserve(1)).json().job_id, 50)
  t.equal((await scrape()).focus_negative_accounts, Number(before.focus_negative_accounts) + 1)
  await closeAccount(db, app.ledger, bob.id, bob.clerkId)
  const healthy = await scrape()
  t.equal(healthy.focus_open_holds, Number(before.focus_open_holds) + 1)
  t.equal(healthy.focus_negative_accounts, before.focus_negative_accounts, 'nobody collects what a closed account owes')
  t.equal(healthy.focus_overdue_hold_seconds, 0)
  await sql`update jobs set expires_at = now() - interval '20 minutes' where id = ${job_id}`.execute(db)
  const overdue = Number((await scrape()).focus_overdue_hold_seconds)
  t.ok(overdue >= 1_199 && overdue < 1_300, `${overdue} s`)
  await sweepHolds(db, app.ledger)
  t.equal((await scrape()).focus_overdue_hold_seconds, 0)
})

t.test('the gauges of the database read indexes, not tables', async (t) => {
  const { db } = await startOwn(t)
  for (const { sql: text } of GAUGES) {
    const lines = await planWithoutScans(db, text)
    // Endpoints are few, and their table is read whole.
    t.notMatch(lines, /Seq Scan on (?!webhook_endpoints)/, lines)
  }
})

t.test('a database that does not answer does not block a scrape', async (t) => {
  const proxy = await startProxy(t, await databaseUrl())
  const { scrape } = await counting(t, { DATABASE_URL: proxy.url })
  t.equal((await scrape()).focus_database_up, 1)
  proxy.silence()
  const began = performance.now()
  const metrics = await scrape()
  const took = performance.now() - began
  t.ok(took < 4_000, `${took} ms`)
  t.equal(metrics.focus_database_up, 0)
  t.notOk('focus_open_holds' in metrics, 'what is not known is not said')
  t.ok('focus_database_connections{state="in_use"}' in metrics)
  await proxy.pass()
})

t.test("Clerk's latency and its breaker are measured", async (t) => {
  const clerk = await startClerk(t)
  const { app, scrape } = await counting(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const somebody = clerk.signIn()
  const mint = async () => {
    const authorization = `Bearer ${await clerk.token({ ...somebody })}`
    return app.inject({ url: '/api/oauthToken/google', headers: { authorization } })
  }
  const calls = 'focus_clerk_request_duration_seconds_count'
  await mint()
  t.match(await scrape(), { [`${calls}{outcome="answered"}`]: 1, focus_clerk_breaker_open: 0 })
  clerk.fail(/oauth_access_tokens/, { instead: 'cut' })
  for (let i = 0; i < 3; i++) t.equal((await mint()).statusCode, 503)
  const metrics = await scrape()
  t.ok(Number(metrics[`${calls}{outcome="failed"}`]) >= 5)
  t.equal(metrics.focus_clerk_breaker_open, 1)
})

t.test(
  'without METRICS_PORT nothing is counted and no port is opened; with it, GET /metrics is answered there',
  async (t) => {
    const { app } = await startOwn(t)
    t.equal(app.metrics.read, undefined)
    const METRICS_PORT = String(await freePort())
    const service = await launch(t, { DATABASE_URL: await databaseUrl(), METRICS_PORT })
    await service.said(LISTENING)
    t.match(await (await fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`)).text(), /^focus_database_up 1$/m)
    service.kill('SIGTERM')
    t.match(await service.closed, { code: 0, signal: null })
  },
)

t.test('a metrics port in use ends the start with a message', async (t) => {
  const neighbour = createServer().listen(0, '127.0.0.1')
  await once(neighbour, 'listening')
  t.teardown(() => neighbour.close())
  const { port } = neighbour.address() as AddressInfo
  const service = await launch(t, { DATABASE_URL: await databaseUrl(), METRICS_PORT: String(port) })
  const { code, output } = await service.closed
  t.match([code, output], [1, new RegExp(`Port ${port} .* is in use\\. .*METRICS_PORT`)])
})
