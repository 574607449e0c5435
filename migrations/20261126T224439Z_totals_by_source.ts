import { type Kysely, sql } from 'kysely'

/** Null: the totals of a day were computed by the release before, which counts these as granted. They are computed again. */
const statements = [
  'alter table daily_totals add column bought bigint, add column refunded bigint',
  // People are found by the beginning of their e-mail address.
  'create index sessions_by_name on sessions (lower(name) text_pattern_ops) where name is not null',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
