import { type Kysely, sql } from 'kysely'

/**
 * Webhook endpoints can be paused, and their secrets rotated. Every attempt to deliver is logged. A replica leases an endpoint while it
 * delivers to it, and a failing endpoint is not tried for a while. A message with status `test` is attempted once. The previous release
 * delivers pending messages as before, regardless of pauses and leases.
 */
const statements = [
  'alter table webhook_endpoints add column previous_secret text',
  'alter table webhook_endpoints add column previous_secret_until timestamptz',
  'alter table webhook_endpoints add column paused_at timestamptz',
  'alter table webhook_endpoints add column pause_reason text',

  'alter table webhook_messages drop constraint webhook_messages_status_check',
  `alter table webhook_messages add constraint webhook_messages_status_check
    check (status in ('pending', 'dead', 'test'))`,
  'create index webhook_messages_by_endpoint on webhook_messages (endpoint_id, status, next_attempt_at)',
  `create index webhook_messages_waiting on webhook_messages (endpoint_id, give_up_at) where status = 'pending'`,
  `create index webhook_messages_dead_age on webhook_messages (give_up_at) where status = 'dead'`,
  `create index webhook_messages_tests on webhook_messages (next_attempt_at) where status = 'test'`,

  `create table webhook_attempts (
    account_id uuid not null,
    id uuid not null,
    endpoint_id uuid not null,
    message_id uuid not null,
    event text not null,
    attempt integer not null,
    attempted_at timestamptz not null default now(),
    ms integer not null,
    status integer,
    answer text,
    error text,
    next_attempt_at timestamptz,
    primary key (account_id, id)
  )`,
  'create index webhook_attempts_by_endpoint on webhook_attempts (endpoint_id, id)',
  'create index webhook_attempts_age on webhook_attempts (attempted_at)',

  `create table webhook_delivery_state (
    endpoint_id uuid primary key,
    leased_by uuid,
    leased_until timestamptz not null default '-infinity',
    failures integer not null default 0,
    failing_since timestamptz,
    retry_at timestamptz not null default '-infinity',
    last_error text
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
