import { type Kysely, sql } from 'kysely'

/** Clerk webhook deliveries that were handled, and the sessions that they ended. Old rows are deleted. */
const statements = [
  `create table webhook_deliveries (
    id text primary key,
    ended_sid text,
    received_at timestamptz not null default now()
  )`,
  'create index webhook_deliveries_by_age on webhook_deliveries (received_at)',
  'create index webhook_deliveries_by_ended_sid on webhook_deliveries (ended_sid) where ended_sid is not null',
  // For deleting all sessions of an account.
  'create index sessions_by_account on sessions (account_id)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
