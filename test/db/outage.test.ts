import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pipelines } from '../../src/db/pipeline.ts'
import { holdAccounts } from '../support/hold.ts'
import { startProxy } from '../support/proxy.ts'
import { type App, databaseUrl, type Person, personWith, startOwn, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

// These tests mostly wait for time-outs. Each has a service and a network of its own.
t.jobs = 3

const OURS = 'http://localhost:3000'
const POOL_SIZE = 6

/** The service on the other side of a network that can fail, somebody with 100 credits, and a job under way. */
async function setUp(t: Test) {
  const proxy = await startProxy(t, await databaseUrl())
  const { app, db, admin } = await startOwn(t, { DATABASE_URL: proxy.url, DATABASE_POOL_SIZE: String(POOL_SIZE) })
  const ada = await personWith(app, 100)
  const job_id: string = (await ada.reserve(10)).json().job_id
  return { proxy, app, db, ada, admin: await admin(), job_id }
}

/** Connections on which postings wait for locks */
const LANES = 4

/** Everybody reserves 5 credits while their accounts are held: this occupies all connections of the lanes. */
async function reserveHeld(t: Test, app: App) {
  const people = await Promise.all(Array.from({ length: LANES }, () => personWith(app, 100)))
  const hold = await holdAccounts(t, await databaseUrl(), ...people.map(({ id }) => id))
  const wishes = people.map((person) => ({ person, key: unique('key') }))
  const send = () => Promise.all(wishes.map(({ person, key }) => person.reserve(5, { 'idempotency-key': key })))
  const balances = async () =>
    new Set(await Promise.all(people.map(async (person) => JSON.stringify(await person.balance()))))
  return { hold, send, running: send(), pids: await hold.waiting(LANES), balances }
}
const RESERVED = new Set([JSON.stringify({ credits: 95, held: 5 })])

/** One request of every kind that needs the database; with the cookie, signing in needs it too. */
function requests(app: App, ada: Person, admin: Person, job_id: string) {
  const cookie = { cookie: ada.cookie, origin: OURS }
  return {
    wallet: () => ada.get('/api/wallet'),
    'wallet of an app': () => ada.get('/api/wallet?app=video'),
    entries: () => ada.get('/api/wallet/entries'),
    'create job': () => ada.reserve(5, { 'idempotency-key': unique('outage') }),
    complete: () => ada.complete(job_id, 7),
    fail: () => ada.fail(job_id),
    'list jobs': () => ada.get('/api/jobs'),
    'one job': () => ada.get(`/api/jobs/${job_id}`),
    'session cookie': () => app.inject({ url: '/api/wallet', headers: cookie }),
    sessionToken: () => app.inject({ url: '/api/sessionToken', headers: cookie }),
    'sign out': () => app.inject({ method: 'DELETE', url: '/api/session', headers: cookie }),
    'sign in': () => app.inject({ method: 'POST', url: '/signin', payload: { email: 'ada@example.com' } }),
    apps: () => admin.get('/api/admin/apps'),
    'give credits': () =>
      admin.post('/api/admin/credits', {
        clerk_id: ada.clerkId,
        amount: 3,
        kind: 'topup',
        reference: unique('outage'),
        reason: 'test',
      }),
    ready: () => app.inject('/readyz'),
  }
}

/**
 * Sends every kind of request at once; each must be answered 503 with Retry-After, not much later than a timer
 * of so many seconds: a busy machine delays both alike.
 */
async function expectUnavailable(t: Test, kinds: ReturnType<typeof requests>, withinSeconds: number) {
  const began = performance.now()
  const timer = sleep(withinSeconds * 1000).then(() => (performance.now() - began) / 1000)
  await Promise.all(
    Object.entries(kinds).map(async ([kind, send]) => {
      const before = performance.now()
      const reply = await send()
      const took = (performance.now() - before) / 1000
      // After seconds without progress new requests get `overloaded`.
      t.match([reply.statusCode, reply.json().error], [503, /^(database_unavailable|overloaded)$/], kind)
      t.match(reply.headers['retry-after'], /^[1-9]\d*$/, kind)
      t.ok(took < (await timer) + 1.5, `${kind} after ${took.toFixed(2)} s`)
      t.notMatch(reply.body, /ECONN|timeout|postgres|127\.0\.0\.1/i, 'no detail leaves')
    }),
  )
}

/** Repeats the request until it is served; seconds that it took. */
async function untilServed(send: () => Promise<{ statusCode: number }>): Promise<number> {
  const before = performance.now()
  await until(async () => (await send()).statusCode === 200)
  return (performance.now() - before) / 1000
}

t.test(
  'while the database is down requests get 503 immediately, and are served again as soon as it is up',
  async (t) => {
    const { proxy, app, ada, admin, job_id } = await setUp(t)
    const kinds = requests(app, ada, admin, job_id)
    await proxy.refuse()
    await expectUnavailable(t, kinds, 1)
    t.equal((await app.inject('/healthz')).statusCode, 200, 'the process is alive')
    const page = await app.inject({ url: '/account', headers: { cookie: ada.cookie } })
    t.match([page.statusCode, page.headers['retry-after']], [503, /^\d+$/])
    t.match(page.headers['content-type'], /^text\/html/)

    await proxy.pass()
    const took = await untilServed(kinds.wallet)
    t.ok(took < 3, `${took} s`)
    t.strictSame(await ada.balance(), { credits: 90, held: 10 }, 'no credit has moved')
    t.equal((await app.inject('/readyz')).statusCode, 200)
  },
)

t.test('connections that break while idle are replaced without a failed request', async (t) => {
  const { proxy, app, ada } = await setUp(t)
  await Promise.all(Array.from({ length: POOL_SIZE }, () => app.inject('/readyz')))
  proxy.cut()
  const replies = await Promise.all(Array.from({ length: POOL_SIZE }, () => ada.reserve(1)))
  t.strictSame(new Set(replies.map(({ statusCode }) => statusCode)), new Set([200]))
  t.strictSame(await ada.balance(), { credits: 90 - POOL_SIZE, held: 10 + POOL_SIZE })
})

t.test('a server that shuts connections down amid requests moves every credit once', async (t) => {
  const { app } = await setUp(t)
  const { hold, send, running, pids, balances } = await reserveHeld(t, app)
  await hold.terminate(pids)
  await hold.waiting(LANES, pids)
  await hold.release()
  t.strictSame(new Set((await running).map(({ statusCode }) => statusCode)), new Set([200]), 'tried once more')
  t.strictSame(new Set((await send()).map(({ headers }) => headers['idempotency-replayed'])), new Set(['true']))
  t.strictSame(await balances(), RESERVED)
})

t.test('a network that drops every byte is answered 503 after 5 s; afterwards the service recovers', async (t) => {
  const { proxy, app, ada, admin, job_id } = await setUp(t)
  const kinds = requests(app, ada, admin, job_id)
  // Every connection that waits for locks is in the middle of a statement when the silence begins.
  const { hold, send, running, balances } = await reserveHeld(t, app)
  const began = performance.now()
  const connections = proxy.connections()
  t.ok(connections > LANES)
  proxy.silence()
  await hold.release()

  // These queue behind them; the later ones find a pool that is known to be dead.
  await Promise.all([
    expectUnavailable(t, kinds, 5),
    sleep(2_000).then(() => expectUnavailable(t, kinds, 5)),
    sleep(4_500).then(() => expectUnavailable(t, kinds, 5)),
    running.then((replies) => {
      t.strictSame(new Set(replies.map(({ statusCode }) => statusCode)), new Set([503]))
      const took = (performance.now() - began) / 1000
      t.ok(took < 8, `those amid a statement after ${took} s`)
    }),
  ])
  await expectUnavailable(t, kinds, 5)
  t.equal((await app.inject('/healthz')).statusCode, 200)

  // Somebody keeps asking while it comes back.
  const impatient = Array.from({ length: 2 * POOL_SIZE }, () => kinds.wallet())
  await proxy.pass()
  const took = await untilServed(kinds.wallet)
  t.ok(took < 3, `served again after ${took} s`)
  await Promise.all(impatient)
  t.ok(proxy.connections() <= connections, 'the dead connections are not kept beside the new ones')

  // What the server did in the silence is found by key, not done again.
  const again = await send()
  t.strictSame(new Set(again.map(({ statusCode }) => statusCode)), new Set([200]))
  t.strictSame(await balances(), RESERVED)
})

t.test('after a silence of the network, the poster opens its idle connections anew', async (t) => {
  const proxy = await startProxy(t, await databaseUrl())
  const { config } = await startOwn(t, { DATABASE_URL: proxy.url })
  const { use, close } = pipelines(config.database, 3, 1_000)
  t.teardown(close)
  const ask = () => use((session) => session.send([{ text: 'select 1' }]))
  const thrice = () => Promise.all([ask(), ask(), ask()])
  await thrice()
  proxy.silence()
  await t.rejects(ask(), /database unavailable/)
  await proxy.pass()
  await thrice()
})

t.test('a request that waits for a connection of a dead pool gets one of the new pool without a timeout', async (t) => {
  const { proxy, app, ada } = await setUp(t)
  // Each caller has few lists read at a time, so these are as many callers.
  const people = [ada, ...(await Promise.all(Array.from({ length: POOL_SIZE - 1 }, () => personWith(app, 1))))]
  // Every connection of the pool is in the middle of a statement.
  const hold = await holdAccounts(t, await databaseUrl())
  await hold.lockTable('tokens')
  const running = Promise.all(people.map((one) => one.get('/api/tokens')))
  await hold.waiting(POOL_SIZE)
  proxy.silence()
  await hold.release()
  // The network is back at once, but not for the connections that it had dropped.
  await proxy.pass()
  // 2.5 s of the 5 s limit have passed.
  await sleep(2_500)
  const patient = await Promise.all(people.map((one) => one.get('/api/tokens')))
  t.strictSame(new Set(patient.map(({ statusCode }) => statusCode)), new Set([200]))
  t.strictSame(new Set((await running).map(({ statusCode }) => statusCode)), new Set([503]))
})
