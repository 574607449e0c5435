import { type Kysely, sql } from 'kysely'

/**
 * Buying credits: packs, purchases, payers (the settings of automatic top-ups), and service keys for the operator's servers. Purchases and
 * payers belong to an account and are sharded with it. The previous release does not write the new kinds of entries.
 */
const statements = [
  `create table packs (
    slug text primary key check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null,
    credits bigint not null check (credits between 1 and 1000000000000),
    price bigint not null check (price between 1 and 999999999999),
    currency text not null check (currency ~ '^[a-z]{3}$'),
    stripe_price_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  )`,

  // Name, credits and price are copies, because a pack may change while a person pays.
  `create table purchases (
    account_id uuid not null,
    id uuid not null,
    pack_slug text not null,
    pack_name text not null,
    credits bigint not null check (credits between 1 and 1000000000000),
    price bigint not null check (price > 0),
    currency text not null,
    provider text not null check (provider in ('stripe', 'local')),
    origin text not null check (origin in ('checkout', 'auto')),
    return_to text,
    status text not null default 'open' check (status in ('open', 'processing', 'paid', 'failed', 'expired')),
    failure_reason text,
    checkout_id text,
    checkout_url text,
    payment_id text,
    reference text,
    amount bigint check (amount > 0),
    refunds jsonb not null default '[]' check (jsonb_typeof(refunds) = 'array'),
    taken_back bigint not null default 0,
    disputed boolean not null default false,
    receipt_url text,
    version integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    looked_at timestamptz not null default now(),
    paid_at timestamptz,
    primary key (account_id, id),
    constraint purchases_paid check ((status = 'paid') = (reference is not null) and (status = 'paid') = (amount is not null)),
    constraint purchases_taken_back check (taken_back between 0 and credits)
  )`,
  `create index purchases_pending on purchases (looked_at) where status in ('open', 'processing')`,

  `create table payers (
    account_id uuid primary key,
    customer_id text,
    payment_method_id text,
    card text,
    state text not null default 'off' check (state in ('off', 'on', 'paused')),
    reason text,
    pack_slug text,
    credits bigint,
    price bigint,
    currency text,
    below bigint check (below between 0 and 9007199254740991),
    monthly_cap bigint check (monthly_cap > 0),
    consented_at timestamptz,
    attempt integer not null default 0,
    purchase_id uuid,
    failures integer not null default 0,
    retry_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint payers_terms check (state = 'off' or (pack_slug is not null and credits is not null and price is not null
      and currency is not null and below is not null and monthly_cap is not null and consented_at is not null)),
    constraint payers_reason check (state <> 'paused' or reason is not null)
  )`,
  `create index payers_on on payers (account_id) where state = 'on'`,

  `create table service_keys (
    id uuid primary key,
    key_hash text not null unique,
    name text not null,
    last_four text not null,
    scopes text[] not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
  )`,

  // Not validated: existing rows satisfy the old constraint, which is narrower.
  'alter table ledger_entries drop constraint ledger_entries_amount',
  `alter table ledger_entries add constraint ledger_entries_amount check (case
    when kind in ('starter_grant', 'job_refund', 'job_release', 'job_expire', 'topup_reinstated') then amount > 0
    when kind in ('job_reserve', 'job_overage', 'job_late_charge', 'topup_refund') then amount < 0
    when kind in ('admin_grant', 'topup', 'adjustment') then amount <> 0
    else false end) not valid`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
