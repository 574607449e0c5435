import {
  type Budget,
  type BudgetEvent,
  inPeriod,
  isBeyond,
  isLow,
  type Limits,
  newBudget,
  resetsAt,
  withLimits,
} from './budgets.ts'
import { type Payment, type Purchase, type PurchaseMovement, reconcile } from './reconcile.ts'

/**
 * The rules of the ledger, and the only place that knows them: `apply` takes the state of one account as it was loaded under the
 * account's lock, and an operation, and returns what becomes of both. It is pure and synchronous, and so are reconcile.ts, which it
 * asks about purchases, and budgets.ts.
 *
 * Credits are integers. Times are milliseconds since 1970 by the database's clock, with microseconds as their fraction.
 */

/** The largest amount or balance: beyond it a JSON number is not exact. */
export const MAX_CREDITS = Number.MAX_SAFE_INTEGER

/** The most metadata a job may carry: bytes of compact JSON, as it is sent and with its numbers in digits, as they are printed, ... */
export const MAX_METADATA_BYTES = 16_384
/** ... and values in it, at any depth. */
export const MAX_METADATA_VALUES = 1_000

/** Unregistered app slugs that are remembered per account; beyond that they are answered, not stored. */
export const MAX_UNREGISTERED_APPS = 50

/** How long a hold may live, in seconds. */
export const TTL_SECONDS = { min: 60, max: 604_800 } as const

/** Why a job failed whose account was closed. */
const ACCOUNT_CLOSED = 'account_closed'
/** Why a job failed that an administrator ended. */
const ENDED_BY_OPERATOR = 'ended_by_operator'

/** The most holds that closing an account ends in one posting; where there are more, it is posted again. */
export const MAX_CLOSED_HOLDS = 200

/** How long after its expiry a job may still be completed, and is charged for it. */
const LATE_MS = 7 * 86_400_000

/** The reference under which an app's starter grant stands in an account. */
const STARTER_REFERENCE = 'starter_grant:'
/** The reference of a job's refund: `refund:<job id>`, and `refund:<job id>:2` and so on for further parts. */
const REFUND_REFERENCE = 'refund:'
/** References that begin so are the service's own. */
export const OWN_REFERENCES = [STARTER_REFERENCE, REFUND_REFERENCE, 'stripe:', 'local:']

/** The most parts in which a job is refunded. */
export const MAX_REFUND_PARTS = 100

export const refundReference = (job_id: string, part: number): string =>
  `${REFUND_REFERENCE}${job_id}${part > 1 ? `:${part}` : ''}`

/** The job that an entry with this reference refunds; null: none. */
export const refundedJob = (reference: string | null): string | null =>
  /^refund:([0-9a-f]{8}-[0-9a-f-]{27})(:\d+)?$/.exec(reference ?? '')?.[1] ?? null

/** Who posted the entries of purchases. */
export const PAYMENTS = 'payments'

export type GivenKind = 'topup' | 'admin_grant' | 'adjustment'
type EndKind = 'job_refund' | 'job_overage' | 'job_release' | 'job_expire' | 'job_late_charge'
export type EntryKind = 'starter_grant' | GivenKind | 'job_reserve' | EndKind | PurchaseMovement['kind']

/** What is asked of the ledger, apart from whose account it is. */
export type Request =
  | Reserve
  | (Ending & { type: 'complete'; actual_cost: number })
  | (Ending & { type: 'fail'; refund: boolean; by_operator?: boolean })
  | { type: 'expire'; job_id: string }
  | (Claim & { type: 'heartbeat'; ttl_seconds: number | null; default_seconds: number })
  | { type: 'visit'; app: string }
  | Adjust
  | Refund
  | Reconcile
  | Limit
  | { type: 'close' }

