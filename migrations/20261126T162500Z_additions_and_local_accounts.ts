import { type Kysely, sql } from 'kysely'

/** Which administrator added an origin, redirect URI or resource to an app, and which accounts belong to the local identity. */
const statements = [
  `create table app_additions (
    app_slug text not null,
    field text not null check (field in ('origins', 'redirect_uris', 'resources')),
    value text not null,
    added_by uuid not null,
    added_at timestamptz not null default now(),
    primary key (app_slug, field, value)
  )`,
  'create index app_additions_by_administrator on app_additions (added_by)',
  'create index app_additions_by_age on app_additions (added_at)',

  'create table local_accounts (account_id uuid primary key)',
  // The local identity's session ids have this prefix. Accounts without a session in the last seven days are not found.
  `insert into local_accounts select distinct account_id from sessions where clerk_sid like 'sess\\_local\\_%'`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
