import type { ErrorCodes } from './api-types.d.ts'

/** Codes of this library itself, which no server sends. */
export type OwnCode =
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

/** What a FocusError says beside its code and sentence. */
export interface Failure {
  status?: number | undefined
  requestId?: string | undefined
  /** Seconds to wait before another try, as the server says */
  retryAfter?: number | undefined
  details?: Record<string, unknown>
  cause?: unknown
}

/** An answer that refuses, or none at all. */
export class FocusError extends Error {
  /** Stable and machine-readable: the server's, or one of `OwnCode` */
  readonly code: ErrorCode | (string & {})
  /** The HTTP status; 0 where there was no answer */
  readonly status: number
  /** Names the request in the service's log */
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
  /** Where a person signs in and comes back from */
  get signinUrl() {
    return this.details.signin_url as string | undefined
  }
}

/** 402: nothing was reserved. */
export class InsufficientCredits extends FocusError {
  get required() {
    return this.details.required as number
  }
  /** What can be spent; below zero where credits are owed */
  get available() {
    return this.details.available as number
  }
  /** Where the person buys credits; absent where the service sells none */
  get buyUrl() {
    return this.details.buy_url as string | undefined
  }
}

/** 403: the app has a settle key, so only its server settles: create the client with `appKey`. */
export class SettleKeyRequired extends FocusError {}

/** 409: the job ended otherwise, or the job of this idempotency key has ended: nothing is held for it. */
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

/** The hold is gone while the work goes on: the reason of `job.signal`. */
export class HoldLost extends FocusError {}

/** What a job was to end with. */
export interface Settlement {
  jobId: string
  accountId: string
  /** null: failed, with a refund */
  cost: number | null
  metadata?: Record<string, unknown>
}

/** The work is over, and it is not known whether the service was told what it cost. `focus.resume(error.token)` tells it again. */
export class SettleUnknown extends FocusError {
  readonly settlement: Settlement
  /** For `focus.resume`, in any process. It names the job, the account, the cost and the metadata, and holds no credential */
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

/** The error for an answer with this code. */
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