export interface Reserve {
  type: 'reserve'
  /** Made once per request and kept when it is posted again, so that its own effect is found */
  job_id: string
  app: string
  action: string
  cost: number
  /** A JSON object, as text */
  metadata: string | null
  idempotency_key: string | null
  /** Hash of what was asked for; null without a key */
  request_hash: string | null
  /** The hold's life; a heartbeat may extend it */
  ttl_seconds: number
  /** The caller asked for that life without a settle key, which is not theirs to say where the app has one */
  ttl_without_key: boolean
  /** The token and the grant by which it is asked; null: a person */
  token_id: string | null
  grant_id: string | null
  /** Their budgets: those of the token, of what made it, of the grant. An id without a budget limits nothing */
  budget_ids: string[]
}

interface Claim {
  job_id: string
  /** The app whose settle key was shown; null: a person's token, which is not enough where the job's app has a key */
  key_of: string | null
}

interface Ending extends Claim {
  /** A JSON object as text, to be merged into the job's; null leaves that alone */
  metadata: string | null
  /** It was posted before and its answer was lost */
  reposted?: boolean
}

export interface Adjust {
  type: 'adjust'
  /** Not 0; negative takes credits */
  amount: number
  kind: GivenKind
  /** Unique per account: the same again is a repeat and moves nothing */
  reference: string
  reason: string
  actor: string
  allow_negative: boolean
}

/** Gives back what a job cost, or a part of it. */
export interface Refund {
  type: 'refund'
  job_id: string
  /** null: what the job cost and other parts have not given back */
  amount: number | null
  /** 1 and up: the same part and amount again is a repeat and moves nothing */
  part: number
  reason: string
  actor: string
}

/** A payment provider was asked about a purchase. */
export interface Reconcile {
  type: 'reconcile'
  purchase_id: string
  /** Of the purchase, as it was read before the provider was asked: between two reports, the older one must not win */
  version: number
  payment: Payment
}

/** Limits what a token or a grant may spend; what is not given stays. */
export interface Limit extends Partial<Limits> {
  type: 'limit'
  /** Of the token or grant */
  id: string
}

/** What is known of one account. */
export interface State {
  /** Read after the lock was taken */
  now: number
  account: Account
  /** Those that operations name, by id, and by idempotency key */
  jobs: Map<string, Job>
  keys: Map<string, Job>
  /** Holds that are past their time, largest first; read where credits may be short */
  overdue: Job[]
  /** Registered apps that operations name, by slug */
  apps: Map<string, App>
  /** The account's own apps, by slug; null: not read, as no operation needs them */
  grants: Map<string, Grant> | null
  /** Entries with the references that operations name */
  entries: Map<string, Entry>
  /** Those that operations name, by id */
  purchases: Map<string, Purchase>
  /** Those that operations name, and those of loaded jobs, by id */
  budgets: Map<string, Budget>
}

export interface Account {
  id: string
  /** Spendable: holds are deducted already */
  credits: number
  held: number
  /** The number of the last entry */
  seq: number
  closed: boolean
}

export interface Job {
  id: string
  app_slug: string
  action: string
  status: 'started' | 'completed' | 'failed'
  reserved: number
  actual_cost: number
  /** What its completion asked for, where the app's cap charged less; null: it is the actual cost */
  requested_cost: number | null
  /** What administrators have given back of the actual cost */
  refunded: number
  /** A JSON object, as text; null where it is too large to be loaded, too: then it stays as it is stored */
  metadata: string | null
  /** Its metadata was stored before there were bounds, and is too large to be loaded */
  oversized: boolean
  /** The budgets that it counts against; null: none */
  budget_ids: string[] | null
  failure_reason: string | null
  expires_at: number
  created_at: number
  updated_at: number
  ttl_seconds: number | null
  idempotency_key: string | null
  request_hash: string | null
  /** Its app has a settle key */
  keyed: boolean
  /** How far its cost may pass what it reserves, in credits or percent of that; null: its app does not say */
  max_overage: number | null
  max_overage_percent: number | null
  /** What an operation's metadata makes of the job's; null: the operation has none */
  merge: Merge | null
}

/** A job that is to be stored for the first time. */
export type NewJob = Job & Pick<Reserve, 'token_id' | 'grant_id'>

