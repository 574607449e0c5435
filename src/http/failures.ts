import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ApiError } from './errors.ts'

/**
 * Limits the cost of invalid credentials. Each address (of IPv6 its /64) has a budget of failures per minute, which is checked before any
 * look-up or signature check. Once it is spent, credentials that cannot be genuine are refused at once, and the others are verified a
 * few at a time, so that valid users at the same address are still served. Only failures count.
 */

/** A failed credential is refused from memory for this long, in ms. It is also the window of the budget. */
const WINDOW_MS = 60_000
/** Capacity of the two caches: failed credentials, and budgets of addresses. The least recently used entry is evicted. */
const REMEMBERED = 20_000
/** Concurrent verifications for an address whose budget is spent. */
const CONCURRENT = 2
/** The most credentials that wait for one of them. */
const MAX_WAITING = 500

/** A credential of a request. */
export interface Credential {
  /** How it is used: a secret that is invalid as one kind may be valid as another */
  kind: 'session' | 'token' | 'settle_key' | 'service_key' | 'webhook'
  /** As it was sent */
  secret: string
  /** Whether it may be genuine, as far as can be told without a look-up or a signature check. Asked only once the budget is spent */
  plausible(): boolean
}

interface Budget {
  failed: number
  endsAt: number
  /** Verifications that are running, and those that wait */
  running: number
  queue: (() => void)[]
}

export interface Failures {
  /**
   * Runs `verify`, unless the credential has failed within the last minute.
   * @throws {ApiError} what `verify` throws, or has thrown for this credential before. What `refuse` makes, once the budget is spent:
   *   for what cannot be genuine, and for failures
   */
  verify<T>(address: string, credential: Credential, verify: () => Promise<T>): Promise<T>
  /** Counts a failure that was noticed elsewhere. */
  count(address: string): void
  /** @throws what `refuse` makes, where the address has failed more often than it may */
  check(address: string): void
}

/**
 * @param max failures of an address within a minute
 * @param isFailure whether an error says that the credential is not accepted, and will not be
 * @param refuse makes the error for a budget that is spent
 */
export function countFailures(
  max: number,
  isFailure: (error: ApiError) => boolean,
  refuse: (secondsLeft: number) => ApiError,
): Failures {
  const budgets = new LRUCache<string, Budget>({ max: REMEMBERED })
  const failed = new LRUCache<string, ApiError>({ max: REMEMBERED, ttl: WINDOW_MS })

  function budgetOf(address: string): Budget {
    const now = Date.now()
    const known = budgets.get(address) ?? { failed: 0, endsAt: 0, running: 0, queue: [] }
    if (known.endsAt <= now) Object.assign(known, { failed: 0, endsAt: now + WINDOW_MS })
    budgets.set(address, known)
    return known
  }

  const refusal = ({ endsAt }: Budget) => refuse(Math.ceil((endsAt - Date.now()) / 1000))

  /** @returns the error to answer */
  function fail(budget: Budget, error: ApiError): ApiError {
    return ++budget.failed > max ? refusal(budget) : error
  }

  return {
    async verify(address, { kind, secret, plausible }, verify) {
      const budget = budgetOf(address)
      const key = hash('sha256', `${kind} ${secret}`, 'base64')
      const before = failed.get(key)
      if (before) throw fail(budget, before)
      // Running verifications may fail, so they count until they end.
      const isSpent = budget.failed + budget.running + budget.queue.length >= max
      if (isSpent && (!plausible() || budget.queue.length >= MAX_WAITING)) {
        budget.failed++
        throw refusal(budget)
      }
      if (isSpent && budget.running >= CONCURRENT) await new Promise<void>((resolve) => budget.queue.push(resolve))
      budget.running++
      try {
        return await verify()
      } catch (error) {
        if (!(error instanceof ApiError) || !isFailure(error)) throw error
        if (!error.passing) failed.set(key, error)
        throw fail(budget, error)
      } finally {
        budget.running--
        budget.queue.shift()?.()
      }
    },
    count(address) {
      budgetOf(address).failed++
    },
    check(address) {
      const budget = budgetOf(address)
      if (budget.failed > max) throw refusal(budget)
    },
  }
}
