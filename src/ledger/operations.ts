import type { Query } from '../db/statement.ts'
import {
  accountClosed,
  appNotAllowed,
  balanceOutOfRange,
  budgetExceeded,
  idempotencyKeyReused,
  insufficientCredits,
  jobAlreadyEnded,
  jobNotEnded,
  jobNotFound,
  jobOutsideLimits,
  keyOfEndedJob,
  referenceReused,
  refundExceedsCost,
  settleKeyRequired,
  wouldGoNegative,
} from '../http/catalogue.ts'
import { timestamp } from '../webhooks/outbox.ts'
import type { Limits } from './budgets.ts'
import type { JobRow } from './read.ts'
import { refundedJob, settlement } from './rules.ts'
import type { EntryRow } from './selection.ts'
import type {
  Account,
  Adjust,
  Entry,
  Job,
  Claim as JobClaim,
  Movement,
  Outcome,
  Reconcile,
  Refund,
  Request,
  Reserve,
} from './state.ts'

/**
 * What the ledger is asked, and what it answers: each function below posts one operation and says its outcome in the words of the
 * API. Each may be called again with the same values: it finds its own effect, and moves nothing.
 *
 * All throw {ApiError} 503 overloaded and {DatabaseUnavailable}; what else is written at each.
 */

/** One operation on one account. */
export type Operation = Request & {
  account_id: string
  /** Opens the account, of this Clerk user, where it does not exist; absent: nothing is done then */
  clerk_id?: string
  /** Statements that are committed with the operation, where it moves or changes something */
  rows?: Rows | undefined
  /** It was posted before and its answer was lost */
  reposted?: boolean
}

/** @param before the account as the operation found it */
export type Rows = (before: Account, outcome: Outcome) => Query[]

/** The one way to post: see poster.ts. */
export interface Ledger {
  /** Resolves when the operation is committed, or refused. @throws {ApiError} 503 overloaded; {DatabaseUnavailable} */
  post(operation: Operation): Promise<Outcome>
  /** How many operations wait for others, but not for a lock; and how many had their turn */
  waiting(): number
  served(): number
  /** Resolves when everything that was posted has ended */
  close(): Promise<void>
}

/** A job that a caller speaks of. */
export type Claim = { account_id: string } & JobClaim

/** A job as it is answered; `metadata` is undefined where it is too large to be read with a batch: `readMetadata` reads it. */
export type SettledJob = Omit<JobRow, 'metadata'> & { metadata: JobRow['metadata'] | undefined }

export interface Settled {
  job: SettledJob
  balance: { credits: number; held: number }
  movement: Movement | null
  /** The given metadata would have made the job's too large; the job keeps what it had */
  metadata_kept: boolean
  /** The app's cap charged less than was asked for */
  capped: boolean
  /** It had been done before */
  repeated: boolean
}

/**
 * Reserves credits for a new job.
 * @throws {ApiError} 402 insufficient_credits with `required` and `available`, 403 settle_key_required, 403 account_closed, 403
 *   app_not_allowed and budget_exceeded by the budgets of the token or grant,
 *   409 job_already_ended where the key is that of a job which has ended, 422 idempotency_key_reused
 */
export async function reserve(
  ledger: Ledger,
  caller: { id: string; clerk_id: string },
  request: Omit<Reserve, 'type'>,
): Promise<{ job_id: string; expires_at: Date; status: Job['status']; replayed: boolean }> {
  const operation: Operation = { type: 'reserve', account_id: caller.id, clerk_id: caller.clerk_id, ...request }
  const { id, expires_at, status } = jobOf(done(await ledger.post(operation)))
  return { job_id: id, expires_at: new Date(expires_at), status, replayed: id !== request.job_id }
}

/**
 * Completes a job at what it cost; where its hold has expired, it is charged.
 * @param metadata a JSON object as text, merged into the job's; null leaves that alone
 * @throws {ApiError} 403 settle_key_required, 403 job_outside_limits and app_not_allowed by a token with limits, 403 account_closed,
 *   404 job_not_found, 409 job_already_ended, 409 balance_out_of_range
 */
export async function complete(ledger: Ledger, claim: Claim, actual_cost: number, metadata: string | null) {
  return settled(await ledger.post({ type: 'complete', ...named(claim), actual_cost, metadata }))
}

