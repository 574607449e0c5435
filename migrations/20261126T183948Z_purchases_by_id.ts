import { type Kysely, sql } from 'kysely'

/** An index for finding a purchase by its id alone, and for lists of all accounts' purchases. The previous release ignores it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index purchases_by_id on purchases (id)`.execute(db)
}
