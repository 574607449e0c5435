import { type Kysely, sql } from 'kysely'

/**
 * A job's reserve entry is written in the transaction that creates the job, and only there, so the primary key of jobs refuses a
 * second one. This index said the same again, for a sixth of what a posting writes. `verify` still looks for two reserves of one job.
 * No statement of the previous release names it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index if exists ledger_entries_one_reserve`.execute(db)
}
