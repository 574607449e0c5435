import { type Kysely, sql } from 'kysely'

/**
 * The history by kind: what was bought or granted is found without reading the entries of jobs. Those of the two kinds that nearly
 * every job has are not in the index, so a job that is reserved and completed does not maintain it. No statement of the previous release needs it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index ledger_entries_by_kind on ledger_entries (account_id, kind, seq)
    where kind not in ('job_reserve', 'job_refund')`.execute(db)
}
