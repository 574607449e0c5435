import pg from 'pg'
import { settle } from './fill.ts'
import { ADMINISTRATOR, mint } from './people.ts'
import { readsOf } from './requests.ts'
import { type Figure, type Measurement, table } from './results.ts'
import { interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = 2
const SECONDS = 1

/** Adds what an operator's pages show: one in a hundred accounts is below zero, one in two hundred is closed, and so on. */
const BESIDE = [
  `update accounts set created_at = now() - random() * interval '300 days',
    closed_at = case when random() < 0.005 then now() - random() * interval '30 days' end`,
  // Below zero by an adjustment, so that the ledger still verifies.
  `create temporary table poor as select id, credits, seq, row_number() over () as n from accounts where closed_at is null and random() < 0.01`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference, reason, created_at)
    select id, seq + 1, 'adjustment', -credits - 5, -5, 'pi_' || n, 'bench', now() - random() * interval '30 days' from poor`,
  `update accounts set credits = -5, seq = poor.seq + 1 from poor where poor.id = accounts.id`,
  // Jobs that cost nothing have no entries.
  `insert into jobs (account_id, id, app_slug, action, status, reserved, actual_cost, expires_at, created_at, updated_at)
    select id, overlay(gen_random_uuid()::text placing '7' from 15 for 1)::uuid, 'video', 'render', 'failed', 0, 0, now(), now(), now()
    from accounts where random() < 0.2`,
  `insert into purchases (account_id, id, pack_slug, pack_name, credits, price, currency, provider, origin, status, payment_id, created_at)
    select id, gen_random_uuid(), 'small', 'Small', 100, 500, 'usd', 'stripe', 'checkout', 'expired', 'pi_p' || n, now()
    from (select id, row_number() over () as n from accounts) a where n % 5 = 0`,
  `insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at)
    select gen_random_uuid(), 'bench' || n, id, 'bench', right(md5(n::text), 4), '{account}', now() + interval '1 day'
    from (select id, row_number() over () as n from accounts) a where n % 2 = 0`,
  `insert into admin_actions (account_id, id, concerns_account, actor_id, via, action, target, created_at)
    select a.id, gen_random_uuid(), true, a.id, 'api', 'adjustCredits', 'account ' || a.id, now()
    from accounts a where random() < 0.2`,
]

/**
 * Measures the pages of the operator's console with 100,000 accounts and a million jobs.
 * @param url a database that has them
 */
export async function measureOperator(world: World, url: string, rounds: number): Promise<Measurement> {
  const { some, middle, job } = await fillOperator(url)
  const service = await world.service(url)
  const paths: Record<string, string> = {
    overview: '/overview',
    'accounts, newest': '/accounts',
    'accounts, oldest': '/accounts?sort=oldest',
    'accounts, in the middle': `/accounts?cursor=${middle}`,
    'accounts, closed': '/accounts?closed=true',
    'accounts, below zero': '/accounts?negative=true',
    'search: job': `/accounts?q=${job}`,
    'search: payment': '/accounts?q=pi_p500',
    'search: reference': '/accounts?q=pi_17',
    'search: last four': '/accounts?q=c4ca',
    account: `/accounts/${some}`,
    'its entries': `/accounts/${some}/entries`,
    'its jobs': `/accounts/${some}/jobs`,
    'its tokens': `/accounts/${some}/tokens`,
    'its purchases': `/accounts/${some}/purchases`,
    'jobs, newest': '/jobs',
    'jobs, in the middle': `/jobs?cursor=${job}`,
    'jobs, completed': '/jobs?status=completed',
    'jobs, failed': '/jobs?status=failed',
    'jobs, in progress': '/jobs?status=started',
    'jobs, overdue': '/jobs?overdue=true',
    'jobs of an app': '/jobs?app=video',
    'jobs of an app without any': '/jobs?app=rare',
    'holds of an app without any': '/jobs?app=rare&status=started',
    'one job': `/jobs/${job}`,
    purchases: '/purchases',
    'purchases, expired': '/purchases?status=expired',
    'purchases, disputed': '/purchases?disputed=true',
    packs: '/packs',
    'audit log': '/audit',
    'audit log of an account': `/audit?account_id=${some}`,
    'audit log by action': '/audit?action=setApp',
  }
  const token = await mint(ADMINISTRATOR)
  const measures = Object.entries(paths).map(([name, path]) => {
    const load = { ...readsOf(`/api/admin${path}`, [token]), connections: CONNECTIONS, seconds: SECONDS }
    return [name, () => round(world, service, load)] as const
  })
  const results = await interleaved('operator', rounds, Object.fromEntries(measures))
  await service.stop()

  const p99 = (r: Round) => r.p99
  const slowest = Object.keys(paths).reduce((a, b) => (typical(results, a, p99) >= typical(results, b, p99) ? a : b))
  const figures: Figure[] = [
    [`operator's pages, p99 ms, the slowest: ${slowest}`, typical(results, slowest, p99), '≤ 100'],
  ]
  const columns = [(r: Round) => r.perSecond, (r: Round) => r.p50, p99, (r: Round) => r.postgresCpu]
  const rows = Object.keys(paths).map((name) => [name, ...columns.map((value) => typical(results, name, value))])
  const head = ['page', 'requests/s', 'p50 ms', 'p99 ms', 'Postgres µs']
  return {
    figures,
    part: `### The operator's pages at ${CONNECTIONS} connections, 100,000 accounts and a million jobs\n\n${table(head, rows)}`,
  }
}

/** @returns an account, a cursor in the middle of the list of accounts, and a job */
async function fillOperator(url: string): Promise<{ some: string; middle: string; job: string }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('set session_replication_role = replica')
    for (const statement of BESIDE) await client.query(statement)
    await settle(client)
    const { rows } = await client.query<{ some: string; middle: string; job: string }>(
      `select id as some, (extract(epoch from created_at) * 1000000)::bigint || '_' || id as middle,
        (select id from jobs where account_id = accounts.id order by id limit 1 offset 5) as job
      from accounts order by created_at, id limit 1 offset 50000`,
    )
    if (!rows[0]) throw new Error('There are too few accounts.')
    return rows[0]
  } finally {
    await client.end()
  }
}
