import { statement } from '../db/statement.ts'
import type { EntryKind, JobStatus } from './rules.ts'

/**
 * The SQL of the ledger: each operation is one statement, so one round trip and one commit, and cannot be half done.
 *
 * Locks are taken in one order everywhere, the account and then its jobs; what a job holds is read only from the
 * guarded UPDATE that ends it, never from a SELECT before it: two calls that both read "5 held" would refund 10.
 *
 * Every table is found by parameters, never through a CTE's output: Postgres keeps the plan of a named statement, and
 * one made while the tables were still empty would join by scanning them, for as long as the connection lives.
 */

export type JobRow = {
  id: string
  app_slug: string
  action: string
  status: JobStatus
  reserved: number
  actual_cost: number
  metadata: Record<string, unknown> | null
  failure_reason: string | null
  expires_at: Date
  created_at: Date
  updated_at: Date
}

export type Balance = { credits: number; held: number }

export type EntryRow = {
  seq: number
  job_id: string | null
  kind: EntryKind
  amount: number
  balance_after: number
  reference: string | null
  reason: string | null
  actor: string | null
  created_at: Date
}

const JOB = `jobs.id, jobs.app_slug, jobs.action, jobs.status, jobs.reserved, jobs.actual_cost, jobs.metadata,
  jobs.failure_reason, jobs.expires_at, jobs.created_at, jobs.updated_at`

export const openAccount = statement<{ account_id: string; clerk_id: string }, { id: string }>(
  'open_account',
  `insert into accounts (id, clerk_id) values ($account_id, $clerk_id) on conflict (id) do nothing returning id`,
)

export const readBalance = statement<{ account_id: string }, Balance & { closed: boolean }>(
  'read_balance',
  `select credits, held, closed_at is not null as closed from accounts where id = $account_id`,
)

/** No row: short of credits, unknown or closed account. A repeated key raises 23505 and rolls all of it back. */
export const reserve = statement<
  {
    account_id: string
    job_id: string
    app: string
    action: string
    cost: number
    metadata: string | null
    idempotency_key: string | null
    request_hash: string | null
    ttl_seconds: number
  },
  Balance & { expires_at: Date }
>(
  'reserve',
  `with debit as (
    update accounts
    set credits = credits - $cost::bigint, held = held + $cost::bigint, seq = seq + ($cost::bigint > 0)::int
    where id = $account_id::uuid and credits >= $cost::bigint and closed_at is null
    returning credits, held, seq
  ), job as (
    insert into jobs (account_id, id, app_slug, action, reserved, metadata, idempotency_key, request_hash, expires_at)
    select $account_id::uuid, $job_id::uuid, $app, $action, $cost::bigint, $metadata::jsonb, $idempotency_key,
      $request_hash, now() + make_interval(secs => $ttl_seconds::int)
    from debit
    returning expires_at
  ), entry as (
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
    select $account_id::uuid, seq, $job_id::uuid, 'job_reserve', -$cost::bigint, credits
    from debit where $cost::bigint > 0
  )
  select credits, held, expires_at from debit, job`,
)

/** The job that an earlier request made: by its idempotency key, or by its id where a commit's answer was lost. */
export const findReserved = statement<
  { account_id: string; job_id: string; idempotency_key: string | null },
  { id: string; request_hash: string | null; expires_at: Date }
>(
  'find_reserved',
  `select id, request_hash, expires_at from jobs
  where account_id = $account_id::uuid and (id = $job_id::uuid or idempotency_key = $idempotency_key)`,
)

/**
 * Ends a started job: complete, fail and expire are this one statement, so no two of them can both give back.
 * No row: the job is unknown or has ended, or its account is closed.
 */
export const end = statement<
  {
    account_id: string
    job_id: string
    status: JobStatus
    actual_cost: number | null
    refund_kind: EntryKind
    failure_reason: string | null
    metadata: string | null
  },
  JobRow & Balance & { metadata_kept: boolean }
