import { type Kysely, sql } from 'kysely'

/** Hashes of session JWTs that were sent in a URL, where others may read them; kept until the JWT expires. */
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
