import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { internalError, providerRateLimited, providerUnavailable } from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import type { ClerkMetrics } from '../observe/metrics.ts'
import { createBreaker } from './breaker.ts'
import { inTime } from './deadline.ts'

/** Delay before the second attempt, in ms. */
const RETRY_MS = 100

/**
 * Sends a request to Clerk's Backend API with a deadline. It is repeated once after a network failure, a 5xx or an answer that is not
 * Clerk's, and not sent at all while the circuit breaker is open.
 * @param deadline ms since 1970
 * @param check whether an answer has the expected form: a proxy in between may answer anything with status 200
 * @throws {ApiError} 503 identity_provider_unavailable, 429 rate_limited, 500 where our own key is wrong
 * @throws whatever else the SDK throws for a 4xx: `isRefusal` tells
 */
type ClerkCall = <T>(request: () => Promise<T>, deadline: number, check: (answer: T) => boolean) => Promise<T>

export function clerkCalls(log: FastifyBaseLogger, metrics: ClerkMetrics): ClerkCall {
  const breaker = createBreaker((open) => {
    metrics.clerkBreaker(open)
    if (open) log.warn('Clerk does not answer; calls are suspended, with a trial call every 5 s')
    else log.info('Clerk answers again')
  })

  return async (request, deadline, check) => {
    for (let attempt = 1; ; attempt++) {
      const wait = breaker.wait()
      if (wait > 0 || Date.now() >= deadline) throw providerUnavailable(wait)
      const measured = metrics.clerkCall()
      try {
        const answer = await inTime(request(), deadline)
        if (!check(answer)) throw new Error('The answer is not one of the Clerk API.')
        breaker.answered()
        measured('answered')
        return answer
      } catch (error) {
        if (!isAnswer(error)) {
          breaker.failed()
          measured('failed')
          log.warn({ reason: reasonOf(error), attempt }, 'a call to Clerk failed')
          const late = error instanceof ApiError || Date.now() + RETRY_MS >= deadline
          if (attempt === 2 || late) throw providerUnavailable()
          await sleep(RETRY_MS)
          continue
        }
        breaker.answered()
        measured('refused')
        throw toApiError(error)
      }
    }
  }

  function toApiError(error: Refusal): unknown {
    const { status, retryAfter } = error
    if (status === 401 || status === 403) {
      log.error(
        { status, clerk_trace_id: error.clerkTraceId },
        'Clerk rejects our credentials: CLERK_SECRET_KEY is misconfigured',
      )
      return internalError()
    }
    if (status === 429) return providerRateLimited(retryAfter ?? 1)
    return error
  }
}

/** What the SDK throws for a 4xx answer. Errors without a status mean that there was no answer. */
type Refusal = { status: number; retryAfter?: number; clerkTraceId?: string; errors?: { code?: string }[] }

const isAnswer = (error: unknown): error is Refusal => {
  const { status } = error as Partial<Refusal>
  return typeof status === 'number' && status >= 400 && status < 500
}

/** Whether a call failed with a 4xx answer of Clerk that the caller has to interpret. */
export const isRefusal = (error: unknown): error is Refusal => !(error instanceof ApiError) && isAnswer(error)

/** The Clerk error codes of an answer. */
export const codesOf = (refusal: Refusal): string[] => refusal.errors?.map(({ code }) => code ?? '') ?? []

/** What to log of a failure; never the body of an answer. */
function reasonOf(error: unknown): string | number {
  if (error instanceof ApiError) return 'no answer in time'
  const { status, message } = error as { status?: number; message?: string }
  return status ?? message ?? 'unknown'
}
