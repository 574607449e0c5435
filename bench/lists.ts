import pg from 'pg'
import { CREDITS, settle } from './fill.ts'
import { mint, type Person, person } from './people.ts'
import { readsOf } from './requests.ts'
import { type Figure, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = 8
const SECONDS = 1
const FEW = 100
export const MANY = 100_000
const LIMIT = 20

/** The interval of the jobs: one a minute, the newest at the start of this process. */
const NOW = Date.now()
const timeOf = (n: number, size: number) => NOW - (size - n) * 60_000
const minuteOf = (n: number, size: number) => new Date(timeOf(n, size)).toISOString()
/** The id of a job by its number; 1 is the oldest. A UUIDv7 of its time. */
const jobId = (n: number, size: number) => {
  const time = timeOf(n, size).toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n.toString(16).padStart(12, '0')}`
}
/** The period that covers this number of jobs, for usage. */
export const periodOf = (size: number) => ({
  from: minuteOf(0, size).slice(0, 10),
  to: new Date(NOW + 86_400_000).toISOString().slice(0, 10),
})

/** The ids of the tokens that started the ten oldest jobs, and the other jobs. */
const [RARE, COMMON] = ['0195a1f0-6b1c-7c3e-9d5a-000000000001', '0195a1f0-6b1c-7c3e-9d5a-000000000002']

/** A period in the middle, with half of the jobs. */
const middle = (size: number) => `from=${minuteOf(size * 0.25, size)}&to=${minuteOf(size * 0.75, size)}`

/** The filters. What is rare matches the ten oldest jobs: the worst case for a scan from the newest. */
const FILTERS: Record<string, (size: number) => string> = {
  'jobs, no filter': () => `/api/jobs?limit=${LIMIT}`,
  'status, common': () => `/api/jobs?limit=${LIMIT}&status=completed`,
  'status, rare': () => `/api/jobs?limit=${LIMIT}&status=failed`,
  'app, common': () => `/api/jobs?limit=${LIMIT}&app=video`,
  'app, rare': () => `/api/jobs?limit=${LIMIT}&app=rare`,
  'app and status, common': () => `/api/jobs?limit=${LIMIT}&app=video&status=completed`,
  'app and status, rare together': () => `/api/jobs?limit=${LIMIT}&app=video&status=started`,
  'cursor in the middle': (size) => `/api/jobs?limit=${LIMIT}&cursor=${jobId(size / 2, size)}`,
  'cursor, app and status': (size) =>
    `/api/jobs?limit=${LIMIT}&app=video&status=completed&cursor=${jobId(size / 2, size)}`,
  'jobs of a period': (size) => `/api/jobs?limit=${LIMIT}&${middle(size)}`,
  'jobs of a period, app and status': (size) => `/api/jobs?limit=${LIMIT}&app=video&status=completed&${middle(size)}`,
  'jobs of a token, common': () => `/api/jobs?limit=${LIMIT}&token=${COMMON}`,
  'jobs of a token, rare': () => `/api/jobs?limit=${LIMIT}&token=${RARE}`,
  'one job': (size) => `/api/jobs/${jobId(size / 2, size)}`,
  'entries, newest': () => `/api/wallet/entries?limit=${LIMIT}`,
  'entries, cursor in the middle': (size) => `/api/wallet/entries?limit=${LIMIT}&cursor=${size}`,
  'entries until a while ago': (size) => `/api/wallet/entries?limit=${LIMIT}&until=${minuteOf(30, size)}`,
  'entries of a period': (size) => `/api/wallet/entries?limit=${LIMIT}&${middle(size)}`,
  'entries of kind job_refund': () => `/api/wallet/entries?limit=${LIMIT}&kind=job_refund`,
  'entries of kind topup': () => `/api/wallet/entries?limit=${LIMIT}&kind=topup`,
  'entries of kind job_release, rare': () => `/api/wallet/entries?limit=${LIMIT}&kind=job_release`,
  'entries of a token, common': () => `/api/wallet/entries?limit=${LIMIT}&token=${COMMON}`,
  'entries of a token, rare': () => `/api/wallet/entries?limit=${LIMIT}&token=${RARE}`,
  'entries of an app, rare': () => `/api/wallet/entries?limit=${LIMIT}&app=rare`,
}

/**
 * Measures every filter of the lists, on an account with 100 jobs and on one with 100,000.
 * @param url a database with many other accounts
 */
export async function measureLists(world: World, url: string, rounds: number) {
  const few = person(`user_with_${FEW}_jobs`)
  const many = person(`user_with_${MANY}_jobs`)
  await fillLists(url, few, FEW)
  await fillLists(url, many, MANY)
  const service = await world.service(url)
  const tokens: Record<number, string> = { [FEW]: await mint(few), [MANY]: await mint(many) }
  const asking = (path: string, size: number) => () =>
    round(world, service, { ...readsOf(path, [tokens[size] ?? '']), connections: CONNECTIONS, seconds: SECONDS })
  const measures = Object.entries(FILTERS).flatMap(([filter, path]) =>
    [FEW, MANY].map((size) => [`${filter} ${size}`, asking(path(size), size)] as const),
  )
  const results = await interleaved('lists', rounds, Object.fromEntries(measures))
  await service.stop()

  const p99 = (r: Round) => r.p99
  const slower = (filter: string) => compared(results, `${filter} ${MANY}`, `${filter} ${FEW}`, p99)
  const worst = Object.keys(FILTERS).reduce((a, b) => (slower(a) >= slower(b) ? a : b))
  const figures: Figure[] = [[`list p99, 100,000 ÷ 100 jobs, the worst: ${worst}`, slower(worst), '≤ 1.5']]
  const rows = Object.keys(FILTERS).map((filter) => [
    filter,
    ...[FEW, MANY].map((size) => typical(results, `${filter} ${size}`, (r) => r.perSecond)),
    ...[FEW, MANY].map((size) => typical(results, `${filter} ${size}`, p99)),
    slower(filter),
  ])
  const head = ['filter', `requests/s of ${FEW}`, `of ${MANY}`, `p99 ms of ${FEW}`, `of ${MANY}`, 'p99 ÷ p99']
  return { figures, part: `### Lists at ${CONNECTIONS} connections, ${LIMIT} rows a page\n\n${table(head, rows)}` }
}

