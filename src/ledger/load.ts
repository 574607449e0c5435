import { type Query, statement } from '../db/statement.ts'
import type { Budget, Counted } from './budgets.ts'
import { firstJobId } from './job-ids.ts'
import { mergeMetadata, oversized, readable } from './metadata.ts'
import type { Operation } from './operations.ts'
import type { Purchase } from './reconcile.ts'
import { MAX_CLOSED_HOLDS, refundReference } from './rules.ts'
import { type Arrays, arraysOf, forms, type Locking, ms, rowsOf } from './sets.ts'
import type { Account, App, Entry, Grant, Job, State } from './state.ts'
import type { Visit, Visits } from './visits.ts'

/** The first half of a posting: locks the accounts of a batch, and reads what its operations name into states. It decides nothing: rules.ts does. */

type Rows = unknown[]

/** What is read by id. */
const NAMED = { account_id: 'uuid', id: 'uuid' }

/** Waits for the lock of one account. */
const awaitLock = statement<Arrays, never>(
  'ledger_await_lock',
  `select id from accounts where id = any($account_ids::uuid[]) order by id for no key update`,
)

/** Locks accounts in order of id. Those that another transaction has locked are left out, and so are those that do not exist. */
const lockAccounts = statement<Arrays, never>(
  'ledger_lock',
  `select id, credits, held, seq, closed_at is not null as closed, ${ms('clock_timestamp()', 'now')}
  from accounts where id = any($account_ids::uuid[]) order by id for no key update skip locked`,
)

/**
 * The columns of a job, and its budgets as JSON: which they are is not known before it is read.
 * @param only a condition on the account of budgets, for the shard
 */
const jobColumns = (
  only: string,
) => `jobs.account_id, jobs.id, jobs.app_slug, jobs.action, jobs.status, jobs.reserved, jobs.actual_cost,
  jobs.requested_cost, jobs.refunded,
  ${readable('jobs.metadata', '::text')} as metadata, ${oversized} as oversized, jobs.failure_reason, ${ms('jobs.expires_at', 'expires_at')}, ${ms('jobs.created_at', 'created_at')},
  ${ms('jobs.updated_at', 'updated_at')}, jobs.ttl_seconds, jobs.idempotency_key, jobs.request_hash,
  jobs.token_id, jobs.grant_id, jobs.budget_ids, case when jobs.budget_ids is not null then (
    select json_agg(b)::text from (
      select ${BUDGET} from budgets where budgets.account_id = jobs.account_id and id = any(jobs.budget_ids) ${only}) b
  ) end as budgets`

/** SQL: the columns of a budget. */
export const BUDGET = `id, amount, period, apps, spent, ${ms('period_start', 'period_start')}, low_told, exceeded_told`
const readBudgets = forms(
  'ledger_budgets',
  ({ only }) => `select budgets.account_id, ${BUDGET.replace('id,', 'budgets.id,')}
  from ${rowsOf(NAMED, 'named')}
    join budgets on budgets.account_id = named.account_id and budgets.id = named.id
    ${only('budgets.account_id', '$account_id')}`,
)

/** How long a period is at most, in days. */
const LONGEST = { day: 1, week: 7, month: 31 } as const
const DAY_MS = 86_400_000
/** In place of a period, where a batch changes it more than once: it differs from each. */
const SEVERAL = 'several'
const NAMED_PERIODS = { account_id: 'uuid', id: 'uuid', period: 'text', first: 'uuid' }

/** What jobs hold and cost that count against a budget whose period changes, by the day in UTC on which they were reserved. */
const readCounted = forms(
  'ledger_counted',
  ({ only }) => `select jobs.account_id, named.id, ${ms("date_trunc('day', jobs.created_at, 'UTC')", 'at')},
    sum(case jobs.status when 'started' then jobs.reserved else jobs.actual_cost end)::bigint as credits
  from ${rowsOf(NAMED_PERIODS, 'named')}
    join budgets on budgets.account_id = named.account_id and budgets.id = named.id
      and budgets.period is distinct from named.period ${only('budgets.account_id', '$account_id')}
    join jobs on jobs.account_id = named.account_id and jobs.id >= named.first and jobs.budget_ids @> array[named.id]
      ${only('jobs.account_id', '$account_id')}
  group by jobs.account_id, named.id, date_trunc('day', jobs.created_at, 'UTC')`,
)

