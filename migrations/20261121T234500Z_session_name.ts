import { type Kysely, sql } from 'kysely'

/** The name shown on our pages. The previous release leaves it null. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column name text`.execute(db)
}
