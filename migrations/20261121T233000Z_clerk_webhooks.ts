import { type Kysely, sql } from 'kysely'

/** Which deliveries of the identity's events were dealt with, and which sessions they ended; old rows are cleaned away. */
const statements = [
  `create table webhook_deliveries (
    id text primary key,
    ended_sid text,
    received_at timestamptz not null default now()
  )`,
  'create index webhook_deliveries_by_age on webhook_deliveries (received_at)',
  'create index webhook_deliveries_by_ended_sid on webhook_deliveries (ended_sid) where ended_sid is not null',
  // Somebody who is gone is signed out everywhere.
  'create index sessions_by_account on sessions (account_id)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