export interface Merge {
  /** Both, as text: new keys win */
  text: string
  /** That would be too large: the job keeps what it had */
  too_large: boolean
  /** The job has all of it already */
  same: boolean
}

export interface App {
  starter_credits: number
  /** Has a settle key */
  keyed: boolean
}

export interface Grant {
  app_slug: string
  /** Starter credits; 0: the app was seen, and nothing granted */
  credits: number
  registered: boolean
}

export interface Entry {
  seq: number
  job_id: string | null
  kind: EntryKind
  amount: number
  balance_after: number
  reference: string | null
  reason: string | null
  actor: string | null
  created_at: number
}

/** What an entry does to the spendable balance. */
export interface Movement {
  kind: EntryKind
  amount: number
}

/** A job that has ended, of which its app may want to be told, and the account after that. */
export interface Ended {
  job: Job
  account: Account
}

export type Refusal =
  | { code: 'job_not_found' | 'settle_key_required' | 'account_closed' | 'idempotency_key_reused' }
  | { code: 'balance_out_of_range' }
  | { code: 'purchase_not_found' | 'purchase_changed' }
  | { code: 'insufficient_credits'; required: number; available: number }
  | { code: 'key_of_ended_job'; job: Job }
  | { code: 'job_already_ended'; job: Job; other_metadata: boolean }
  | { code: 'reference_reused'; entry: Entry }
  | { code: 'would_go_negative'; available: number }
  | { code: 'job_not_ended' }
  | { code: 'refund_exceeds_cost'; refundable: number }
  | { code: 'app_not_allowed'; apps: string[] }
  | { code: 'budget_exceeded'; budget: number; spent: number; resets_at: number | null }

export interface Outcome {
  /** Why the operation was not done; null: it is, now or before */
  refusal: Refusal | null
  /** It had been done before: nothing moved */
  repeated: boolean
  /** The job that it speaks of, as it is now */
  job: Job | null
  /** The entry of an adjustment */
  entry: Entry | null
  /** The account after it */
  account: Account
  /** To be stored. A refusal may carry some too: holds that were overdue are given back before credits are said to be short */
  created: NewJob | null
  changed: Job[]
  entries: Entry[]
  grant: Grant | null
  purchase: Purchase | null
  budgets: Budget[]
  ended: Ended[]
  /** Of budgets, that an app may want to be told */
  told: BudgetEvent[]
}

/** What becomes of an operation. The state is left as it is; `follow` takes the outcome in. */
export function apply(state: State, request: Request): Outcome {
  switch (request.type) {
    case 'reserve':
      return reserve(state, request)
    case 'complete':
      return complete(state, request)
    case 'fail':
      return fail(state, request)
    case 'expire':
      return expire(state, request)
    case 'heartbeat':
      return heartbeat(state, request)
    case 'visit':
      return visit(state, request)
    case 'adjust':
      return adjust(state, request)
    case 'refund':
      return refundJob(state, request)
    case 'reconcile':
      return settlePurchase(state, request)
    case 'limit':
      return limit(state, request)
    case 'close':
      return close(state)
  }
}

/** Takes an outcome into the state: the next operation of the account sees it. */
export function follow(state: State, { account, created, changed, entries, grant, purchase, budgets }: Outcome): void {
  state.account = account
  for (const job of created ? [created, ...changed] : changed) {
    state.jobs.set(job.id, job)
    if (job.idempotency_key !== null) state.keys.set(job.idempotency_key, job)
  }
  for (const entry of entries) if (entry.reference !== null) state.entries.set(entry.reference, entry)
  if (grant) state.grants?.set(grant.app_slug, grant)
  if (purchase) state.purchases.set(purchase.id, purchase)
  for (const budget of budgets) state.budgets.set(budget.id, budget)
}

