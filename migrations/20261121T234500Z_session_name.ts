import { type Kysely, sql } from 'kysely'

/** What our pages call the person: an id of Clerk's tells nobody who they are. The previous release leaves it null. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column name text`.execute(db)
}
