import { fillLists, MANY, periodOf } from './lists.ts'
import { ADMINISTRATOR, mint, person } from './people.ts'
import { readsOf } from './requests.ts'
import { type Figure, type Measurement, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const SECONDS = 4
/** Concurrent requests of the one caller that competes with the others. */
const GREEDY = 16
const OTHERS = 8

/**
 * Measures sums of usage: of an account with 100,000 jobs, of all accounts, and how a caller who requests them continuously slows down others.
 * @param url a database with a million jobs
 */
export async function measureSums(world: World, url: string, rounds: number): Promise<Measurement> {
  const owner = person('user_who_sums_up')
  await fillLists(url, owner, MANY)
  const service = await world.service(url)
  const token = await mint(owner)
  const admin = await mint(ADMINISTRATOR)
  const { from, to } = periodOf(MANY)
  const period = `from=${from}&to=${to}`
  const ask = (path: string, bearer: string) => () =>
    round(world, service, { ...readsOf(path, [bearer]), connections: 1, seconds: SECONDS })
  const wallets = () =>
    round(world, service, {
      ...readsOf('/api/wallet', world.tokens.slice(0, 100)),
      connections: OTHERS,
      seconds: SECONDS,
    })
  const own = ['app', 'day', 'token', 'app,action,day']
  const all = ['app', 'day', 'plan']
  const results = await interleaved('sums', rounds, {
    ...Object.fromEntries(own.map((by) => [`own by ${by}`, ask(`/api/usage?group_by=${by}&${period}`, token)])),
    ...Object.fromEntries(all.map((by) => [`all by ${by}`, ask(`/api/admin/usage?group_by=${by}&${period}`, admin)])),
    'wallets of others': wallets,
    'wallets beside a greedy caller': async () => {
      let over = false
      const greedyUrl = `http://127.0.0.1:${service.port}/api/usage?group_by=app,day&${period}`
      const greedy = Array.from({ length: GREEDY }, async () => {
        while (!over) await (await fetch(greedyUrl, { headers: { authorization: `Bearer ${token}` } })).arrayBuffer()
      })
      const measured = await wallets()
      over = true
      await Promise.all(greedy)
      return measured
    },
  })
  await service.stop()

  const p99 = (r: Round) => r.p99
  const worst = (names: string[]) => Math.max(...names.map((name) => typical(results, name, p99)))
  const beside = compared(results, 'wallets beside a greedy caller', 'wallets of others', p99)
  const figures: Figure[] = [
    ['usage of an account with 100,000 jobs, p99 ms', worst(own.map((by) => `own by ${by}`)), '≤ 300'],
    ['usage of all accounts, over a million jobs, p99 ms', worst(all.map((by) => `all by ${by}`)), '≤ 3000'],
    ['wallet p99 of others beside a caller of usage ÷ without', beside],
  ]
  const rows = [...results.keys()].map((name) => [
    name,
    typical(results, name, (r) => r.perSecond),
    typical(results, name, (r) => r.p50),
    typical(results, name, p99),
  ])
  return { figures, part: `### Sums of usage\n\n${table(['sums', 'requests/s', 'p50 ms', 'p99 ms'], rows)}` }
}