/** Holds credits for a new job. The first one for an app takes the starter credits that are due. */
function reserve(state: State, request: Reserve): Outcome {
  const { job_id, app, cost, idempotency_key } = request
  const own = state.jobs.get(job_id)
  if (own) return repeated(state, own)
  if (request.ttl_without_key && state.apps.get(app)?.keyed) return refused(state, { code: 'settle_key_required' })
  // Before any 402: the hold of the very request that is repeated may be what emptied the wallet.
  const earlier = idempotency_key === null ? undefined : state.keys.get(idempotency_key)
  if (earlier && earlier.request_hash !== request.request_hash)
    return refused(state, { code: 'idempotency_key_reused' })
  // Nothing is held for a job that has ended: whoever repeats its request would work for nothing.
  if (earlier && earlier.status !== 'started') return refused(state, { code: 'key_of_ended_job', job: earlier })
  if (earlier) return repeated(state, earlier)
  if (state.account.closed) return refused(state, { code: 'account_closed' })
  const budgets = request.budget_ids.flatMap((id) => budgetOf(state, id) ?? [])
  const beyond = judge(state, budgets, app, cost)
  if (beyond) return beyond

  const outcome = begin(state)
  if (state.grants) grantStarter(state, outcome, app)
  for (const { id } of state.overdue) {
    if (outcome.account.credits >= cost) break
    const hold = state.jobs.get(id)
    if (hold?.status === 'started' && hold.expires_at <= state.now) giveBack(state, outcome, hold, 'expired')
  }
  const available = outcome.account.credits
  // A balance below zero refuses a job that costs nothing, too.
  if (available < cost) {
    const refusal: Refusal = { code: 'insufficient_credits', required: cost, available }
    // What was due stays. That the app was used is remembered with a job.
    return { ...outcome, refusal, grant: outcome.grant?.credits ? outcome.grant : null }
  }

  outcome.account.held += cost
  move(state, outcome, { kind: 'job_reserve', amount: -cost }, { job_id })
  const job: Job = {
    id: job_id,
    app_slug: app,
    action: request.action,
    status: 'started',
    reserved: cost,
    actual_cost: 0,
    requested_cost: null,
    refunded: 0,
    metadata: request.metadata,
    oversized: false,
    budget_ids: budgets.length > 0 ? budgets.map(({ id }) => id) : null,
    failure_reason: null,
    expires_at: state.now + request.ttl_seconds * 1000,
    created_at: state.now,
    updated_at: state.now,
    ttl_seconds: request.ttl_seconds,
    idempotency_key,
    request_hash: request.request_hash,
    keyed: false,
    max_overage: null,
    max_overage_percent: null,
    merge: null,
  }
  count(state, outcome, job, cost)
  outcome.job = job
  outcome.created = { ...job, token_id: request.token_id, grant_id: request.grant_id }
  return outcome
}

/**
 * Completes a job at what it cost. What is left of the hold comes back; what it lacks is charged, below zero if need be: the work
 * is done. A job whose hold has expired has got everything back, so it is charged for all that it cost, for seven days.
 */
function complete(state: State, request: Extract<Request, { type: 'complete' }>): Outcome {
  const { job_id, key_of, actual_cost } = request
  const job = state.jobs.get(job_id)
  if (!job || (key_of !== null && key_of !== job.app_slug)) return refused(state, { code: 'job_not_found' })
  const sameEnd = job.status === 'completed' && (job.requested_cost ?? job.actual_cost) === actual_cost
  if (sameEnd && hasMetadata(job) && request.reposted) return repeated(state, job)
  if (key_of === null && job.keyed) return refused(state, { code: 'settle_key_required' })

  if (job.failure_reason === ACCOUNT_CLOSED) return refused(state, { code: 'account_closed' })
  const late = job.status === 'failed' && job.failure_reason === 'expired' && job.expires_at + LATE_MS > state.now
  if (job.status === 'started' || late) {
    if (state.account.closed) return refused(state, { code: 'account_closed' })
    const outcome = begin(state)
    const charged = chargedFor(job, actual_cost)
    const requested_cost = charged < actual_cost ? actual_cost : null
    const ended: Job = { ...job, status: 'completed', actual_cost: charged, requested_cost }
    if (!late) outcome.account.held -= job.reserved
    settle(state, outcome, ended)
    return inRange(state, outcome)
  }

  if (sameEnd && hasMetadata(job)) return repeated(state, job)
  return refused(state, { code: 'job_already_ended', job, other_metadata: sameEnd })
}

