/**
 * `npm run bench:verify`: how long all checks of the ledger take on a million entries, and how much memory this process
 * needs for it. Starts its own Postgres and fills it by SQL.
 */
import { readConfig } from '../src/config.ts'
import { connect } from '../src/db/connect.ts'
import { migrateToLatest } from '../src/db/migrate.ts'
import { verify } from '../src/ledger/verify.ts'
import { query } from '../test/support/database.ts'
import { startPostgres } from '../test/support/postgres.ts'

const ACCOUNTS = 5_000
const JOBS = 125
const ROUNDS = 3

/** Each account: a starter grant, a top-up, and jobs of 5 of which every tenth is under way and the others cost 3 or 5. */
const FILL = [
  `insert into accounts (id, clerk_id) select gen_random_uuid(), 'user_' || n from generate_series(1, ${ACCOUNTS}) n`,
  `insert into app_grants (account_id, app_slug, credits, granted_at) select id, 'video', 20, now() from accounts`,
  `insert into jobs (account_id, id, app_slug, action, status, reserved, actual_cost, expires_at)
    select accounts.id, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'video', 'render',
      case when n % 10 = 0 then 'started' else 'completed' end, 5,
      case when n % 10 = 0 then 0 when n % 3 = 0 then 5 else 3 end, now() + interval '1 day'
    from accounts, generate_series(1, ${JOBS}) n`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference)
    select id, 1, 'starter_grant', 20, 20, 'starter_grant:video' from accounts
    union all select id, 2, 'topup', 10000, 10020, 'payment' from accounts`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, job_id)
    select account_id, 2 + row_number() over w, kind, amount, 10020 + sum(amount) over w, id from (
      select account_id, id, 'job_reserve' as kind, -5 as amount, 0 as nth from jobs
      union all select account_id, id, 'job_refund', 2, 1 from jobs where actual_cost = 3) moves
    window w as (partition by account_id order by id, nth)`,
  `update accounts set credits = last.balance_after, seq = last.seq
    from (select distinct on (account_id) account_id, balance_after, seq from ledger_entries order by account_id, seq desc) last
    where last.account_id = id`,
  `update accounts set held = open.total
    from (select account_id, sum(reserved) as total from jobs where status = 'started' group by account_id) open
    where open.account_id = id`,
  'vacuum analyze',
]

const postgres = await startPostgres()
const rethrow = (error: Error) => {
  throw error
}
const config = readConfig({ DATABASE_URL: postgres.url })
const db = await connect(config.database, { lostConnection: rethrow, lostFolder: rethrow })
try {
  await migrateToLatest(db)
  for (const statement of FILL) await query(postgres.url, statement)
  const [counted] = await query<{ entries: string; jobs: string }>(
    postgres.url,
    'select (select count(*) from ledger_entries) as entries, (select count(*) from jobs) as jobs',
  )
  console.log(`${counted?.entries} entries of ${counted?.jobs} jobs`)
  const before = process.memoryUsage().rss
  for (let round = 1; round <= ROUNDS; round++) {
    const begun = performance.now()
    const { ok } = await verify(db)
    console.log(`round ${round}: ${((performance.now() - begun) / 1000).toFixed(1)} s, ${ok ? 'right' : 'BROKEN'}`)
    if (!ok) process.exitCode = 1
  }
  console.log(`memory of this process: ${((process.memoryUsage().rss - before) / 1e6).toFixed(0)} MB more than before`)
} finally {
  await db.destroy()
  await postgres.stop()
}