/** Jobs by id, and what their app says of them. */
const readJobs = forms(
  'ledger_jobs',
  ({ only }) => `select ${jobColumns(only('budgets.account_id', '$account_id'))},
    apps.settle_key_hash is not null as keyed, apps.max_overage, apps.max_overage_percent
  from ${rowsOf(NAMED, 'named')} join jobs on jobs.account_id = named.account_id and jobs.id = named.id
    ${only('jobs.account_id', '$account_id')} left join apps on apps.slug = jobs.app_slug`,
)

const NAMED_KEYS = { account_id: 'uuid', idempotency_key: 'text' }
const readKeys = forms(
  'ledger_keys',
  ({ only }) => `select ${jobColumns(only('budgets.account_id', '$account_id'))} from ${rowsOf(NAMED_KEYS, 'named')}
    join jobs on jobs.account_id = named.account_id and jobs.idempotency_key = named.idempotency_key
    ${only('jobs.account_id', '$account_id')}`,
)

const readApps = statement<{ slugs: string[] }, never>(
  'ledger_apps',
  'select slug, starter_credits, settle_key_hash is not null as keyed from apps where slug = any($slugs::text[])',
)

/** The account's own apps. */
const readGrants = statement<Arrays, never>(
  'ledger_grants',
  `select app_grants.account_id, app_grants.app_slug, app_grants.credits, apps.slug is not null as registered
  from app_grants left join apps on apps.slug = app_grants.app_slug where app_grants.account_id = any($account_ids::uuid[])`,
)

const NAMED_ENTRIES = { account_id: 'uuid', reference: 'text' }
const ENTRY = 'seq, job_id, kind, amount, balance_after, ledger_entries.reference, reason, actor'
const readEntries = forms(
  'ledger_references',
  ({ only }) => `select ledger_entries.account_id, ${ENTRY}, ${ms('created_at', 'created_at')}
  from ${rowsOf(NAMED_ENTRIES, 'named')}
    join ledger_entries on ledger_entries.account_id = named.account_id and ledger_entries.reference = named.reference
    ${only('ledger_entries.account_id', '$account_id')}`,
)

const readPurchases = forms(
  'ledger_purchases',
  ({ only }) => `select purchases.account_id, purchases.id, pack_name, credits, status, failure_reason, checkout_id,
    payment_id, reference, amount, refunds, taken_back, disputed, receipt_url, ${ms('paid_at', 'paid_at')}, version
  from ${rowsOf(NAMED, 'named')}
    join purchases on purchases.account_id = named.account_id and purchases.id = named.id
    ${only('purchases.account_id', '$account_id')}`,
)

/** The most overdue holds that are given back for one account at once. */
const MOST_OVERDUE = 200

/** Holds whose time is over, of accounts that are short of credits, the largest first. */
const readOverdue = forms(
  'ledger_overdue',
  ({ only }) => `select * from (
    select ${jobColumns(only('budgets.account_id', '$account_ids'))}, row_number() over (partition by account_id order by reserved desc, id) as place
    from jobs where account_id = any($account_ids::uuid[]) and status = 'started' and expires_at <= clock_timestamp() and reserved > 0
  ) as overdue where place <= ${MOST_OVERDUE} order by account_id, place`,
)

/** Holds of an account that is closed. */
const readHolds = statement<{ account_id: string }, never>(
  'ledger_holds',
  `select ${jobColumns('and budgets.account_id = $account_id::uuid')} from jobs where account_id = $account_id::uuid and status = 'started' order by id limit ${MAX_CLOSED_HOLDS}`,
)

/** What only `readJobs` reads. */
type OfApp = Pick<Job, 'keyed' | 'max_overage' | 'max_overage_percent'>
const NO_APP: OfApp = { keyed: false, max_overage: null, max_overage_percent: null }
/** `budgets` is JSON. */
type JobRecord = Omit<Job, keyof OfApp | 'merge'> & Partial<OfApp> & { account_id: string; budgets: string | null }

/** A query, and where its rows go. */
export interface Read {
  query: Query
  take(rows: Rows, states: Map<string, State>): void
}

/**
 * What is to be read for a batch, all of it in one round trip, beginning with the lock.
 * @param visits uses of apps that grant nothing: for them, the account's apps are not read
 */
