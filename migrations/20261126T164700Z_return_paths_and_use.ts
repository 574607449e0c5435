import { type Kysely, sql } from 'kysely'
import { v5 as uuidv5 } from 'uuid'

/**
 * The paths of an app that a sign-in may return to; where a token was last used from; and entries that name the administrator by account id
 * instead of Clerk id, so that they identify no one once that account is erased.
 */
const statements = [
  // Empty: every path of the app's origins.
  `alter table apps add column return_paths text[] not null default '{}'`,
  'alter table tokens add column last_used_from text',
]

/** The namespace of src/accounts/account-id.ts, which never changes. */
const ACCOUNT_NAMESPACE = '6f1f7f0e-54c8-4a37-9a55-2d5ad6a25e0b'

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
  const { rows } = await sql<{ actor: string }>`
    select distinct actor from ledger_entries where actor like 'user\\_%'`.execute(db)
  if (!rows.length) return
  await sql`alter table ledger_entries disable trigger ledger_entries_append_only`.execute(db)
  for (const { actor } of rows) {
    await sql`update ledger_entries set actor = ${uuidv5(actor, ACCOUNT_NAMESPACE)} where actor = ${actor}`.execute(db)
  }
  await sql`alter table ledger_entries enable trigger ledger_entries_append_only`.execute(db)
}
