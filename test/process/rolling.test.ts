import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import { verify } from '../../src/ledger/verify.ts'
import { startBalancer } from '../support/balancer.ts'
import { query } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { holdAccounts } from '../support/hold.ts'
import { emptyDatabase, LISTENING, launch, ready, reserveNothing, signIn } from '../support/process.ts'
import { databaseUrl, start, unique } from '../support/start.ts'

// Several starts of the whole service, on a slow machine.
t.setTimeout(240_000)

const PUBLIC_URL = 'http://localhost:3000'
const WORKERS = 6

t.test('a rolling restart under load loses no request and does no job twice', async (t) => {
  const DATABASE_URL = await emptyDatabase(t)
  const ports = [await freePort(), await freePort()] as const
  const begin = (port: number) =>
    launch(t, { DATABASE_URL, PUBLIC_URL, PORT: String(port), DRAIN_SECONDS: '1', LOG_LEVEL: 'warn' })
  let [first, second] = [await begin(ports[0]), await begin(ports[1])]
  await Promise.all(ports.map((port) => ready(`http://localhost:${port}`)))
  const balancer = await startBalancer(t, ports)
  const people = await Promise.all(Array.from({ length: WORKERS }, (_, i) => signIn(balancer.url, `p${i}@example.com`)))

  let stop = false
  const created: string[] = []
  const failures: string[] = []
  const load = Promise.all(
    people.map(async ({ cookie }) => {
      const headers = { cookie, origin: PUBLIC_URL, 'content-type': 'application/json' }
      // As an app does: a request whose answer was lost is sent again, and moves nothing twice.
      const post = async (path: string, body: object) => {
        const init = {
          method: 'POST',
          headers: { ...headers, 'idempotency-key': unique('key') },
          body: JSON.stringify(body),
        }
        let answer = await fetch(balancer.url + path, init)
        if (answer.status === 502) answer = await fetch(balancer.url + path, init)
        const text = await answer.text()
        if (answer.status !== 200) failures.push(`${path} ${answer.status} ${text}`)
        return JSON.parse(text)
      }
      while (!stop && !failures.length) {
        const { job_id } = await post('/api/jobs', { app: 'video', action: 'render', cost_estimate: 0 })
        created.push(job_id)
        await post('/api/jobs/complete', { job_id, actual_cost: 0 })
      }
    }),
  )

  const restart = async (service: typeof first) => {
    const before = created.length
    service.kill('SIGTERM')
    const began = performance.now()
    t.match(await service.closed, { code: 0, signal: null })
    t.ok(performance.now() - began < 10_000, 'within 10 s')
    const next = await begin(service.port)
    await ready(next.url)
    while (!failures.length && created.length === before) await sleep(20)
    return next
  }
  try {
    first = await restart(first)
    second = await restart(second)
  } finally {
    stop = true
    await load
  }
  t.strictSame(failures, [])
  const jobs = await query<{ id: string }>(DATABASE_URL, 'select id from jobs')
  t.strictSame(jobs.map(({ id }) => id).sort(), created.sort(), `each of ${created.length} once`)
  const db = await connect(readConfig({ DATABASE_URL }).database, { lostConnection() {}, lostFolder() {} })
  t.equal((await verify(db)).ok, true)
  await db.destroy()
})

t.test('SIGTERM: not ready at once, and requests are served until the listener closes', async (t) => {
  const url = await databaseUrl()
  const service = await launch(t, { DATABASE_URL: url, PUBLIC_URL, DRAIN_SECONDS: '3' })
  await service.said(LISTENING)
  const { authorization } = await signIn(service.url)
  const get = (path: string) => fetch(service.url + path, { headers: { authorization } })
  const { account } = (await (await get('/api/wallet')).json()) as { account: { id: string } }
  const hold = await holdAccounts(t, url, account.id)
  const running = reserveNothing(service.url, authorization)
  await hold.waiting(1)
  t.equal((await get('/readyz')).headers.get('connection'), 'keep-alive')

  service.kill('SIGTERM')
  let answer = await get('/readyz')
  for (; answer.status === 200; answer = await get('/readyz')) await sleep(10)
  t.match(
    [answer.status, answer.headers.get('retry-after'), await answer.json()],
    [503, '1', { error: 'shutting_down' }],
  )
  const other = await get('/api/jobs')
  t.match([other.status, other.headers.get('connection')], [200, 'close'], 'served, and the connection ends after it')
  await hold.release()
  t.equal((await running).status, 200)
  t.match(await service.closed, { code: 0, signal: null })
})

t.test('not ready while the database lacks a migration of this release; one that is ahead is ready', async (t) => {
  const url = await databaseUrl()
  const { app } = await start(t)
  const {
    rows: [last],
  } = {
    rows: await query<{ name: string; timestamp: string }>(
      url,
      'select name, timestamp from kysely_migration order by name desc limit 1',
    ),
  }
  await query(url, 'delete from kysely_migration where name = $1', [last?.name])
  const lacking = await app.inject('/readyz')
  t.match([lacking.statusCode, lacking.json().error], [503, 'migrations_pending'])
  t.match(lacking.json().message, `The database lacks ${last?.name}: run \`npm run migrate\`.`)
  t.match(lacking.headers['retry-after'], /^\d+$/)
  await query(url, 'insert into kysely_migration (name, timestamp) values ($1, $2)', [last?.name, last?.timestamp])
  t.equal((await app.inject('/readyz')).statusCode, 200)

  await query(url, `insert into kysely_migration (name, timestamp) values ('29991231T000000Z_later', $1)`, [
    last?.timestamp,
  ])
  const { app: fresh } = await start(t)
  t.equal((await fresh.inject('/readyz')).statusCode, 200)
  // As when an upgrade is taken back: the older release starts on what the newer one left.
  const older = await launch(t, { DATABASE_URL: url, PUBLIC_URL })
  await older.said(LISTENING)
  t.equal((await fetch(`${older.url}/readyz`)).status, 200)
})
