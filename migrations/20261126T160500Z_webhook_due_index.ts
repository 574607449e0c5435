import { type Kysely, sql } from 'kysely'

/** Messages are looked for endpoint by endpoint. The previous release, which looks for all of them at once, reads the table meanwhile. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`drop index if exists webhook_messages_due`.execute(db)
}