/** Fails a job, with its hold given back or kept. @throws as complete */
export async function fail(ledger: Ledger, claim: Claim, refund: boolean, metadata: string | null = null) {
  return settled(await ledger.post({ type: 'fail', ...named(claim), refund, metadata }))
}

/** Fails a job that its app does not end. @param app_slug the job's app, for which the operator speaks @throws as complete */
export async function endForOperator(
  ledger: Ledger,
  { account_id, job_id, app_slug }: { account_id: string; job_id: string; app_slug: string },
  refund: boolean,
  rows: Rows,
) {
  const claim = named({ account_id, job_id, key_of: app_slug })
  return settled(await ledger.post({ type: 'fail', ...claim, refund, metadata: null, by_operator: true, rows }))
}

/** Gives an overdue hold back. @returns whether this call did; false where the job has ended or a heartbeat was faster */
export async function expire(ledger: Ledger, job: { account_id: string; job_id: string }): Promise<boolean> {
  return !done(await ledger.post({ type: 'expire', ...job })).repeated
}

/**
 * Extends the hold of a job that is alive; never shortens it.
 * @param ttl_seconds from now; null: as long as the job was created with
 * @param default_seconds for a job of a release that did not keep that
 * @throws as complete, but for balance_out_of_range
 */
export async function heartbeat(
  ledger: Ledger,
  claim: Claim,
  ttl_seconds: number | null,
  default_seconds: number,
): Promise<SettledJob> {
  const operation: Operation = { type: 'heartbeat', ...named(claim), ttl_seconds, default_seconds }
  return withMetadata(jobOf(done(await ledger.post(operation))))
}

/** The account uses an app: grants the starter credits that are due, else remembers the app; opens the account. */
export async function visit(ledger: Ledger, caller: { id: string; clerk_id: string }, app: string): Promise<void> {
  done(await ledger.post({ type: 'visit', account_id: caller.id, clerk_id: caller.clerk_id, app }))
}

/**
 * Gives or takes credits from outside; opens the account.
 * @param rows committed with the entry
 * @throws {ApiError} 409 reference_reused, 409 would_go_negative, 409 balance_out_of_range, 403 account_closed
 */
export async function adjust(
  ledger: Ledger,
  owner: { id: string; clerk_id: string },
  adjustment: Omit<Adjust, 'type'>,
  rows?: Rows,
): Promise<EntryRow> {
  const operation: Operation = { type: 'adjust', account_id: owner.id, clerk_id: owner.clerk_id, rows, ...adjustment }
  const { entry } = done(await ledger.post(operation))
  if (!entry) throw new Error('an adjustment without an entry')
  return entryRow(entry)
}

/**
 * Posts what a payment provider says of a purchase.
 * @returns `changed_meanwhile`: read the purchase and ask the provider again; `nothing_new`: all of it had been posted
 * @throws {ApiError} 403 account_closed, 409 balance_out_of_range
 */
export async function settlePurchase(
  ledger: Ledger,
  account_id: string,
  report: Omit<Reconcile, 'type'>,
): Promise<'posted' | 'nothing_new' | 'changed_meanwhile'> {
  const outcome = await ledger.post({ type: 'reconcile', account_id, ...report })
  if (outcome.refusal?.code === 'purchase_changed') return 'changed_meanwhile'
  return done(outcome).repeated ? 'nothing_new' : 'posted'
}

/**
 * Gives back what a job cost, or a part of it.
 * @throws {ApiError} 403 account_closed, 404 job_not_found, 409 job_not_ended, 409 refund_exceeds_cost, 409 reference_reused,
 *   409 balance_out_of_range
 */
export async function refund(
  ledger: Ledger,
  job: { account_id: string; job_id: string },
  part: Pick<Refund, 'amount' | 'part' | 'reason' | 'actor'>,
  rows?: Rows,
): Promise<{ entry: EntryRow; refunded: number }> {
  const outcome = done(await ledger.post({ type: 'refund', ...named({ ...job, key_of: null }), ...part, rows }))
  const { entry } = outcome
  if (!entry) throw new Error('a refund without an entry')
  return { entry: entryRow(entry), refunded: jobOf(outcome).refunded }
}

/**
 * Closes an account for good: its holds come back, and nothing is posted to it any more. It is opened for that where need be: a token of the last minute
 * would open it otherwise, with starter credits.
 */
