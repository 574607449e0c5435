import { type Kysely, sql } from 'kysely'

/**
 * OAuth for programs that log in. A grant is what a person has approved for one client and one resource. An authorization is created each
 * time a client sends the person to this service. It begins as a code; the refresh and access tokens issued for the code refer to it, so that
 * ending it ends all of them. The previous release ignores these tables.
 */
const statements = [
  `alter table apps add column redirect_uris text[] not null default '{}', add column resources text[] not null default '{}'`,

  `create table grants (
    id uuid primary key,
    account_id uuid not null,
    client_id text not null,
    app_slug text,
    resource text,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
  )`,
  // Without a resource, tokens are for this service. There is one such grant per client, too.
  `create unique index grants_live on grants (account_id, client_id, resource) nulls not distinct where revoked_at is null`,
  'create index grants_by_end on grants (revoked_at) where revoked_at is not null',

  // expires_at is when the code expires; after it is redeemed, when the latest refresh token does.
  `create table authorizations (
    id uuid primary key,
    grant_id uuid not null,
    code_hash text not null unique,
    redirect_uri text not null,
    code_challenge text not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    redeemed_at timestamptz,
    expires_at timestamptz not null,
    revoked_at timestamptz
  )`,
  'create index authorizations_by_grant on authorizations (grant_id)',
  'create index authorizations_by_end on authorizations (least(expires_at, revoked_at))',

  // A used token stays until it would have expired, so that a second use is detected. next_id is the access token that it was
  // exchanged for.
  `create table refresh_tokens (
    token_hash text primary key,
    authorization_id uuid not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    next_id uuid
  )`,
  'create index refresh_tokens_by_expiry on refresh_tokens (expires_at)',

  // Null: a personal access token.
  'alter table tokens add column authorization_id uuid',
  'create index tokens_by_authorization on tokens (authorization_id) where authorization_id is not null',
  // Null: started by POST /api/device/start, which has no clients.
  'alter table device_codes add column client_id text',
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