/** Creates an account with jobs of 5 credits: the ten oldest failed, the next ten started, the rest completed at 3. */
export async function fillLists(url: string, { accountId, clerkId }: Person, size: number): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('set session_replication_role = replica')
    await client.query(
      // Ten jobs with two entries, then ten with one entry, then two for each of the others.
      'insert into accounts (id, clerk_id, credits, held, seq) values ($1, $2, $3, 50, 1 + 20 + 10 + 2 * ($4::int - 20))',
      [accountId, clerkId, CREDITS - 5 * 10 - 3 * (size - 20), size],
    )
    await client.query(
      `insert into jobs (account_id, id, app_slug, action, status, reserved, actual_cost, token_id, expires_at, created_at, updated_at)
        select $1, (lpad(to_hex(ms), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
          case when n <= 10 then 'rare' else 'video' end, 'render',
          case when n <= 10 then 'failed' when n <= 20 then 'started' else 'completed' end, 5,
          case when n <= 20 then 0 else 3 end, case when n <= 10 then $4::uuid else $5::uuid end,
          now() + interval '1 day', moment, moment
        from generate_series(1, $2::int) n, lateral (select $3::bigint - ($2::int - n) * 60000::bigint) a (ms),
          lateral (select to_timestamp(ms / 1000.0)) b (moment)`,
      [accountId, size, NOW, RARE, COMMON],
    )
    await client.query(
      `insert into ledger_entries (account_id, seq, kind, amount, balance_after, job_id, reference, created_at)
        select $1, row_number() over w, kind, amount, sum(amount) over w, id, reference, moment from (
          select null::uuid as id, 'topup' as kind, $2::bigint as amount, 'payment' as reference, 0 as nth,
            now() - interval '1 year' as moment
          union all select id, 'job_reserve', -5, null, 1, created_at from jobs where account_id = $1
          union all select id, case when actual_cost = 0 then 'job_release' else 'job_refund' end, 5 - actual_cost, null, 2,
            created_at from jobs where account_id = $1 and status <> 'started') moves
        window w as (order by id nulls first, nth)`,
      [accountId, CREDITS],
    )
    await settle(client)
  } finally {
    await client.end()
  }
}
