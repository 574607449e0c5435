import { type Kysely, sql } from 'kysely'

/**
 * Jobs and entries are written by one module, under their account's lock, and never deleted: their foreign keys cost each posting
 * three look-ups, and `verify` looks for orphans instead. The list of an app's jobs is a merge of the lists by status, whose
 * index it shares. The previous release needs neither the keys nor the index.
 */
const statements = [
  'alter table ledger_entries drop constraint if exists ledger_entries_account_id_job_id_fkey',
  'alter table ledger_entries drop constraint if exists ledger_entries_account_id_fkey',
  'alter table jobs drop constraint if exists jobs_account_id_fkey',
  'drop index if exists jobs_by_app',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