/** What a job is charged that is said to have cost so much: its app may cap what passes the reserve. */
function chargedFor({ reserved, max_overage, max_overage_percent: percent }: Job, cost: number): number {
  const share = percent === null ? null : Math.floor((reserved * percent) / 100)
  return Math.min(cost, reserved + (max_overage ?? share ?? cost))
}

/** Fails a job: with a refund its hold comes back, without it the hold is what the job cost. */
function fail(state: State, request: Extract<Request, { type: 'fail' }>): Outcome {
  const { job_id, key_of, refund } = request
  const job = state.jobs.get(job_id)
  if (!job || (key_of !== null && key_of !== job.app_slug)) return refused(state, { code: 'job_not_found' })
  const actual_cost = refund ? 0 : job.reserved
  // An expired hold was given back; to keep it is another ending, even where it was worth nothing.
  const sameEnd =
    job.status === 'failed' && job.actual_cost === actual_cost && (refund || job.failure_reason !== 'expired')
  if (sameEnd && hasMetadata(job) && request.reposted) return repeated(state, job)
  if (key_of === null && job.keyed) return refused(state, { code: 'settle_key_required' })

  if (job.failure_reason === ACCOUNT_CLOSED) return refused(state, { code: 'account_closed' })
  if (job.status === 'started') {
    if (state.account.closed) return refused(state, { code: 'account_closed' })
    const outcome = begin(state)
    outcome.account.held -= job.reserved
    const failure_reason = request.by_operator ? ENDED_BY_OPERATOR : job.failure_reason
    settle(state, outcome, { ...job, status: 'failed', actual_cost, failure_reason })
    return outcome
  }

  if (sameEnd && hasMetadata(job)) return repeated(state, job)
  return refused(state, { code: 'job_already_ended', job, other_metadata: sameEnd })
}

/**
 * Gives an overdue hold back. Nothing happens where the job has ended, or a heartbeat was faster. The hold of a closed account, which
 * an earlier release left behind, ends as closing would have ended it.
 */
function expire(state: State, { job_id }: Extract<Request, { type: 'expire' }>): Outcome {
  const job = state.jobs.get(job_id)
  const due = job?.status === 'started' && job.expires_at <= state.now
  if (!due) return repeated(state, job ?? null)
  const outcome = begin(state)
  giveBack(state, outcome, job, state.account.closed ? ACCOUNT_CLOSED : 'expired')
  return outcome
}

/** Extends the hold of a job that is alive; never shortens it. */
function heartbeat(state: State, request: Extract<Request, { type: 'heartbeat' }>): Outcome {
  const { job_id, key_of, ttl_seconds, default_seconds } = request
  const job = state.jobs.get(job_id)
  if (!job || (key_of !== null && key_of !== job.app_slug)) return refused(state, { code: 'job_not_found' })
  if (key_of === null && job.keyed) return refused(state, { code: 'settle_key_required' })
  if (job.failure_reason === ACCOUNT_CLOSED) return refused(state, { code: 'account_closed' })
  if (job.status !== 'started') return refused(state, { code: 'job_already_ended', job, other_metadata: false })
  if (state.account.closed) return refused(state, { code: 'account_closed' })

  const outcome = begin(state)
  // Jobs of a release that did not keep their life have none.
  const until = state.now + (ttl_seconds ?? job.ttl_seconds ?? default_seconds) * 1000
  outcome.job = { ...job, expires_at: Math.max(job.expires_at, until), updated_at: state.now }
  outcome.changed.push(outcome.job)
  return outcome
}

/**
 * The account uses an app: starter credits of a registered one are granted once, and the app is remembered. Nothing happens where
 * the balance has no room for them: looking at a wallet does not fail.
 */
