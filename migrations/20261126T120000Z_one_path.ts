import { type Kysely, sql } from 'kysely'

/**
 * Drops the foreign keys of jobs and entries, which cost each posting three lookups. One module writes these rows, under their account's
 * lock, they are never deleted, and `verify` finds orphans. Also drops the index for lists of an app's jobs, which are now merged from the
 * lists by status and use their index. The previous release needs neither.
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