>(
  'end_job',
  `with account as (
    select id from accounts where id = $account_id::uuid and closed_at is null for no key update
  ), job as (
    update jobs
    set status = $status, actual_cost = coalesce($actual_cost::bigint, jobs.reserved),
      failure_reason = $failure_reason, updated_at = now(),
      metadata = case when $metadata::jsonb is null then jobs.metadata
        else merge_metadata(jobs.metadata, $metadata::jsonb) end
    from account
    where jobs.account_id = $account_id::uuid and jobs.id = $job_id::uuid and jobs.status = 'started'
    returning ${JOB}, $metadata::jsonb is not null and coalesce(jobs.metadata, '{}') || $metadata::jsonb is distinct from jobs.metadata as metadata_kept
  ), balance as (
    update accounts
    set credits = credits + job.reserved - job.actual_cost, held = held - job.reserved,
      seq = seq + (job.reserved <> job.actual_cost)::int
    from job where accounts.id = $account_id::uuid
    returning credits, held, seq
  ), entry as (
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
    select $account_id::uuid, seq, id, case when reserved > actual_cost then $refund_kind else 'job_overage' end,
      reserved - actual_cost, credits
    from job, balance where reserved <> actual_cost
  )
  select job.*, credits, held from job, balance`,
)

/** A job that a call could not end, and whether the call's metadata is in it already (or was too much for it). */
export const findEnded = statement<
  { account_id: string; job_id: string; metadata: string | null },
  JobRow & Balance & { closed: boolean; metadata_same: boolean; metadata_kept: boolean }
>(
  'find_ended',
  `select ${JOB}, accounts.credits, accounts.held, accounts.closed_at is not null as closed,
    merge_metadata(jobs.metadata, $metadata::jsonb) is not distinct from jobs.metadata as metadata_same,
    $metadata::jsonb is not null and coalesce(jobs.metadata, '{}') || $metadata::jsonb is distinct from jobs.metadata as metadata_kept
  from jobs join accounts on accounts.id = jobs.account_id
  where jobs.account_id = $account_id::uuid and jobs.id = $job_id::uuid`,
)

/** Grants an app's starter credits once: the row of app_grants is the guard, however many requests race. */
export const grantStarter = statement<{ account_id: string; app: string; reference: string }, { credits: number }>(
  'grant_starter',
  `with account as (
    select id from accounts where id = $account_id::uuid and closed_at is null for no key update
  ), granted as (
    insert into app_grants as known (account_id, app_slug, credits, granted_at)
    select account.id, apps.slug, apps.starter_credits, now()
    from account, apps where apps.slug = $app and apps.starter_credits > 0
    on conflict (account_id, app_slug) do update set credits = excluded.credits, granted_at = excluded.granted_at
      where known.granted_at is null
    returning known.credits
  ), balance as (
    update accounts set credits = accounts.credits + granted.credits, seq = seq + 1
    from granted where accounts.id = $account_id::uuid
    returning accounts.credits, seq
  ), entry as (
    insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference)
    select $account_id::uuid, seq, 'starter_grant', granted.credits, balance.credits, $reference
    from granted, balance
  )
  select credits from granted`,
)

/** Credits given or taken by an administrator. No row: it would go negative, or the account is unknown or closed. */
export const adjust = statement<
  {
    account_id: string
    amount: number
    allow_negative: boolean
    kind: EntryKind
    reference: string
    reason: string
    actor: string
  },
  EntryRow
>(
  'adjust',
  `with balance as (
    update accounts set credits = credits + $amount::bigint, seq = seq + 1
    where id = $account_id::uuid and closed_at is null
      and ($amount::bigint > 0 or $allow_negative::boolean or credits + $amount::bigint >= 0)
    returning credits, seq
  )
  insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference, reason, actor)
  select $account_id::uuid, seq, $kind, $amount::bigint, credits, $reference, $reason, $actor from balance
  returning seq, job_id, kind, amount, balance_after, reference, reason, actor, created_at`,
)

export const findEntry = statement<{ account_id: string; reference: string }, EntryRow>(
  'find_entry',
  `select seq, job_id, kind, amount, balance_after, reference, reason, actor, created_at
  from ledger_entries where account_id = $account_id::uuid and reference = $reference`,
)

export const lockAccount = statement<{ account_id: string }, { id: string }>(
  'lock_account',
  `select id from accounts where id = $account_id::uuid for no key update`,
)

/** Remembers an app for an account without granting; the caller holds the account's lock, so that the count is right. */
export const rememberApp = statement<{ account_id: string; app: string; limit: number }, { app_slug: string }>(
  'remember_app',
  `insert into app_grants (account_id, app_slug)
  select id, $app from accounts
  where id = $account_id::uuid and closed_at is null and (exists (select from apps where slug = $app)
    or (select count(*) from app_grants where account_id = $account_id::uuid and granted_at is null
      and not exists (select from apps where slug = app_slug)) < $limit::int)
  on conflict (account_id, app_slug) do nothing
  returning app_slug`,
)