function visit(state: State, { app: slug }: Extract<Request, { type: 'visit' }>): Outcome {
  const { account, grants } = state
  if (account.closed || !grants) return repeated(state)
  const outcome = begin(state)
  grantStarter(state, outcome, slug)
  if (outcome.grant) return outcome
  const strangers = [...grants.values()].filter(({ credits, registered }) => credits === 0 && !registered)
  if (state.apps.has(slug) || grants.has(slug) || strangers.length >= MAX_UNREGISTERED_APPS) return repeated(state)
  outcome.grant = { app_slug: slug, credits: 0, registered: false }
  return outcome
}

/**
 * Grants the starter credits of a registered app, once, and remembers the app. Nothing happens where the balance has no room for
 * them.
 */
function grantStarter(state: State, outcome: Outcome, slug: string): void {
  const app = state.apps.get(slug)
  const grant = state.grants?.get(slug)
  if (!app || grant?.credits) return
  const amount = app.starter_credits
  const { credits, held } = outcome.account
  if (!fits({ credits: credits + amount, held })) return
  if (amount > 0) {
    move(state, outcome, { kind: 'starter_grant', amount }, { reference: `${STARTER_REFERENCE}${slug}` })
    outcome.grant = { app_slug: slug, credits: amount, registered: true }
  } else if (!grant) outcome.grant = { app_slug: slug, credits: 0, registered: true }
}

/** Gives or takes credits from outside: a purchase, a gift, a correction. */
function adjust(state: State, request: Adjust): Outcome {
  const { amount, kind, reference, reason, actor } = request
  const earlier = state.entries.get(reference)
  if (earlier) {
    const same = earlier.kind === kind && earlier.amount === amount && earlier.reason === reason
    return same ? { ...repeated(state), entry: earlier } : refused(state, { code: 'reference_reused', entry: earlier })
  }
  if (state.account.closed) return refused(state, { code: 'account_closed' })
  const { credits } = state.account
  if (amount < 0 && credits + amount < 0 && !request.allow_negative)
    return refused(state, { code: 'would_go_negative', available: credits })

  const outcome = begin(state)
  move(state, outcome, { kind, amount }, { reference, reason, actor })
  outcome.entry = outcome.entries[0] ?? null
  return inRange(state, outcome)
}

/** Gives back what a job cost, in one part or several that never exceed it. The job keeps its cost: its own entries sum to it. */
function refundJob(state: State, { job_id, amount, part, reason, actor }: Refund): Outcome {
  const job = state.jobs.get(job_id)
  if (!job) return refused(state, { code: 'job_not_found' })
  const reference = refundReference(job_id, part)
  const earlier = state.entries.get(reference)
  const refundable = job.actual_cost - job.refunded + (earlier?.amount ?? 0)
  const given = amount ?? refundable
  if (earlier && earlier.amount === given) return { ...repeated(state, job), entry: earlier }
  if (earlier) return refused(state, { code: 'reference_reused', entry: earlier })
  if (state.account.closed) return refused(state, { code: 'account_closed' })
  if (job.status === 'started') return refused(state, { code: 'job_not_ended' })
  if (given === 0 || given > refundable) return refused(state, { code: 'refund_exceeds_cost', refundable })

  const outcome = begin(state)
  move(state, outcome, { kind: 'adjustment', amount: given }, { reference, reason, actor })
  outcome.entry = outcome.entries[0] ?? null
  outcome.job = { ...job, refunded: job.refunded + given }
  outcome.changed.push(outcome.job)
  return inRange(state, outcome)
}

