import { type Kysely, sql } from 'kysely'

/** Indexes for the console's lists across accounts: purchases, and how many people have received an app's starter credits. */
const statements = [
  'create index purchases_by_status on purchases (status, id)',
  'create index purchases_disputed on purchases (id) where disputed',
  'create index app_grants_granted on app_grants (app_slug) where granted_at is not null',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
