import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { clientIn } from '../support/client.ts'
import { type Fate, startNetwork } from '../support/network.ts'
import { earlier, type Person, personWith, startOwn } from '../support/start.ts'
import { until } from '../support/until.ts'

/** How much faster time runs for the clients. */
const SPEED = 100
const LIVES_AT_ONCE = 25
const PEOPLE = 5
const GIVEN = 1_000_000
const YEAR_MS = 366 * 86_400_000

const lost = fc.constantFrom<Fate>('before', 'after', 'amid', { status: 502 }, { status: 503 })
const some = fc.array(lost, { maxLength: 3 })

/** What becomes of one job: what its work does, and what its network does. */
const life = fc.record({
  estimate: fc.nat(10),
  /** What the work says it costs, one after the other */
  says: fc.array(fc.nat(15), { maxLength: 3 }),
  throws: fc.boolean(),
  metadata: fc.boolean(),
  ms: fc.constantFrom(0, 0, 0, 5, 20, 700),
  /** The hold is given back in the middle of the work */
  expires: fc.nat(9).map((n) => n === 0),
  createFates: some,
  heartbeatFates: fc.array(fc.oneof(lost, fc.constant<Fate>('silent')), { maxLength: 4 }),
  settleFates: some,
  /** Nothing comes back from a settlement until the work's process has given up */
  undeliverable: fc
    .nat(5)
    .chain((n) => (n ? fc.constant(undefined) : fc.constantFrom<Fate>('before', 'after', 'amid'))),
  clock: fc.constantFrom(0, 1, 2),
})
type Life = typeof life extends fc.Arbitrary<infer T> ? T : never

t.test('whatever gets lost, each job is charged what its function said', async (t) => {
  const clocks = await Promise.all([0, -YEAR_MS, YEAR_MS].map((clockOff) => clientIn({ speed: SPEED, clockOff })))
  let service = await startOwn(t)
  const listen = () => service.app.listen({ port: 0, host: '127.0.0.1' })
  const network = await startNetwork(t, await listen())
  const people: Person[] = []
  const tokens: string[] = []
  for (let i = 0; i < PEOPLE; i++) {
    const person = await personWith(service.app, GIVEN)
    people.push(person)
    // A session's token lives for a minute, which all of this may take longer than.
    tokens.push((await person.postFromOurPage('/api/tokens', { name: 'lives' })).json().token)
  }
  const spent = people.map(() => 0)
  const fates = new Map<string, Record<string, Fate[]>>()
  network.fate = ({ headers, path }) => {
    const mine = fates.get(String(headers['x-life'])) ?? {}
    const kind = path === '/api/jobs' ? 'create' : path.endsWith('/heartbeat') ? 'heartbeat' : 'settle'
    return mine[kind]?.shift() ?? 'pass'
  }

  /** A service that ends under way, and another on the same database. */
  async function restart(): Promise<void> {
    const before = service
    before.app.server.closeAllConnections()
    await before.stop()
    service = await startOwn(t)
    network.target = await listen()
  }

  let lives = 0
  const counts = { run: 0, refused: 0, unknown: 0, late: 0, lost: 0 }

  async function live(planned: Life): Promise<void> {
    const n = lives++
    const who = n % PEOPLE
    const client = clocks[planned.clock] as (typeof clocks)[number]
    const { estimate, says, throws, undeliverable, ms } = planned
    fates.set(String(n), {
      create: [...planned.createFates],
      heartbeat: [...planned.heartbeatFates],
      settle: undeliverable ? Array<Fate>(1_000).fill(undeliverable) : [...planned.settleFates],
    })
    const open = (retryFor: number) =>
      client.createFocus({
        url: network.url,
        token: tokens[who],
        timeout: 300_000,
        retryFor,
        fetch: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, 'x-life': String(n) } }),
      })
    const failure = new Error('the work failed')
    let id = ''
    let ran = 0
    const cost = says.at(-1) ?? (throws ? null : estimate)
    const run = open(undeliverable ? 60_000 : 500_000).withHold(
      { app: 'clips', action: 'render', estimate, ttlSeconds: 60, metadata: { n } },
      async (job) => {
        ran++
        id = job.id
        job.signal.addEventListener('abort', () => counts.lost++)
        if (ms) await sleep(ms)
        if (planned.expires) {
          await service.db
            .updateTable('jobs')
            .set({ expires_at: earlier('expires_at', '2 hours') })
            .where('id', '=', id)
            .where('status', '=', 'started')
            .execute()
            .catch(() => {}) // the service restarts
          await sweepHolds(service.db, service.app.ledger).catch(() => {})
        }
        for (const credits of says) job.cost(credits)
        if (planned.metadata) job.metadata({ done: true })
        if (throws) throw failure
        return n
      },
    )
    const end = await run.then(
      (value) => ({ value }),
      (error) => ({ error }),
    )
    if (ran === 0) {
      counts.refused++
      return
    }
    if (ran > 1) throw new Error('The work ran twice')
    counts.run++
    if ('error' in end && end.error instanceof client.SettleUnknown) {
      counts.unknown++
      fates.delete(String(n))
      await open(500_000).resume(end.error.token)
    } else if (throws) {
      if (!('error' in end) || end.error !== failure) throw new Error(`It should have failed: ${JSON.stringify(end)}`)
    } else if (!('value' in end) || end.value !== n) throw 'error' in end ? end.error : new Error('another value')
    spent[who] = (spent[who] ?? 0) + (cost ?? 0)
    const { job } = await open(500_000).getJob({ id })
    if (job.failure_reason === 'expired') counts.late++
    const wanted = { status: cost === null ? 'failed' : 'completed', actual_cost: cost ?? 0 }
    if (job.status !== wanted.status || job.actual_cost !== wanted.actual_cost)
      throw new Error(`Said ${JSON.stringify(wanted)}, charged ${JSON.stringify(job)}`)
    // A hold that was given back is a job that has failed already: failing it again adds nothing.
    if (planned.metadata && !job.metadata?.done && job.failure_reason === null)
      throw new Error('The metadata is missing')
  }

  await fc.assert(
    fc.asyncProperty(
      fc.array(life, { minLength: LIVES_AT_ONCE, maxLength: LIVES_AT_ONCE }),
      fc.boolean(),
      async (all, restarts) => {
        await Promise.all([...all.map(live), restarts && sleep(10).then(restart)])
      },
    ),
    { numRuns: 24, endOnFailure: true },
  )
  t.comment(JSON.stringify({ lives, ...counts }))
  t.ok(counts.run >= 500, `${counts.run} jobs were worked on`)
  t.ok(counts.unknown > 10 && counts.late > 10, 'with settlements that got lost and holds that expired')

  // Holds whose reservation was never answered are given back when they expire.
  await service.db
    .updateTable('jobs')
    .set({ expires_at: earlier('expires_at', '2 days') })
    .where('status', '=', 'started')
    .execute()
  await until(async () => (await sweepHolds(service.db, service.app.ledger)) === 0)
  for (const [who, { id }] of people.entries()) {
    const { credits, held } = await service.db
      .selectFrom('accounts')
      .select(['credits', 'held'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    t.same({ credits, held }, { credits: GIVEN - (spent[who] ?? 0), held: 0 })
  }
})