export async function close(ledger: Ledger, account_id: string, clerk_id: string, rows?: Rows): Promise<void> {
  // The first posting closes the account; the others only give back more holds.
  for (let first = true; ; first = false) {
    const { repeated } = done(
      await ledger.post({ type: 'close', account_id, clerk_id, rows: first ? rows : undefined }),
    )
    // Until nothing is left. How many holds came back does not say: some of those that were read may have ended in the same batch.
    if (repeated) return
  }
}

/**
 * Limits what a token or a grant may spend, under the account's lock; what is not given stays. The account must exist. Without a limit
 * until now, what it spends counts from now on. Set it before the token or grant works.
 * @param id of the token or grant
 * @throws {ApiError} 403 account_closed
 */
export async function limit(ledger: Ledger, account_id: string, id: string, limits: Partial<Limits>): Promise<void> {
  done(await ledger.post({ type: 'limit', account_id, id, ...limits }))
}

/** Ids as the database writes them: what it returns is matched with operations by them. */
const named = ({ account_id, job_id, key_of, by }: Claim) => ({
  account_id: account_id.toLowerCase(),
  job_id: job_id.toLowerCase(),
  key_of,
  by,
})

/** @throws {ApiError} where the operation was refused */
function done(outcome: Outcome): Outcome {
  const { refusal } = outcome
  if (!refusal) return outcome
  switch (refusal.code) {
    case 'job_not_found':
      throw jobNotFound()
    case 'settle_key_required':
      throw settleKeyRequired()
    case 'account_closed':
      throw accountClosed()
    case 'idempotency_key_reused':
      throw idempotencyKeyReused()
    case 'balance_out_of_range':
      throw balanceOutOfRange()
    case 'insufficient_credits':
      throw insufficientCredits({ required: refusal.required, available: refusal.available })
    case 'key_of_ended_job':
      throw keyOfEndedJob(refusal.job)
    case 'job_already_ended':
      throw jobAlreadyEnded(refusal.job, refusal.other_metadata)
    case 'reference_reused':
      throw referenceReused(entryRow(refusal.entry))
    case 'would_go_negative':
      throw wouldGoNegative(refusal.available)
    case 'job_not_ended':
      throw jobNotEnded()
    case 'refund_exceeds_cost':
      throw refundExceedsCost(refusal.refundable)
    case 'job_outside_limits':
      throw jobOutsideLimits()
    case 'app_not_allowed':
      throw appNotAllowed(refusal.apps)
    case 'budget_exceeded':
      throw budgetExceeded({ ...refusal, resets_at: dateOf(refusal.resets_at) })
    case 'purchase_not_found':
    case 'purchase_changed':
      throw new Error(refusal.code)
  }
}

function jobOf({ job }: Outcome): Job {
  if (!job) throw new Error('an operation on a job without a job')
  return job
}

function settled(outcome: Outcome): Settled {
  const job = jobOf(done(outcome))
  const { credits, held } = outcome.account
  return {
    job: withMetadata(job),
    balance: { credits, held },
    movement: settlement(job),
    metadata_kept: job.merge?.too_large === true,
    capped: job.requested_cost !== null,
    repeated: outcome.repeated,
  }
}

/** A job as the API says it, but for its metadata. */
export function answeredJob(job: Job): Omit<JobRow, 'metadata'> {
  const { id, app_slug, action, status, reserved, actual_cost, refunded, failure_reason } = job
  return {
    ...{ id, app_slug, action, status, reserved, actual_cost },
    ...{ requested_cost: job.requested_cost ?? actual_cost, refunded, failure_reason },
    expires_at: timestamp(job.expires_at),
    created_at: timestamp(job.created_at),
    updated_at: timestamp(job.updated_at),
  }
}

const withMetadata = (job: Job): SettledJob => ({
  ...answeredJob(job),
  metadata: job.oversized ? undefined : job.metadata === null ? null : JSON.parse(job.metadata),
})

const dateOf = (ms: number | null): Date | null => (ms === null ? null : new Date(ms))

const entryRow = (entry: Entry): EntryRow => ({
  ...entry,
  created_at: timestamp(entry.created_at),
  corrects_job_id: refundedJob(entry.reference),
})
