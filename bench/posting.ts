import { mustBeRight } from './database.ts'
import { fill } from './fill.ts'
import { measureLimit, prepareLimit } from './limit.ts'
import type { Running } from './processes.ts'
import { jobsOf } from './requests.ts'
import { type Figure, type Measurement, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = [1, 8, 32, 128]
/** The goals apply at this number of connections. */
const BUSY = 32
const SECONDS = 2
/** Duration of the JIT warm-up. */
const WARM_SECONDS = 15

/**
 * Reserve + complete: compares the service with the limit, and at one connection with an earlier commit of itself.
 * @param previous the earlier commit; absent: that figure is not measured
 */
export async function measurePosting(
  world: World,
  url: string,
  rounds: number,
  previous?: string,
): Promise<Measurement> {
  const { people, tokens } = world
  const service = await world.service(url)
  const limit = await world.emptyDatabase('physical_limit')
  await prepareLimit(limit)
  const everybody = jobsOf(tokens)
  const http =
    (server: Running, connections: number, jobs = everybody) =>
    () =>
      round(world, server, { ...jobs, connections, seconds: SECONDS })
  const statements = (accounts: number) => async () =>
    (await measureLimit({ ...world, url: limit }, accounts, SECONDS)) as Round
  const measures: Record<string, () => Promise<Round>> = {
    'limit one': statements(1),
    'service one': http(service, BUSY, jobsOf(tokens.slice(0, 1))),
    [`service ${BUSY}`]: http(service, BUSY),
    limit: statements(people.length),
  }
  for (const connections of CONNECTIONS) measures[`service ${connections}`] = http(service, connections)
  const servers = [service]
  if (previous !== undefined) {
    const before = await world.emptyDatabase('previous')
    const server = await world.serviceAt(previous, before)
    await fill(before, people, 10)
    measures['previous 1'] = http(server, 1)
    measures[`previous ${BUSY}`] = http(server, BUSY)
    servers.push(server)
  }
  for (const server of servers) await round(world, server, { ...everybody, connections: BUSY, seconds: WARM_SECONDS })
  const results = await interleaved('reserve + complete', rounds, measures)
  for (const server of servers) await server.stop()
  await mustBeRight(url)

  const of = (name: string, value: (r: Round) => number) => typical(results, name, value)
  const [speed, p50, p99] = [(r: Round) => r.perSecond, (r: Round) => r.p50, (r: Round) => r.p99]
  const spread = (r: Round) => r.p99 / r.p50
  const ratio = (one: string, other: string) => compared(results, one, other, speed)
  const busy = `service ${BUSY}`
  const figures: Figure[] = [
    [`reserve + complete ÷ limit, ${people.length} accounts`, ratio(busy, 'limit'), '≥ 1.0'],
    ['the same, one account', ratio('service one', 'limit one'), '≥ 4'],
    ['p99 ÷ p50', of(busy, spread), '≤ 2.5'],
    [
      `latency at 1 connection ÷ ${previous ?? 'the previous release'}`,
      previous === undefined ? Number.NaN : compared(results, 'service 1', 'previous 1', p50),
      '≤ 1.1',
    ],
    ['CPU per posting, µs: Node', of(busy, (r) => r.cpu), '≤ 80'],
    ['CPU per posting, µs: Postgres', of(busy, (r) => r.postgresCpu), '≤ 60'],
  ]
  const rows = [...results.keys()].map((name) => [
    name.replace(/^service one$/, `service ${BUSY}, one account`).replace(/^limit one$/, 'limit, one account'),
    ...[speed, p50, p99, spread, (r: Round) => r.cpu, (r: Round) => r.postgresCpu, (r: Round) => r.loadCpu].map(
      (value) => of(name, value),
    ),
  ])
  const head = ['connections', 'operations/s', 'p50 ms', 'p99 ms', 'p99 ÷ p50', 'CPU µs: Node', 'Postgres', 'load']
  return { figures, part: `### Reserve + complete\n\n${table(head, rows)}` }
}
