import { type Kysely, sql } from 'kysely'

/** An operator finds a purchase by its id alone, and lists those of all accounts. The previous release ignores it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index purchases_by_id on purchases (id)`.execute(db)
}
