import { type Kysely, sql } from 'kysely'

/** The person's name, shown on the service's pages. The previous release leaves it null. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column name text`.execute(db)
}