/** Posts what a payment provider says of a purchase and the ledger does not have yet: credits bought, taken back, given again. */
function settlePurchase(state: State, { purchase_id, version, payment }: Reconcile): Outcome {
  const known = state.purchases.get(purchase_id)
  if (!known) return refused(state, { code: 'purchase_not_found' })
  if (known.version !== version) return refused(state, { code: 'purchase_changed' })
  const { purchase, movements, changed } = reconcile(known, payment, state.now)
  if (!changed) return repeated(state)
  if (movements.length > 0 && state.account.closed) return refused(state, { code: 'account_closed' })

  const outcome = begin(state)
  for (const { reference, reason, ...movement } of movements)
    move(state, outcome, movement, { reference, reason, actor: PAYMENTS })
  // A receipt says who has paid; of somebody who was erased nothing is kept that does.
  outcome.purchase = state.account.closed ? { ...purchase, receipt_url: known.receipt_url } : purchase
  return inRange(state, outcome)
}

/** Limits what a token or a grant may spend. The first limit begins to count now; a later one changes nothing of what is spent. */
function limit(state: State, { id, amount, period, apps }: Limit): Outcome {
  if (state.account.closed) return refused(state, { code: 'account_closed' })
  const known = budgetOf(state, id)
  const budget = withLimits(known ?? newBudget(id, state.now), { amount, period, apps }, state.now)
  if (!known && budget.amount === null && budget.apps === null) return repeated(state)
  return { ...begin(state), budgets: [budget] }
}

/** A budget as it is now. */
const budgetOf = ({ budgets, now }: State, id: string): Budget | undefined => {
  const budget = budgets.get(id)
  return budget && inPeriod(budget, now)
}

/** Why budgets do not let a job begin; undefined: they do. The first time in a period that one is exceeded is told. */
function judge(state: State, budgets: Budget[], app: string, cost: number): Outcome | undefined {
  const elsewhere = budgets.find(({ apps }) => apps !== null && !apps.includes(app))
  if (elsewhere?.apps) return refused(state, { code: 'app_not_allowed', apps: elsewhere.apps })
  const full = budgets.filter((budget) => isBeyond(budget, cost))
  const [first] = full
  if (first?.amount == null) return undefined
  const refusal = { budget: first.amount, spent: first.spent, resets_at: resetsAt(first, state.now) }
  const outcome = refused(state, { code: 'budget_exceeded', ...refusal })
  for (const budget of full)
    if (!budget.exceeded_told) tell(outcome, 'budget.exceeded', app, { ...budget, exceeded_told: true })
  return outcome
}

/** What a job counts for in budgets. */
const countedFor = ({ status, reserved, actual_cost }: Job): number => (status === 'started' ? reserved : actual_cost)

/** Counts a job's change against its budgets, unless it is of a period that is over. */
function count(state: State, outcome: Outcome, job: Job, change: number): void {
  if (change === 0) return
  for (const id of job.budget_ids ?? []) {
    const stored = outcome.budgets.find((budget) => budget.id === id) ?? state.budgets.get(id)
    if (!stored) continue
    const budget = inPeriod(stored, state.now)
    if (job.created_at >= budget.period_start) spend(outcome, job.app_slug, budget, change)
    // The row speaks of a period in which the job counted for something else.
    else if (budget !== stored) put(outcome, budget)
  }
}

function spend(outcome: Outcome, app: string, before: Budget, change: number): void {
  const budget = { ...before, spent: before.spent + change }
  put(outcome, budget)
  if (change < 0) return
  if (isLow(budget) && !budget.low_told) {
    budget.low_told = true
    tell(outcome, 'budget.low', app, budget)
  }
  // What a job costs beyond its reserve may pass the budget: the work is done.
  if (isBeyond(budget, 0) && !budget.exceeded_told) {
    budget.exceeded_told = true
    tell(outcome, 'budget.exceeded', app, budget)
  }
}

function put(outcome: Outcome, budget: Budget): void {
  outcome.budgets = [...outcome.budgets.filter(({ id }) => id !== budget.id), budget]
}

function tell(outcome: Outcome, event: BudgetEvent['event'], app: string, budget: Budget): void {
  put(outcome, budget)
  outcome.told.push({ event, app, budget })
}

