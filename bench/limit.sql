-- The physical limit: the smallest schema with accounts, jobs and an audit trail, on which pgbench runs limit-job.sql. It has
-- what any such ledger needs (primary keys, foreign keys, two indexes for lists of jobs) and nothing of the service.
create table accounts (
  id uuid primary key,
  clerk_id text not null unique,
  plan text not null default 'free',
  credits bigint not null,
  held bigint not null default 0,
  seq bigint not null default 0
) with (fillfactor = 70);

create table jobs (
  account_id uuid references accounts,
  id uuid,
  app_slug text not null,
  action text not null,
  status text not null default 'started',
  reserved bigint not null,
  actual_cost bigint not null default 0,
  metadata jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (account_id, id)
) with (fillfactor = 80);
create index on jobs (account_id, created_at desc);
create index on jobs (account_id, status, created_at desc);

create table ledger_entries (
  account_id uuid references accounts,
  seq bigint,
  job_id uuid,
  kind text not null,
  amount bigint not null,
  balance_after bigint not null,
  created_at timestamptz not null default now(),
  primary key (account_id, seq),
  foreign key (account_id, job_id) references jobs
);

-- pgbench has numbers only. A job's id is like a UUIDv7: a time, then random digits.
create function account_id(n bigint) returns uuid immutable parallel safe language sql
  return lpad(to_hex(n), 32, '0')::uuid;
create function job_id(clock bigint, chance bigint) returns uuid immutable parallel safe language sql
  return (lpad(to_hex(clock), 16, '0') || lpad(to_hex(chance), 16, '0'))::uuid;

insert into accounts (id, clerk_id, credits) select account_id(n), 'user_' || n, 1000000000000 from generate_series(1, 2000) n;
