import { newBudget, withLimits } from './budgets.ts'
import { reconcile } from './reconcile.ts'
import { budgetOf, count, judge, outsideLimits } from './spending.ts'
import {
  type Account,
  type Adjust,
  begin,
  countedFor,
  type Entry,
  type Job,
  type Limit,
  type Movement,
  type Outcome,
  type Reconcile,
  type Refund,
  type Refusal,
  type Request,
  type Reserve,
  refused,
  repeated,
  type State,
} from './state.ts'

/**
 * The rules of the ledger, and the only place that knows them: `apply` takes the state of one account as it was loaded under the
 * account's lock, and an operation, and returns what becomes of both. It is pure and synchronous, and so are reconcile.ts, which it
 * asks about purchases, and spending.ts and budgets.ts, which it asks about budgets.
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
    token_id: request.token_id,
    grant_id: request.grant_id,
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
  outcome.created = job
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
  const foreign = outsideLimits(state, job, request.by)
  if (foreign) return refused(state, foreign)

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
  const foreign = outsideLimits(state, job, request.by)
  if (foreign) return refused(state, foreign)

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
  const foreign = outsideLimits(state, job, request.by)
  if (foreign) return refused(state, foreign)
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

/** Grants the starter credits of a registered app, once, where the balance has room for them, and remembers the app. */
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

/** Limits what a token or a grant may spend. The first limit begins to count now; with another period, what is spent is counted anew. */
function limit(state: State, request: Limit): Outcome {
  if (state.account.closed) return refused(state, { code: 'account_closed' })
  const { id } = request
  const known = budgetOf(state, id)
  const budget = withLimits(known ?? newBudget(id, state.now), request, state.counted.get(id) ?? [], state.now)
  if (!known && budget.amount === null && budget.apps === null) return repeated(state)
  return { ...begin(state), budgets: [budget] }
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
