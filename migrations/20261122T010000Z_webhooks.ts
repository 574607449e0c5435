import { type Kysely, sql } from 'kysely'

/**
 * Webhooks: the endpoints of apps, and the outbox, which is written in the same transaction as the ledger. A message belongs to an account
 * and is deleted once it is delivered.
 */
const statements = [
  `create table webhook_endpoints (
    id uuid primary key,
    app_slug text not null,
    url text not null,
    secret text not null,
    events text[] not null check (cardinality(events) > 0
      and events <@ '{job.completed, job.failed, account.negative, account.low}'::text[]),
    low_credits bigint not null default 0 check (low_credits between 0 and 9007199254740991),
    created_at timestamptz not null default now()
  )`,
  `create index webhook_endpoints_by_app on webhook_endpoints (app_slug)`,

  `create table webhook_messages (
    account_id uuid not null,
    id uuid not null default gen_random_uuid(),
    endpoint_id uuid not null,
    event text not null,
    payload jsonb not null,
    status text not null default 'pending' check (status in ('pending', 'dead')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    give_up_at timestamptz not null default now() + interval '3 days',
    last_error text,
    created_at timestamptz not null default now(),
    primary key (account_id, id)
  )`,
  `create index webhook_messages_due on webhook_messages (next_attempt_at) where status = 'pending'`,
  `create index webhook_messages_dead on webhook_messages (endpoint_id, created_at) where status = 'dead'`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
