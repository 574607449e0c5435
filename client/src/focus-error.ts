import type { ErrorCodes } from './api-types.d.ts'

/** Error codes of this library, which the server does not send. */
type OwnCode =
  | 'network_error'
  | 'timeout'
  | 'invalid_answer'
  | 'token_unavailable'
  | 'redirected'
  | 'secret_in_browser'
  | 'invalid_options'
  | 'cost_not_allowed'
  | 'hold_lost'
  | 'job_ended'
  | 'closed'
  | 'settle_unknown'
  | 'invalid_resume_token'
  | 'invalid_signature'

export type ErrorCode = ErrorCodes[keyof ErrorCodes] | OwnCode

/** The fields of a FocusError other than its code and message. */
export interface Failure {
  status?: number | undefined
  requestId?: string | undefined
  /** Seconds to wait before the next attempt, from the header `Retry-After` */
  retryAfter?: number | undefined
  details?: Record<string, unknown>
  cause?: unknown
}

/** A request failed: the server refused it, or there was no valid answer. */
export class FocusError extends Error {
  /** Stable and machine-readable: the server's code, or one of this library's */
  readonly code: ErrorCode | (string & {})
  /** The HTTP status; 0: there was no answer */
  readonly status: number
  /** Identifies the request in the service's log */
  readonly requestId: string | undefined
  readonly retryAfter: number | undefined
  /** The other fields of the server's answer */
  readonly details: Record<string, unknown>

  constructor(code: ErrorCode | (string & {}), message: string, failure: Failure = {}) {
    super(message, failure.cause === undefined ? undefined : { cause: failure.cause })
    // Class names do not survive minification.
    this.name = 'FocusError'
    this.code = code
    this.status = failure.status ?? 0
    this.requestId = failure.requestId
    this.retryAfter = failure.retryAfter
    this.details = failure.details ?? {}
  }
}

/** 401: there is no credential, or it is no longer valid. */
export class NotSignedIn extends FocusError {
  /** The sign-in page, which leads back to the caller's page */
  get signinUrl() {
    return this.details.signin_url as string | undefined
  }
}

/** 402: nothing was reserved. */
export class InsufficientCredits extends FocusError {
  get required() {
    return this.details.required as number
  }
  /** Spendable credits; below zero if credits are owed */
  get available() {
    return this.details.available as number
  }
  /** The page for buying credits; absent if the service sells none */
  get buyUrl() {
    return this.details.buy_url as string | undefined
  }
}

/** 403: the app has a settle key, so only its server can settle jobs: create the client with `appKey`. */
export class SettleKeyRequired extends FocusError {}

/** 409: the job has ended with another result, or the job of this idempotency key has ended, so that nothing is held for it. */
export class JobAlreadyEnded extends FocusError {
  get jobId() {
    return this.details.job_id as string
  }
  get jobStatus() {
    return this.details.status as 'completed' | 'failed'
  }
  get actualCost() {
    return this.details.actual_cost as number
  }
}

/** The hold was lost while the work was running: the abort reason of `job.signal`. */
export class HoldLost extends FocusError {}

/** How a job is to be settled. */
export interface Settlement {
  jobId: string
  accountId: string
  /** null: failed, with a refund */
  cost: number | null
  metadata?: Record<string, unknown>
}

/** The work has ended, but settling the job failed with an unknown outcome. `focus.resume(error.token)` settles it again. */
export class SettleUnknown extends FocusError {
  readonly settlement: Settlement
  /** For `focus.resume`, in any process. It contains the job, the account, the cost and the metadata, and no credential */
  readonly token: string
  /** What the work returned */
  readonly value: unknown

  /** @param failure what the work threw */
  constructor(settlement: Settlement, value: unknown, reason: unknown, failure: { error: unknown } | undefined) {
    const { cost, jobId } = settlement
    const what = cost === null ? 'refunded' : `charged ${cost}`
    const cause = failure ? failure.error : reason
    super('settle_unknown', `Job ${jobId} could not be ${what}: ${(reason as Error)?.message}`, {
      cause,
      details: { reason },
    })
    this.settlement = settlement
    this.token = JSON.stringify(settlement)
    this.value = value
  }
}

/** The error of the class that belongs to a server's code. */
export function errorFor(code: string, message: string, failure: Failure): FocusError {
  const type =
    code === 'insufficient_credits'
      ? InsufficientCredits
      : code === 'settle_key_required'
        ? SettleKeyRequired
        : code === 'job_already_ended'
          ? JobAlreadyEnded
          : failure.status === 401
            ? NotSignedIn
            : FocusError
  return new type(code, message, failure)
}
