import { mustBeRight } from './database.ts'
import { jobsOf } from './requests.ts'
import { type Figure, type Measurement, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = 32
const SECONDS = 3

/**
 * Reserve + complete in a database with a thousand jobs and in one with a million. Both are on one server, each with its own service.
 * @param small, large URLs of the databases
 * @param accounts how many accounts have jobs there
 */
export async function measureGrowth(
  world: World,
  [small, large]: [string, string],
  accounts: number,
  rounds: number,
): Promise<Measurement> {
  const load = { ...jobsOf(world.tokens.slice(0, accounts)), connections: CONNECTIONS, seconds: SECONDS }
  const [few, many] = [await world.service(small), await world.service(large)]
  for (const server of [few, many]) await round(world, server, { ...load, seconds: 10 })
  const results = await interleaved('growth', rounds, {
    'a thousand jobs': () => round(world, few, load),
    'a million jobs': () => round(world, many, load),
  })
  for (const server of [few, many]) await server.stop()
  for (const url of [small, large]) await mustBeRight(url)

  const cost = (r: Round) => 1 / r.perSecond
  const cpu = (r: Round) => r.cpu + r.postgresCpu
  const figures: Figure[] = [
    ['cost per operation, 1 M ÷ 1 k jobs', compared(results, 'a million jobs', 'a thousand jobs', cost), '≤ 1.1'],
    ['the same in CPU', compared(results, 'a million jobs', 'a thousand jobs', cpu)],
  ]
  const columns = [(r: Round) => r.perSecond, (r: Round) => r.p50, (r: Round) => r.p99, (r: Round) => r.cpu]
  const rows = [...results.keys()].map((name) => [
    name,
    ...[...columns, (r: Round) => r.postgresCpu].map((value) => typical(results, name, value)),
  ])
  const head = ['beside', 'operations/s', 'p50 ms', 'p99 ms', 'CPU µs: Node', 'Postgres']
  return { figures, part: `### Reserve + complete beside many jobs\n\n${table(head, rows)}` }
}