export function load(operations: Operation[], { waits, sharded }: Locking, visits: Visits): Read[] {
  const account_ids = [...new Set(operations.map(({ account_id }) => account_id))]
  const jobs: { account_id: string; id: string }[] = []
  const patches = new Map<string, string>()
  const keys: object[] = []
  const references: object[] = []
  const purchases: object[] = []
  const budgets: object[] = []
  const periods = new Map<string, { account_id: string; id: string; period: string | null; first: string }>()
  const slugs = new Set<string>()
  const visitors = new Set<string>()
  const closing = new Set<string>()
  const nameBudgets = (account_id: string, ids: string[] = []) => {
    for (const id of ids) budgets.push({ account_id, id })
  }
  const namePeriod = ({ account_id, id, amount, period: given }: Operation & { type: 'limit' }) => {
    const period = amount === null ? null : given
    if (period === undefined) return
    // Jobs of longer ago do not count in a period.
    const first = firstJobId(new Date(period === null ? 0 : Date.now() - LONGEST[period] * DAY_MS))
    const named = { account_id, id, period, first }
    const other = periods.get(id)
    if (other) Object.assign(named, { period: SEVERAL, first: [first, other.first].sort()[0] })
    periods.set(id, named)
  }
  const visit = ({ account_id, app }: Visit) => {
    slugs.add(app)
    visitors.add(account_id)
  }
  for (const operation of operations) {
    const { account_id } = operation
    switch (operation.type) {
      case 'complete':
      case 'fail':
        jobs.push({ account_id, id: operation.job_id })
        nameBudgets(account_id, operation.by?.budget_ids)
        if (operation.metadata !== null) patches.set(`${account_id} ${operation.job_id}`, operation.metadata)
        break
      case 'heartbeat':
        jobs.push({ account_id, id: operation.job_id })
        nameBudgets(account_id, operation.by?.budget_ids)
        break
      case 'expire':
        jobs.push({ account_id, id: operation.job_id })
        break
      case 'reserve':
        if (operation.reposted) jobs.push({ account_id, id: operation.job_id })
        if (operation.idempotency_key !== null) keys.push({ account_id, idempotency_key: operation.idempotency_key })
        if (operation.ttl_without_key) slugs.add(operation.app)
        if (!visits.has(operation)) visit(operation)
        nameBudgets(account_id, operation.budget_ids)
        break
      case 'visit':
        visit(operation)
        break
      case 'adjust':
        references.push({ account_id, reference: operation.reference })
        break
      case 'refund':
        jobs.push({ account_id, id: operation.job_id })
        references.push({ account_id, reference: refundReference(operation.job_id, operation.part) })
        break
      case 'reconcile':
        purchases.push({ account_id, id: operation.purchase_id })
        break
      case 'limit':
        nameBudgets(account_id, [operation.id])
        namePeriod(operation)
        break
      case 'close':
        closing.add(account_id)
    }
  }
  const reads: Read[] = [{ query: lockAccounts.query({ account_ids }), take: takeAccounts }]
  if (waits) reads.unshift({ query: awaitLock.query({ account_ids }), take: () => {} })
  if (jobs.length) {
    const take = (rows: Rows, states: Map<string, State>) => takeJobs(rows, states, patches)
    reads.push({ query: readJobs(sharded).query(arraysOf(NAMED, jobs)), take })
  }
  if (keys.length) reads.push({ query: readKeys(sharded).query(arraysOf(NAMED_KEYS, keys)), take: takeJobs })
  if (slugs.size) reads.push({ query: readApps.query({ slugs: [...slugs] }), take: takeApps })
  if (visitors.size) reads.push(loadGrants([...visitors]))
  for (const account_id of closing) reads.push({ query: readHolds.query({ account_id }), take: takeJobs })
  if (references.length)
    reads.push({ query: readEntries(sharded).query(arraysOf(NAMED_ENTRIES, references)), take: takeEntries })
  if (purchases.length)
    reads.push({ query: readPurchases(sharded).query(arraysOf(NAMED, purchases)), take: takePurchases })
  if (budgets.length) reads.push({ query: readBudgets(sharded).query(arraysOf(NAMED, budgets)), take: takeBudgets })
  if (periods.size) {
    const named = [...periods.values()]
    const take = (rows: Rows, states: Map<string, State>) => takeCounted(rows, states, named)
    reads.push({ query: readCounted(sharded).query(arraysOf(NAMED_PERIODS, named)), take })
  }
  return reads
}

