import { type Kysely, sql } from 'kysely'

/**
 * The first schema. Tables that belong to an account have account_id as the first column of their primary key and of every
 * unique index, so that they can be sharded by it. The small tables below are copied to every node and have no foreign key
 * to accounts. Constraints repeat the ledger's rules, so that a bug causes an error instead of a wrong balance.
 */
const statements = [
  // Bounding credits + held ensures that no release exceeds 2^53 - 1.
  `create table accounts (
    id uuid primary key,
    clerk_id text not null,
    plan text not null default 'free',
    credits bigint not null default 0,
    held bigint not null default 0,
    seq bigint not null default 0,
    created_at timestamptz not null default now(),
    closed_at timestamptz,
    constraint accounts_held check (held >= 0),
    constraint accounts_range check (credits >= -9007199254740991 and credits + held <= 9007199254740991)
  ) with (fillfactor = 80)`,

  `create table apps (
    slug text primary key check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text,
    starter_credits bigint not null default 0 check (starter_credits between 0 and 9007199254740991),
    settle_key_hash text,
    previous_settle_key_hash text,
    previous_settle_key_until timestamptz,
    origins text[] not null default '{}',
    created_at timestamptz not null default now()
  )`,

  `create table app_grants (
    account_id uuid not null references accounts (id),
    app_slug text not null,
    credits bigint not null default 0,
    granted_at timestamptz,
    seen_at timestamptz not null default now(),
    primary key (account_id, app_slug),
    check (credits >= 0 and (credits > 0) = (granted_at is not null))
  )`,

  `create table jobs (
    account_id uuid not null references accounts (id),
    id uuid not null,
    app_slug text not null,
    action text not null,
    status text not null default 'started' check (status in ('started', 'completed', 'failed')),
    reserved bigint not null check (reserved between 0 and 9007199254740991),
    actual_cost bigint not null default 0 check (actual_cost between 0 and 9007199254740991),
    metadata jsonb check (jsonb_typeof(metadata) = 'object'),
    idempotency_key text,
    request_hash text,
    failure_reason text,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (status <> 'started' or actual_cost = 0),
    check ((idempotency_key is null) = (request_hash is null))
  )`,
  `create unique index jobs_idempotency_key on jobs (account_id, idempotency_key) where idempotency_key is not null`,
  // Indexes for the filters of lists. A list is ordered by id (UUIDv7, hence by time).
  `create index jobs_by_app on jobs (account_id, app_slug, id)`,
  `create index jobs_by_status on jobs (account_id, status, id)`,
  `create index jobs_by_app_and_status on jobs (account_id, app_slug, status, id)`,
  // Must be created last: on empty tables all these indexes cost the same, Postgres picks the newest of equally cheap ones, and
  // cached plans keep that choice. With another index, finding a job would read all jobs of its account.
  `alter table jobs add primary key (account_id, id)`,

  // A patch leaves the metadata unchanged if it is null, or if the result would exceed 16 KiB as compact JSON. jsonb's
  // text is longer: it has a space after every comma and colon, and 1e300 has three hundred zeros. The function subtracts
  // the spaces, and counts large and small numbers in float8's notation, which has exponents of at least two digits.
  `create function merge_metadata(old jsonb, patch jsonb) returns jsonb immutable language sql as $$
    select case
      when patch is null then old
      when octet_length(merged::text) <= 16384 then merged
      when octet_length(merged::text) - (
        select sum(case jsonb_typeof(node)
          when 'object' then greatest(2 * (select count(*) from jsonb_object_keys(node)) - 1, 0)
          when 'array' then greatest(jsonb_array_length(node) - 1, 0)
          when 'number' then case
            when node::numeric = 0 or abs(node::numeric) >= 1e-6 and abs(node::numeric) < 1e21 then 0
            else octet_length(node::text) - octet_length(replace(node::float8::text, 'e-0', 'e-')) end
          else 0 end)
        from jsonb_path_query(merged, 'strict $.**') node) <= 16384 then merged
      else old end
    from (select coalesce(old, '{}') || coalesce(patch, '{}') as merged) as both_of_them $$`,

  `create table ledger_entries (
    account_id uuid not null references accounts (id),
    seq bigint not null check (seq > 0),
    job_id uuid,
    kind text not null,
    amount bigint not null,
    balance_after bigint not null,
    reference text,
    reason text,
    actor text,
    created_at timestamptz not null default now(),
    primary key (account_id, seq),
    foreign key (account_id, job_id) references jobs (account_id, id),
    constraint ledger_entries_amount check (case
      when kind in ('starter_grant', 'job_refund', 'job_release', 'job_expire') then amount > 0
      when kind in ('job_reserve', 'job_overage', 'job_late_charge') then amount < 0
      when kind in ('admin_grant', 'topup', 'adjustment') then amount <> 0
      else false end),
    constraint ledger_entries_job check ((kind like 'job\\_%') = (job_id is not null)),
    constraint ledger_entries_reserve check (kind <> 'job_reserve' or balance_after >= 0),
    constraint ledger_entries_starter check ((kind = 'starter_grant') = (reference is not null and reference like 'starter\\_grant:%'))
  )`,
  `create unique index ledger_entries_one_reserve on ledger_entries (account_id, job_id) where kind = 'job_reserve'`,
  `create unique index ledger_entries_one_ending on ledger_entries (account_id, job_id)
    where kind in ('job_refund', 'job_overage', 'job_release', 'job_expire')`,
  `create unique index ledger_entries_one_late_charge on ledger_entries (account_id, job_id) where kind = 'job_late_charge'`,
  // Starter grants have the reference starter_grant:<slug>, so this is also "one starter grant per account and app".
  `create unique index ledger_entries_reference on ledger_entries (account_id, reference) where reference is not null`,

  `create function ledger_entries_refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception 'ledger_entries is append-only: % refused', tg_op using errcode = 'restrict_violation';
    end $$`,
  `create trigger ledger_entries_append_only before update or delete on ledger_entries
    for each row execute function ledger_entries_refuse_change()`,
  `create trigger ledger_entries_no_truncate before truncate on ledger_entries
    for each statement execute function ledger_entries_refuse_change()`,

  `create table tokens (
    id uuid primary key,
    token_hash text not null unique,
    account_id uuid not null,
    name text not null,
    last_four text not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    expires_at timestamptz not null,
    revoked_at timestamptz
  )`,
  `create index tokens_by_account on tokens (account_id, created_at)`,

  `create table sessions (
    session_hash text primary key,
    account_id uuid not null,
    clerk_sid text not null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
  )`,
  `create index sessions_by_clerk_sid on sessions (clerk_sid)`,

  `create table device_codes (
    device_code_hash text primary key,
    user_code text not null unique,
    status text not null default 'pending' check (status in ('pending', 'approved', 'denied', 'delivered')),
    account_id uuid,
    scopes text[] not null,
    client_name text,
    requested_from text,
    "interval" integer not null default 5,
    last_polled_at timestamptz,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
  )`,

  `create table settings (
    name text primary key,
    value text not null
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
