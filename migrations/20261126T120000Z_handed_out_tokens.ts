import { type Kysely, sql } from 'kysely'

/** Session JWTs that were handed out where others may read them, by hash, until they expire. */
const statements = [
  `create table handed_out_tokens (
    token_hash text primary key,
    expires_at timestamptz not null
  )`,
  'create index handed_out_tokens_by_expiry on handed_out_tokens (expires_at)',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
