import { type Query, statement } from '../db/statement.ts'
import { type Arrays, arraysOf, forms, type Locking, rowsOf, time } from './sets.ts'
import type { Account, Outcome, State } from './state.ts'

/** The second half of a posting: writes what became of a batch, each table by one statement. It decides nothing: rules.ts does. */

const ACCOUNTS = { id: 'uuid', credits: 'bigint', held: 'bigint', seq: 'bigint' }
const updateAccounts = forms(
  'store_accounts',
  ({ only }) => `update accounts set credits = new.credits, held = new.held, seq = new.seq
  from ${rowsOf(ACCOUNTS, 'new')} where accounts.id = new.id ${only('accounts.id', '$id')}`,
)

const closeAccounts = statement<{ account_ids: string[]; now: number }, never>(
  'store_closed',
  `update accounts set closed_at = ${time('$now::float8')} where id = any($account_ids::uuid[])`,
)

const NEW_JOBS = {
  account_id: 'uuid',
  id: 'uuid',
  app_slug: 'text',
  action: 'text',
  reserved: 'bigint',
  metadata: 'text',
  idempotency_key: 'text',
  request_hash: 'text',
  ttl_seconds: 'int',
  token_id: 'uuid',
  grant_id: 'uuid',
  budget_ids: 'text',
  expires_at: 'float8',
  created_at: 'float8',
}
const insertJobs = forms(
  'store_new_jobs',
  ({ account, join }) => `insert into jobs as made (account_id, id, app_slug, action, reserved, metadata,
    idempotency_key, request_hash, ttl_seconds, token_id, grant_id, budget_ids, expires_at, created_at, updated_at)
  select ${account}, new.id, new.app_slug, new.action, new.reserved, new.metadata::jsonb, new.idempotency_key, new.request_hash,
    new.ttl_seconds, new.token_id, new.grant_id, new.budget_ids::uuid[], ${time('new.expires_at')}, ${time('new.created_at')}, ${time('new.created_at')}
  from ${rowsOf(NEW_JOBS, 'new')} ${join} returning made.id`,
)

const JOBS = {
  account_id: 'uuid',
  id: 'uuid',
  status: 'text',
  actual_cost: 'bigint',
  requested_cost: 'bigint',
  refunded: 'bigint',
  metadata: 'text',
  failure_reason: 'text',
  expires_at: 'float8',
  updated_at: 'float8',
}
const updateJobs = forms(
  'store_jobs',
  ({
    only,
  }) => `update jobs set status = new.status, actual_cost = new.actual_cost, requested_cost = new.requested_cost,
    refunded = new.refunded, metadata = coalesce(new.metadata::jsonb, jobs.metadata),
    failure_reason = new.failure_reason, expires_at = ${time('new.expires_at')}, updated_at = ${time('new.updated_at')}
  from ${rowsOf(JOBS, 'new')}
  where jobs.account_id = new.account_id and jobs.id = new.id ${only('jobs.account_id', '$account_id')}`,
)

const ENTRIES = {
  account_id: 'uuid',
  seq: 'bigint',
  job_id: 'uuid',
  kind: 'text',
  amount: 'bigint',
  balance_after: 'bigint',
  reference: 'text',
  reason: 'text',
  actor: 'text',
  created_at: 'float8',
}
const insertEntries = forms(
  'store_entries',
  ({ account, join }) => `insert into ledger_entries as made (${Object.keys(ENTRIES)})
  select ${account}, new.seq, new.job_id, new.kind, new.amount, new.balance_after, new.reference, new.reason, new.actor,
    ${time('new.created_at')}
  from ${rowsOf(ENTRIES, 'new')} ${join} returning made.seq`,
)

const GRANTS = { account_id: 'uuid', app_slug: 'text', credits: 'bigint', granted_at: 'float8' }
const upsertGrants = statement<Arrays, never>(
  'store_grants',
  `insert into app_grants (account_id, app_slug, credits, granted_at)
  select account_id, app_slug, credits, ${time('granted_at')} from ${rowsOf(GRANTS, 'new')}
  on conflict (account_id, app_slug) do update set credits = excluded.credits, granted_at = excluded.granted_at
  returning app_slug`,
)

const PURCHASES = {
  account_id: 'uuid',
  id: 'uuid',
  status: 'text',
  failure_reason: 'text',
  checkout_id: 'text',
  payment_id: 'text',
  reference: 'text',
  amount: 'bigint',
  refunds: 'text',
  taken_back: 'bigint',
  disputed: 'bool',
  receipt_url: 'text',
  paid_at: 'float8',
  version: 'int',
  updated_at: 'float8',
}
const updatePurchases = forms(
  'store_purchases',
  ({ only }) => `update purchases set status = new.status, failure_reason = new.failure_reason,
    checkout_id = coalesce(new.checkout_id, purchases.checkout_id), payment_id = new.payment_id, reference = new.reference, amount = new.amount, refunds = new.refunds::jsonb,
    taken_back = new.taken_back, disputed = new.disputed, receipt_url = new.receipt_url, paid_at = ${time('new.paid_at')},
    version = new.version, updated_at = ${time('new.updated_at')}, looked_at = ${time('new.updated_at')}
  from ${rowsOf(PURCHASES, 'new')}
  where purchases.account_id = new.account_id and purchases.id = new.id ${only('purchases.account_id', '$account_id')}`,
)