/** The end of an account: its holds come back, and nothing is posted to it any more. */
function close(state: State): Outcome {
  const outcome = begin(state)
  for (const job of state.jobs.values()) if (job.status === 'started') giveBack(state, outcome, job, ACCOUNT_CLOSED)
  if (state.account.closed && outcome.changed.length === 0) return repeated(state)
  outcome.job = null
  outcome.account.closed = true
  return outcome
}

/** Ends a job without its caller: everything comes back. */
function giveBack(state: State, outcome: Outcome, hold: Job, failure_reason: 'expired' | typeof ACCOUNT_CLOSED): Job {
  outcome.account.held -= hold.reserved
  // The merge that a later operation of the batch asked for stays on the job for that operation.
  return settle(state, outcome, { ...hold, status: 'failed', actual_cost: 0, failure_reason }, hold.metadata)
}

const mergedOf = ({ merge, metadata }: Job) => (merge && !merge.too_large ? merge.text : metadata)

/** Writes the end of a job: its movement, its row, and what its app is told. */
function settle(state: State, outcome: Outcome, job: Job, metadata = mergedOf(job)): Job {
  const movement = settlement(job)
  if (movement) move(state, outcome, movement, { job_id: job.id })
  const ended = { ...job, metadata, updated_at: state.now }
  const before = state.jobs.get(job.id)
  if (before) count(state, outcome, ended, countedFor(ended) - countedFor(before))
  outcome.job = ended
  outcome.changed.push(ended)
  outcome.ended.push({ job: ended, account: { ...outcome.account } })
  return ended
}

/**
 * What the end of a job has moved; null where nothing: zero amounts write no entry. A completed job that has expired before had no
 * hold any more.
 */
export function settlement(job: Pick<Job, 'status' | 'failure_reason' | 'reserved' | 'actual_cost'>): Movement | null {
  const late = job.status === 'completed' && job.failure_reason === 'expired'
  const amount = (late ? 0 : job.reserved) - job.actual_cost
  if (job.status === 'started' || amount === 0) return null
  if (late) return { kind: 'job_late_charge', amount }
  if (amount < 0) return { kind: 'job_overage', amount }
  if (job.status === 'completed') return { kind: 'job_refund', amount }
  return { kind: job.failure_reason === 'expired' ? 'job_expire' : 'job_release', amount }
}

/** Changes the balance and writes the entry that says so; none for zero. */
function move(
  { now }: State,
  outcome: Outcome,
  { kind, amount }: Movement,
  given: Partial<Pick<Entry, 'job_id' | 'reference' | 'reason' | 'actor'>>,
): void {
  if (amount === 0) return
  const { account } = outcome
  account.credits += amount
  account.seq += 1
  const { job_id = null, reference = null, reason = null, actor = null } = given
  const { seq, credits: balance_after } = account
  outcome.entries.push({ seq, job_id, kind, amount, balance_after, reference, reason, actor, created_at: now })
}

/** Whether the balance, and what it becomes when every hold comes back, are exact numbers. */
const fits = ({ credits, held }: Pick<Account, 'credits' | 'held'>): boolean =>
  credits >= -MAX_CREDITS && credits + held <= MAX_CREDITS

const inRange = (state: State, outcome: Outcome): Outcome =>
  fits(outcome.account) ? outcome : refused(state, { code: 'balance_out_of_range' })

/** Whether the job's metadata is as the operation wants it; what was too large then is too large again. */
const hasMetadata = ({ merge }: Job): boolean => !merge || merge.same || merge.too_large

/** An outcome that nothing has been done for yet. */
const begin = ({ account }: State): Outcome => ({
  refusal: null,
  repeated: false,
  job: null,
  entry: null,
  account: { ...account },
  created: null,
  changed: [],
  entries: [],
  grant: null,
  purchase: null,
  budgets: [],
  ended: [],
  told: [],
})

const refused = (state: State, refusal: Refusal): Outcome => ({ ...begin(state), refusal })

const repeated = (state: State, job: Job | null = null): Outcome => ({ ...begin(state), repeated: true, job })
