import { type Kysely, sql } from 'kysely'

/** An index by which a metric finds negative accounts without scanning all accounts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index ledger_entries_negative on ledger_entries (account_id) where balance_after < 0`.execute(db)
}
