import { type Kysely, sql } from 'kysely'

/**
 * Device login: the token of a code and when it was delivered, attempts counted across all replicas, and indexes for deleting
 * old rows.
 */
const statements = [
  // No foreign key: tokens are deleted later than codes, and a code may have none.
  'alter table device_codes add column token_id uuid, add column delivered_at timestamptz',

  // One row per subject, with the times of its latest attempts: a sliding window of at most as many as are allowed.
  `create table attempts (
    kind text not null,
    subject text not null,
    made_at timestamptz[] not null,
    expires_at timestamptz not null,
    primary key (kind, subject)
  )`,
  'create index attempts_by_expiry on attempts (expires_at)',
  'create index device_codes_by_expiry on device_codes (expires_at)',
  'create index device_codes_by_account on device_codes (account_id) where account_id is not null',
  'create index sessions_by_expiry on sessions (expires_at)',
  'create index tokens_by_end on tokens (least(expires_at, revoked_at))',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
