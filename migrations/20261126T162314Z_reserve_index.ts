import { type Kysely, sql } from 'kysely'

/**
 * Drops the unique index of reserve entries. A job's reserve entry is written only in the transaction that creates the job, so the primary key
 * of jobs already prevents a second one, and the index cost a sixth of the writes of a posting. `verify` still checks for two reserves of one
 * job. No statement of the previous release needs the index.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index if exists ledger_entries_one_reserve`.execute(db)
}
