import { type Kysely, sql } from 'kysely'

/** An index for reading due messages by endpoint. The previous release reads those of all endpoints at once, and scans the table meanwhile. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index if exists webhook_messages_due`.execute(db)
}