/** A list as the text of an array, because arrays of arrays do not unnest. Ids and slugs need no quotes. */
const listText = (list: string[] | null) => list && `{${list}}`

const BUDGETS = {
  account_id: 'uuid',
  id: 'uuid',
  amount: 'bigint',
  period: 'text',
  apps: 'text',
  spent: 'bigint',
  period_start: 'float8',
  low_told: 'bool',
  exceeded_told: 'bool',
}
const upsertBudgets = forms(
  'store_budgets',
  ({ account, join }) => `insert into budgets as made (${Object.keys(BUDGETS)})
  select ${account}, new.id, new.amount, new.period, new.apps::text[], new.spent, ${time('new.period_start')}, new.low_told,
    new.exceeded_told
  from ${rowsOf(BUDGETS, 'new')} ${join}
  on conflict (account_id, id) do update set amount = excluded.amount, period = excluded.period, apps = excluded.apps,
    spent = excluded.spent, period_start = excluded.period_start, low_told = excluded.low_told,
    exceeded_told = excluded.exceeded_told
  returning made.id`,
)

/**
 * What is to be written for a batch, all of it in one round trip.
 * @param outcomes of each account, in order; `state` is the account's after them, and `loaded` what it was before
 */
export function store(
  batch: Iterable<{ state: State; loaded: Account; outcomes: Outcome[] }>,
  { sharded }: Locking,
): Query[] {
  const accounts: Account[] = []
  const closed: string[] = []
  const created: object[] = []
  const changed: object[] = []
  const entries: object[] = []
  const grants: object[] = []
  const purchases: object[] = []
  const budgets: object[] = []
  let latest = 0
  for (const { state, loaded, outcomes } of batch) {
    const { account, now } = state
    const account_id = account.id
    latest = now
    if (account.seq !== loaded.seq || account.held !== loaded.held) accounts.push(account)
    if (account.closed !== loaded.closed) closed.push(account_id)
    const ids = new Set<string>()
    const bought = new Set<string>()
    const limited = new Set<string>()
    for (const outcome of outcomes) {
      if (outcome.purchase) bought.add(outcome.purchase.id)
      for (const { id } of outcome.budgets) limited.add(id)
      if (outcome.created)
        created.push({ account_id, ...outcome.created, budget_ids: listText(outcome.created.budget_ids) })
      for (const entry of outcome.entries) entries.push({ account_id, ...entry })
      for (const { id } of outcome.changed) ids.add(id)
      const { grant } = outcome
      if (grant) grants.push({ account_id, ...grant, granted_at: grant.credits > 0 ? now : null })
    }
    for (const id of ids) changed.push({ account_id, ...state.jobs.get(id) })
    for (const budget of [...limited].flatMap((id) => state.budgets.get(id) ?? []))
      budgets.push({ account_id, ...budget, apps: listText(budget.apps) })
    for (const purchase of [...bought].map((id) => state.purchases.get(id)))
      purchases.push({ account_id, ...purchase, refunds: JSON.stringify(purchase?.refunds), updated_at: now })
  }
  const queries: Query[] = []
  if (accounts.length) queries.push(updateAccounts(sharded).query(arraysOf(ACCOUNTS, accounts)))
  if (closed.length) queries.push(closeAccounts.query({ account_ids: closed, now: latest }))
  if (created.length) queries.push(insertJobs(sharded).query(arraysOf(NEW_JOBS, created)))
  if (changed.length) queries.push(updateJobs(sharded).query(arraysOf(JOBS, changed)))
  if (entries.length) queries.push(insertEntries(sharded).query(arraysOf(ENTRIES, entries)))
  if (grants.length) queries.push(upsertGrants.query(arraysOf(GRANTS, grants)))
  if (purchases.length) queries.push(updatePurchases(sharded).query(arraysOf(PURCHASES, purchases)))
  if (budgets.length) queries.push(upsertBudgets(sharded).query(arraysOf(BUDGETS, budgets)))
  return queries
}

/** Opens accounts that do not exist; in a transaction of its own, because it may wait for a rival that does the same. */
export const openAccounts = statement<{ ids: string[]; clerk_ids: string[] }, never>(
  'open_accounts',
  `insert into accounts (id, clerk_id) select * from unnest($ids::uuid[], $clerk_ids::text[])
  on conflict (id) do nothing returning id`,
)
