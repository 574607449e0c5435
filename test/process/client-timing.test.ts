import t, { type Test } from 'tap'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { clientIn, errorOf, FakeProcess, ready, type World } from '../support/client.ts'
import type { Fate } from '../support/network.ts'
import { earlier } from '../support/start.ts'
import { until } from '../support/until.ts'

const SPEED = 30
const YEAR_MS = 366 * 86_400_000
/** A hold lives for two seconds here. */
const render = { app: 'clips', action: 'render', estimate: 5, ttlSeconds: 60 }

async function fast(t: Test, world: World = {}, options: object = {}) {
  const there = await ready(t)
  const client = await clientIn({ speed: SPEED, ...world })
  // Whatever the machine is doing, an answer comes within four real seconds.
  const given = { url: there.network.url, token: there.person.token, timeout: 120_000, retryFor: 120_000, ...options }
  return { ...there, client, focus: client.createFocus(given) }
}

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason))
  })

t.test('heartbeats keep a hold, at a third of its life, whatever the clock says', async (t) => {
  await Promise.all([0, -YEAR_MS, YEAR_MS].map((clockOff) => keepsItsHold(t, clockOff)))
})

async function keepsItsHold(t: Test, clockOff: number): Promise<void> {
  const { focus, network, service } = await fast(t, { clockOff })
  const times: number[] = []
  network.fate = ({ path }) => {
    if (path.endsWith('/heartbeat')) times.push(performance.now() * SPEED)
    return 'pass'
  }
  const from = performance.now() * SPEED
  await focus.withHold(render, async (held) => {
    const stored = () =>
      service.db.selectFrom('jobs').select('expires_at').where('id', '=', held.id).executeTakeFirstOrThrow()
    const before = await stored()
    await until(() => times.length >= 4)
    t.ok((await stored()).expires_at > before.expires_at)
    t.notOk(held.signal.aborted)
  })
  for (const [n, time] of times.entries()) t.ok(time - from >= (n + 1) * 19_000, `heartbeat ${n + 1}`)
  const sent = times.length
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  t.equal(times.length, sent, 'none after the end')
}

t.test('a heartbeat whose answer is lost is sent again, and the hold is kept', async (t) => {
  const { focus, network, person } = await fast(t)
  const fates: Fate[] = ['before', 'after', 'amid', { status: 502 }, 'pass', 'before', 'pass']
  network.fate = ({ path }) => (path.endsWith('/heartbeat') ? (fates.shift() ?? 'pass') : 'pass')
  await focus.withHold(render, async (held) => {
    await until(() => fates.length === 0)
    t.notOk(held.signal.aborted)
    held.cost(1)
  })
  t.same(await person.balance(), { credits: 99, held: 0 })
})

t.test('a job that somebody else has ended is told by the signal, and is not charged again', async (t) => {
  const { client, focus, person } = await fast(t)
  const error = await errorOf(
    focus.withHold(render, async (held) => {
      const lost = aborted(held.signal)
      await person.fail(held.id)
      const reason = await lost
      t.ok(reason instanceof client.HoldLost)
      t.match(reason, { code: 'hold_lost', details: { status: 'failed' } })
      held.cost(4)
      return 'unpaid'
    }),
  )
  t.ok(error instanceof client.JobAlreadyEnded)
  t.same(await person.balance(), { credits: 100, held: 0 })
})

t.test('a hold is lost when no heartbeat gets through; what the work costs is charged late', async (t) => {
  const { client, focus, network, person, service, job } = await fast(t)
  let id = ''
  network.fate = ({ path }) => (path.endsWith('/heartbeat') ? 'silent' : 'pass')
  const value = await focus.withHold(render, async (held) => {
    id = held.id
    t.ok((await aborted(held.signal)) instanceof client.HoldLost)
    await service.db
      .updateTable('jobs')
      .set({ expires_at: earlier('expires_at', '2 hours') })
      .where('id', '=', id)
      .execute()
    await sweepHolds(service.db, service.app.ledger)
    held.cost(2)
    return 'late'
  })
  t.equal(value, 'late')
  t.match(await job(id), { status: 'completed', actual_cost: 2, failure_reason: 'expired' })
  t.same(await person.balance(), { credits: 98, held: 0 })
})