/** What accounts that are short of credits may still have: overdue holds, and starter credits. */
export function loadReserves(reserves: Visit[], visits: Visits, { sharded }: Locking): Read[] {
  const account_ids = [...new Set(reserves.map(({ account_id }) => account_id))]
  const overdue: Read = { query: readOverdue(sharded).query({ account_ids }), take: takeOverdue }
  const due = reserves.filter((visit) => !visits.isGranted(visit))
  if (due.length === 0) return [overdue]
  const slugs = [...new Set(due.map(({ app }) => app))]
  const apps: Read = { query: readApps.query({ slugs }), take: takeApps }
  return [overdue, apps, loadGrants(due.map(({ account_id }) => account_id))]
}

/** The apps of accounts that have been loaded. */
export const loadGrants = (account_ids: string[]): Read => ({
  query: readGrants.query({ account_ids }),
  take(rows, states) {
    for (const id of account_ids) {
      const state = states.get(id)
      if (state) state.grants = new Map()
    }
    for (const { account_id, ...grant } of rows as (Grant & { account_id: string })[])
      states.get(account_id)?.grants?.set(grant.app_slug, grant)
  },
})

function takeAccounts(rows: Rows, states: Map<string, State>): void {
  for (const { now, ...account } of rows as (Account & { now: number })[]) states.set(account.id, stateOf(account, now))
}

/** The state of an account of which nothing else has been read. */
export const stateOf = (account: Account, now: number): State => ({
  now,
  account,
  jobs: new Map(),
  keys: new Map(),
  overdue: [],
  apps: new Map(),
  grants: null,
  entries: new Map(),
  purchases: new Map(),
  budgets: new Map(),
  counted: new Map(),
})

/** @param patches the metadata that operations bring, by account and job */
function takeJobs(rows: Rows, states: Map<string, State>, patches?: Map<string, string>): void {
  for (const { account_id, budgets, ...row } of rows as JobRecord[]) {
    const state = states.get(account_id)
    if (!state) continue
    // Read by id already: that one knows what its operation makes of it.
    const known = state.jobs.get(row.id)
    const patch = patches?.get(`${account_id} ${row.id}`)
    const stored = row.oversized ? undefined : row.metadata
    const merge = patch === undefined ? null : mergeMetadata(stored, patch)
    const job: Job = known ?? { ...NO_APP, ...row, merge }
    state.jobs.set(job.id, job)
    if (job.idempotency_key !== null) state.keys.set(job.idempotency_key, job)
    if (budgets !== null) for (const budget of JSON.parse(budgets) as Budget[]) state.budgets.set(budget.id, budget)
  }
}

function takeOverdue(rows: Rows, states: Map<string, State>): void {
  takeJobs(rows, states)
  for (const { account_id, id } of rows as JobRecord[]) {
    const state = states.get(account_id)
    const job = state?.jobs.get(id)
    if (job) state?.overdue.push(job)
  }
}

function takeApps(rows: Rows, states: Map<string, State>): void {
  const apps = (rows as (App & { slug: string })[]).map(({ slug, ...app }) => [slug, app] as const)
  for (const state of states.values()) for (const [slug, app] of apps) state.apps.set(slug, app)
}

function takeEntries(rows: Rows, states: Map<string, State>): void {
  for (const { account_id, ...entry } of rows as (Entry & { account_id: string })[])
    if (entry.reference !== null) states.get(account_id)?.entries.set(entry.reference, entry)
}

function takePurchases(rows: Rows, states: Map<string, State>): void {
  for (const { account_id, ...purchase } of rows as (Purchase & { account_id: string })[])
    states.get(account_id)?.purchases.set(purchase.id, purchase)
}

function takeBudgets(rows: Rows, states: Map<string, State>): void {
  for (const { account_id, ...budget } of rows as (Budget & { account_id: string })[])
    states.get(account_id)?.budgets.set(budget.id, budget)
}

/** @param named the budgets that were asked about: those without rows have counted nothing */
function takeCounted(rows: Rows, states: Map<string, State>, named: { account_id: string; id: string }[]): void {
  for (const { account_id, id } of named) states.get(account_id)?.counted.set(id, [])
  for (const { account_id, id, ...counted } of rows as (Counted & { account_id: string; id: string })[])
    states.get(account_id)?.counted.get(id)?.push(counted)
}
