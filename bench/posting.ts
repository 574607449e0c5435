import { mustBeRight } from './database.ts'
import { pgbench } from './pgbench.ts'
import type { Running } from './processes.ts'
import { jobsOf } from './requests.ts'
import { type Figure, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = [1, 8, 32, 128]
/** At this many the goals are set. */
const BUSY = 32
const SECONDS = 2
/** Connections of the hand-written service: what is usual, and as many as it has requests at once. */
const POOLS = [10, BUSY]

/** What has no HTTP has a rate alone. */
const rate = (perSecond: number) => ({ perSecond }) as Round

/**
 * Reserve + complete: the service against pgbench, against a service written by hand, and against itself without batches.
 * @returns the figures with goals, and a table by connections
 */
export async function measurePosting(world: World, url: string, service: Running, rounds: number) {
  const { people, tokens } = world
  const single = await world.service(url, 'single')
  const everybody = jobsOf(tokens)
  const somebody = jobsOf(tokens.slice(0, 1))
  const http =
    (server: Running, connections: number, jobs = everybody) =>
    () =>
      round(world, server, { ...jobs, connections, seconds: SECONDS })
  const prepared = (accounts: number, connections: number) => async () =>
    rate(await pgbench({ ...world, url }, accounts, { connections, seconds: SECONDS }))
  const measures: Record<string, () => Promise<Round>> = {
    'service one': http(service, BUSY, somebody),
    'pgbench one': prepared(1, BUSY),
  }
  for (const size of POOLS) {
    const byHand = await world.server('handwritten.ts', { DATABASE_URL: url, POOL_SIZE: String(size) })
    measures[`by hand ${size}`] = http(byHand, BUSY)
  }
  for (const connections of CONNECTIONS) {
    measures[`service ${connections}`] = http(service, connections)
    measures[`single ${connections}`] = http(single, connections)
    measures[`pgbench ${connections}`] = prepared(people.length, connections)
  }
  // The compiler takes its time: a service that has just started takes twice the CPU for half a minute.
  for (const server of [service, single]) await round(world, server, { ...everybody, connections: BUSY, seconds: 20 })
  const results = await interleaved('reserve + complete', rounds, measures)
  await single.stop()
  await mustBeRight(url)

  const of = (name: string, value: (r: Round) => number) => typical(results, name, value)
  const speed = (r: Round) => r.perSecond
  const ratio = (one: string, other: string) => compared(results, one, other, speed)
  // Whichever suits it best.
  const [pool] = POOLS.toSorted((a, b) => of(`by hand ${b}`, speed) - of(`by hand ${a}`, speed))
  const spread = (r: Round) => r.p99 / r.p50
  const busy = `service ${BUSY}`
  const figures: Figure[] = [
    [`requests ÷ pgbench operations, ${people.length} accounts`, ratio(busy, `pgbench ${BUSY}`), '≥ 1.2'],
    ['the same, one account', ratio('service one', 'pgbench one'), '≥ 7'],
    [`requests ÷ hand-written transactions, pool of ${pool}`, ratio(busy, `by hand ${pool}`), '≥ 7'],
    ['p99 ÷ p50', of(busy, spread), '≤ 2.5'],
    ['1 connection ÷ unbatched service', ratio('service 1', 'single 1'), '≥ 1.0'],
    ['8 connections ÷ unbatched service', ratio('service 8', 'single 8'), '≥ 1.0'],
    ['CPU per request, warm JWT, µs', of(busy, (r) => r.cpu), '≤ 55'],
  ]
  const rows = [...CONNECTIONS, 'one'].map((key) => [
    key === 'one' ? `${BUSY}, one account` : String(key),
    ...[speed, (r: Round) => r.p50, (r: Round) => r.p99, spread].map((value) => of(`service ${key}`, value)),
    ratio(`service ${key}`, `pgbench ${key}`),
    key === 'one' ? '' : ratio(`service ${key}`, `single ${key}`),
    ...[(r: Round) => r.cpu, (r: Round) => r.loadCpu, (r: Round) => r.otherCpu].map((cpu) => of(`service ${key}`, cpu)),
  ])
  const head = ['connections', 'requests/s', 'p50 ms', 'p99 ms', 'p99 ÷ p50', '÷ pgbench', '÷ unbatched']
  const cpu = ['CPU µs: service', 'load', 'Postgres and others']
  return { figures, part: `### Reserve + complete\n\n${table([...head, ...cpu], rows)}` }
}
