import { type Kysely, sql } from 'kysely'

/** The accounts below zero are among those that ever were: a metric counts them without reading every account. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index ledger_entries_negative on ledger_entries (account_id) where balance_after < 0`.execute(db)
}
