import pg from 'pg'
import type { Person } from './people.ts'

/** Credits of an account before its first job. */
export const CREDITS = 1_000_000_000

/**
 * Fills an empty, migrated database by SQL so that the ledger verifies. Each account has a starter grant, a top-up, and jobs of 5 credits
 * over the last 29 days; every tenth job is under way, the others cost 3 or 5. The ids are UUIDv7 of the jobs' times. Then the database is
 * analyzed, because a plan made on empty tables stays bad for as long as its connection lives.
 */
export async function fill(url: string, people: Person[], jobsEach: number): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    // Skips the foreign-key checks (of app_grants; in older releases also of jobs and entries), which would take longer than the rest.
    await client.query('set session_replication_role = replica')
    await client.query(
      `insert into apps (slug, name, starter_credits) values ('video', 'Video', 20) on conflict do nothing`,
    )
    const ids = [people.map(({ accountId }) => accountId), people.map(({ clerkId }) => clerkId)]
    await client.query(`insert into accounts (id, clerk_id) select * from unnest($1::uuid[], $2::text[])`, ids)
    for (const statement of statements(jobsEach)) await client.query(statement)
    await settle(client)
  } finally {
    await client.end()
  }
}

/** Vacuums, analyzes and checkpoints, so that filling leaves no work for the measurement. */
export async function settle(client: pg.Client): Promise<void> {
  await client.query('vacuum (freeze, analyze)')
  await client.query('checkpoint')
}

const statements = (jobsEach: number) => [
  `insert into app_grants (account_id, app_slug, credits, granted_at) select id, 'video', 20, now() from accounts`,
  `insert into jobs (account_id, id, app_slug, action, status, reserved, actual_cost, expires_at, ttl_seconds, created_at, updated_at)
    select account.id, (left(hex, 8) || '-' || right(hex, 4) || '-7000-8000-' || lpad(to_hex(place), 12, '0'))::uuid, 'video', 'render',
      case when n % 10 = 0 then 'started' else 'completed' end, 5,
      case when n % 10 = 0 then 0 when n % 3 = 0 then 5 else 3 end, now() + interval '1 day', 86400, moment, moment
    from generate_series(1, ${jobsEach}) n, (select id, row_number() over (order by id) as place from accounts) account,
      lateral (select now() - interval '29 days' * (1 - n / ${jobsEach}.0)) as at (moment),
      lateral (select lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0')) as time (hex)`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference)
    select id, 1, 'starter_grant', 20, 20, 'starter_grant:video' from accounts
    union all select id, 2, 'topup', ${CREDITS}, ${CREDITS} + 20, 'payment' from accounts`,
  `insert into ledger_entries (account_id, seq, kind, amount, balance_after, job_id)
    select account_id, 2 + row_number() over w, kind, amount, ${CREDITS} + 20 + sum(amount) over w, id from (
      select account_id, id, 'job_reserve' as kind, -5 as amount, 0 as nth from jobs
      union all select account_id, id, 'job_refund', 2, 1 from jobs where actual_cost = 3) moves
    window w as (partition by account_id order by id, nth)`,
  `update accounts set credits = last.balance_after, seq = last.seq
    from (select distinct on (account_id) account_id, balance_after, seq from ledger_entries order by account_id, seq desc) last
    where last.account_id = id`,
  `update accounts set held = open.total
    from (select account_id, sum(reserved) as total from jobs where status = 'started' group by account_id) open
    where open.account_id = id`,
]
