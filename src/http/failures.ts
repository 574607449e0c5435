import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { ApiError } from './errors.ts'

/**
 * What credentials that fail may cost. An address (of IPv6 a /64) has a budget of failures a minute. It is asked before any look-up or
 * signature check. Once it is spent, what cannot be genuine is refused at once, and the rest is verified a few at a time: so the
 * neighbours of a caller that sends junk are served. Only failures count.
 */

/** A failed credential is refused from memory for this long, in ms. It is also the window of the budget. */
const WINDOW_MS = 60_000
/** How many are remembered, and for how many addresses failures are counted. The least recently used one is evicted. */
const REMEMBERED = 20_000
/** How many credentials are verified at once for an address whose budget is spent, ... */
const AT_ONCE = 2
/** ... and how many wait for that. */
const MAX_WAITING = 500

/** What somebody shows of themselves. */
export interface Credential {
  /** What it is shown as: a secret that is wrong as one kind may be right as another */
  kind: 'session' | 'token' | 'settle_key' | 'service_key' | 'webhook'
  /** As it was sent */
  secret: string
  /** As far as can be told without a look-up or a signature check, it can be genuine */
  plausible: boolean
}

interface Budget {
  failed: number
  endsAt: number
  /** Being verified, and waiting for it */
  running: number
  line: (() => void)[]
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
    const known = budgets.get(address) ?? { failed: 0, endsAt: 0, running: 0, line: [] }
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
      // What is under way may fail, so it counts until it is known.
      const isSpent = budget.failed + budget.running + budget.line.length >= max
      if (isSpent && (!plausible || budget.line.length >= MAX_WAITING)) {
        budget.failed++
        throw refusal(budget)
      }
      if (isSpent && budget.running >= AT_ONCE) await new Promise<void>((resolve) => budget.line.push(resolve))
      budget.running++
      try {
        return await verify()
      } catch (error) {
        if (!(error instanceof ApiError) || !isFailure(error)) throw error
        if (!error.passing) failed.set(key, error)
        throw fail(budget, error)
      } finally {
        budget.running--
        budget.line.shift()?.()
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
