import { type Kysely, sql } from 'kysely'

/**
 * An index for the history by kind: purchases and grants are found without reading the entries of jobs. The two kinds of entries that nearly
 * every job has are not in the index, so reserving and completing a job does not write to it. The previous release does not need it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index ledger_entries_by_kind on ledger_entries (account_id, kind, seq)
    where kind not in ('job_reserve', 'job_refund')`.execute(db)
}
