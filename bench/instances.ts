import { mustBeRight } from './database.ts'
import { jobsOf } from './requests.ts'
import { type Figure, type Measurement, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const INSTANCES = 4
const CONNECTIONS = 128
const SECONDS = 3
/** Duration of the JIT warm-up of each instance. */
const WARM_SECONDS = 12
/** Accounts that all instances post to, to measure whether each account gets its share. */
const SHARED = 16

/** Compares four instances on one Postgres with one instance, with the same number of connections in all. */
export async function measureInstances(world: World, url: string, rounds: number): Promise<Measurement> {
  const instances = await Promise.all(Array.from({ length: INSTANCES }, () => world.service(url)))
  const [single] = instances
  if (!single) throw new Error('There is no instance.')
  const on = (servers: typeof instances, accounts: number, take?: 'own') => () => {
    const jobs = jobsOf(world.tokens.slice(0, accounts))
    return round(world, servers, { ...jobs, ...(take && { take }), connections: CONNECTIONS, seconds: SECONDS })
  }
  // Each instance compiles its own code.
  for (const server of instances)
    await round(world, server, { ...jobsOf(world.tokens), connections: CONNECTIONS, seconds: WARM_SECONDS })
  const many = world.people.length
  const results = await interleaved('instances', rounds, {
    'many, one': on([single], many),
    'many, four': on(instances, many),
    'one, one': on([single], 1),
    'one, four': on(instances, 1),
    // Each account has its own connections, the same number to each instance.
    'own, one': on([single], SHARED, 'own'),
    'own, four': on(instances, SHARED, 'own'),
  })
  for (const server of instances) await server.stop()
  await mustBeRight(url)

  const speed = (r: Round) => r.perSecond
  const figures: Figure[] = [
    [`${INSTANCES} instances ÷ one, many accounts`, compared(results, 'many, four', 'many, one', speed), '≥ 1.0'],
    [`${INSTANCES} instances ÷ one, one account`, compared(results, 'one, four', 'one, one', speed), '≥ 0.8'],
    [
      `${INSTANCES} instances, ${SHARED} accounts: postings of the slowest ÷ of the fastest account`,
      typical(results, 'own, four', (r) => share(perAccount(r.answers))),
      '≥ 0.5',
    ],
  ]
  const names = {
    many: `${many} accounts`,
    one: 'one account',
    own: `${SHARED} accounts, ${CONNECTIONS / SHARED} connections each`,
  }
  const times = [speed, (r: Round) => r.p50, (r: Round) => r.p99, (r: Round) => r.max]
  const columns = [...times, (r: Round) => r.cpu, (r: Round) => r.postgresCpu]
  const rows = [...results.keys()].map((key) => {
    const [accounts, servers] = key.split(', ') as [keyof typeof names, string]
    return [
      `${names[accounts]}: ${servers === 'one' ? 'one instance' : `${INSTANCES} instances`}`,
      ...columns.map((value) => typical(results, key, value)),
      typical(results, key, (r) => share(servers === 'one' ? [1] : perInstance(r.answers))),
    ]
  })
  const head = [
    '',
    'operations/s',
    'p50 ms',
    'p99 ms',
    'longest ms',
    'CPU µs: Node',
    'Postgres',
    'slowest ÷ fastest instance',
  ]
  return { figures, part: `### Several instances, ${CONNECTIONS} connections in all\n\n${table(head, rows)}` }
}

const share = (counts: number[]) => Math.min(...counts) / Math.max(...counts)

/** Neighbouring connections share an account; see `take` in load.ts. */
const perAccount = (answers: number[]) =>
  Array.from({ length: SHARED }, (_, account) =>
    answers.reduce((sum, count, i) => sum + (Math.floor(i / (CONNECTIONS / SHARED)) === account ? count : 0), 0),
  )

const perInstance = (answers: number[]) =>
  Array.from({ length: INSTANCES }, (_, instance) =>
    answers.reduce((sum, count, i) => sum + (i % INSTANCES === instance ? count : 0), 0),
  )