t.test("the caller's signal ends the work, and the job is settled all the same", async (t) => {
  const { focus, network, person } = await fast(t)
  const stopped = new Error('the page was left')
  const already = AbortSignal.abort(stopped)
  t.equal(await errorOf(focus.withHold({ ...render, signal: already }, () => t.fail('it runs'))), stopped)
  t.equal(network.requests.length, 0)

  const controller = new AbortController()
  network.fate = ({ path }) => {
    if (path === '/api/jobs') controller.abort(stopped)
    return 'pass'
  }
  const early = focus.withHold({ ...render, signal: controller.signal }, () => t.fail('it runs'))
  t.equal(await errorOf(early), stopped)
  t.same(await person.balance(), { credits: 100, held: 0 }, 'aborted while it reserves: released')

  network.fate = () => 'pass'
  const later = new AbortController()
  const run = focus.withHold({ ...render, signal: later.signal }, async (held) => {
    held.cost(1)
    later.abort(stopped)
    held.signal.throwIfAborted()
  })
  t.equal(await errorOf(run), stopped)
  t.same(await person.balance(), { credits: 99, held: 0 })
})

t.test('SIGTERM settles what is under way, then ends the process', async (t) => {
  const process = new FakeProcess()
  const { client, focus, network, person } = await fast(t, { process, speed: 1 })
  t.equal(process.listenerCount('SIGTERM'), 0)
  let working = 0
  const never = () => {
    working++
    return new Promise<never>(() => {})
  }
  const obeys = errorOf(
    focus.withHold(render, async (held) => {
      working++
      held.cost(1)
      await aborted(held.signal)
      held.cost(2)
      throw new Error('stopped')
    }),
  )
  const hangs = errorOf(focus.withHold(render, never))
  const hangsPaid = errorOf(
    focus.withHold(render, (held) => {
      held.cost(3)
      return never()
    }),
  )
  const other = client.createFocus({ url: network.url, token: person.token })
  const elsewhere = errorOf(other.withHold(render, never))
  await until(() => working === 4)
  t.equal((await person.balance()).held, 20)
  t.equal(process.listenerCount('SIGTERM'), 1, 'one listener for all clients')
  process.emit('SIGTERM')
  t.equal((await obeys).message, 'stopped')
  for (const run of [hangs, hangsPaid, elsewhere]) t.equal((await run).code, 'closed')
  t.same(await person.balance(), { credits: 95, held: 0 })
  await until(() => process.killed.length > 0)
  t.strictSame(process.killed, ['SIGTERM'])
  t.equal(process.listenerCount('SIGTERM'), 0)
  t.equal((await errorOf(focus.withHold(render, never))).code, 'closed')
})

t.test('an application with a listener of its own decides when the process ends', async (t) => {
  const process = new FakeProcess()
  const { focus, person } = await fast(t, { process, speed: 1 })
  await focus.withHold(render, () => {})
  t.equal(process.listenerCount('SIGTERM'), 0, 'none without a job')
  process.on('SIGTERM', () => {})
  const run = errorOf(focus.withHold(render, (held) => aborted(held.signal).then((reason) => Promise.reject(reason))))
  await until(async () => (await person.balance()).held === 5)
  process.emit('SIGTERM')
  t.equal((await run).code, 'closed')
  t.equal(process.killed.length, 0)
})

t.test('close answers what it could not settle', async (t) => {
  const { focus, network, person, client } = await fast(t)
  const never = () => new Promise<never>(() => {})
  const run = errorOf(focus.withHold(render, never))
  await until(async () => (await person.balance()).held === 5)
  network.fate = () => 'silent'
  const tokens = await focus.close()
  t.equal(tokens.length, 1)
  t.equal((await run).token, tokens[0])
  network.fate = () => 'pass'
  await client.createFocus({ url: network.url, token: person.token }).resume(String(tokens[0]))
  t.same(await person.balance(), { credits: 100, held: 0 })
})
