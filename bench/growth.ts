import { mustBeRight } from './database.ts'
import { pgbench } from './pgbench.ts'
import { jobsOf } from './requests.ts'
import { type Figure, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = 32
const SECONDS = 2

/**
 * Reserve + complete beside a thousand jobs and beside a million: two databases on one server, each with a service of its
 * own. pgbench on both says how much of the difference is Postgres'.
 * @param small, large their URLs
 */
export async function measureGrowth(world: World, small: string, large: string, rounds: number) {
  const jobs = jobsOf(world.tokens)
  const [few, many] = [await world.service(small), await world.service(large)]
  const load = { ...jobs, connections: CONNECTIONS, seconds: SECONDS }
  const prepared = (url: string) => async () =>
    ({
      perSecond: await pgbench({ ...world, url }, world.people.length, { connections: CONNECTIONS, seconds: SECONDS }),
    }) as Round
  const results = await interleaved('growth', rounds, {
    'service, thousand': () => round(world, few, load),
    'service, million': () => round(world, many, load),
    'pgbench, thousand': prepared(small),
    'pgbench, million': prepared(large),
  })
  await few.stop()
  await many.stop()
  for (const url of [small, large]) await mustBeRight(url)

  const cost = (r: Round) => 1 / r.perSecond
  const figures: Figure[] = [
    ['cost per operation, 1 M ÷ 1 k jobs', compared(results, 'service, million', 'service, thousand', cost), '≤ 1.15'],
    ['the same of pgbench', compared(results, 'pgbench, million', 'pgbench, thousand', cost)],
  ]
  const columns = [(r: Round) => r.perSecond, (r: Round) => r.p50, (r: Round) => r.p99, (r: Round) => r.cpu]
  const rows = [...results.keys()].map((name) => [name, ...columns.map((value) => typical(results, name, value))])
  const head = ['', 'operations/s', 'p50 ms', 'p99 ms', 'CPU µs']
  return { figures, part: `### Reserve + complete beside many jobs\n\n${table(head, rows)}` }
}
