import { type Kysely, sql } from 'kysely'

/**
 * Indexes for finding a job by its id alone and for lists of all accounts' jobs; and totals by day, which a background task computes. Job ids
 * are UUIDv7, so one index gives the newest jobs and the jobs of a day. Jobs that complete are in none of the other indexes. The previous
 * release ignores all of this.
 */
const statements = [
  'create index jobs_by_id on jobs (id)',
  `create index jobs_failed on jobs (id) where status = 'failed'`,
  'create index ledger_entries_given on ledger_entries (created_at) where job_id is null',
  `create index purchases_paid on purchases (paid_at) where status = 'paid'`,

  `create table daily_totals (
    day date primary key,
    granted bigint not null,
    taken bigint not null,
    held bigint not null,
    spent bigint not null,
    started bigint not null,
    completed bigint not null,
    failed bigint not null,
    expired bigint not null,
    purchases bigint not null,
    credits_bought bigint not null,
    gathered_at timestamptz not null default now()
  )`,
  `create table statistics (
    name text primary key,
    value jsonb not null,
    gathered_at timestamptz not null default now()
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
