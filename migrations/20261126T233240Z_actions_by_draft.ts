import { type Kysely, sql } from 'kysely'

/**
 * The form of the console that asked for an action: unique, so that a form that is sent twice, also to two instances, changes something once.
 * The index begins with the account because the table is sharded by it. Lines of the previous release have no form.
 */
const statements = [
  'alter table admin_actions add column draft_id uuid',
  `create unique index admin_actions_by_draft on admin_actions (account_id, draft_id) where draft_id is not null`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
