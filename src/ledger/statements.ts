import { statement } from '../db/statement.ts'
import type { EntryKind, JobStatus } from '../db/tables.ts'
import { announce, announcing } from '../webhooks/outbox.ts'

/**
 * The SQL of the ledger, but for a job's, which is beside its functions in reserve.ts and settle.ts: each operation is one statement, so one round trip and one commit, and cannot be half done.
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

export const JOB = `jobs.id, jobs.app_slug, jobs.action, jobs.status, jobs.reserved, jobs.actual_cost, jobs.metadata,
  jobs.failure_reason, jobs.expires_at, jobs.created_at, jobs.updated_at`

export const openAccount = statement<{ account_id: string; clerk_id: string }, { id: string }>(
  'open_account',
  `insert into accounts (id, clerk_id) values ($account_id, $clerk_id) on conflict (id) do nothing returning id`,
)

export const readBalance = statement<{ account_id: string }, Balance & { closed: boolean }>(
  'read_balance',
  `select credits, held, closed_at is not null as closed from accounts where id = $account_id`,
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

/** No app is behind it: those that the account has used hear of it. */
const USED_BY_ACCOUNT = `exists (select from app_grants
  where app_grants.account_id = $account_id::uuid and app_grants.app_slug = endpoint.app_slug)`

/** Credits given or taken by an administrator. No row: it would go negative, or the account is unknown or closed. */
export const adjust = announcing<
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
  (told) => `with balance as (
    update accounts set credits = credits + $amount::bigint, seq = seq + 1
    where id = $account_id::uuid and closed_at is null
      and ($amount::bigint > 0 or $allow_negative::boolean or credits + $amount::bigint >= 0)
    returning credits, seq
  )${told}
  insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference, reason, actor)
  select $account_id::uuid, seq, $kind, $amount::bigint, credits, $reference, $reason, $actor from balance
  returning seq, job_id, kind, amount, balance_after, reference, reason, actor, created_at`,
  announce('balance', USED_BY_ACCOUNT, { after: 'balance.credits', before: '(balance.credits - $amount::bigint)' }),
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
