import { createPublicKey, type webcrypto } from 'node:crypto'
import { ApiError } from '../http/errors.ts'
import { inTime } from './deadline.ts'

/** Keys older than this are read again, in ms, while the known ones go on. */
const FRESH_MS = 5 * 60_000
/** Between two readings, in ms: tokens with made-up key ids cost Clerk at most one call in this time. */
const COOLDOWN_MS = 10_000
/** The same after a reading that failed. */
const RETRY_MS = 2_000

type Jwk = webcrypto.JsonWebKey & { kid?: string }

/** Clerk's signing keys, as PEM by key id. */
export interface ClerkKeys {
  /**
   * Undefined: Clerk has no such key. A key that is known is answered at once, also while Clerk is away.
   * @param deadline ms since 1970
   * @throws {ApiError} 503 identity_provider_unavailable
   */
  find(kid: string, deadline: number): Promise<string | undefined>
}

/** @param read asks Clerk for its keys; it logs and throws what the caller is to answer */
export function clerkKeys(read: () => Promise<Jwk[]>): ClerkKeys {
  let known = new Map<string, string>()
  let readAt = Number.NEGATIVE_INFINITY
  let nextAt = Number.NEGATIVE_INFINITY
  let failure: { error: unknown } | undefined
  let reading: Promise<void> | undefined

  /** Reads the keys, or joins whoever does already. */
  function refresh(): Promise<void> {
    reading ??= load()
    return reading
  }

  async function load(): Promise<void> {
    try {
      const signing = (await read()).filter(({ kty }) => kty === 'RSA')
      known = new Map(signing.map((jwk) => [String(jwk.kid), pemOf(jwk)]))
      readAt = Date.now()
      nextAt = performance.now() + COOLDOWN_MS
      failure = undefined
    } catch (error) {
      nextAt = performance.now() + RETRY_MS
      failure = { error }
      throw error
    } finally {
      reading = undefined
    }
  }

  return {
    async find(kid, deadline) {
      const mayRead = performance.now() >= nextAt
      const key = known.get(kid)
      if (key) {
        // Whoever is known does not wait, nor fail with the reading: a key that Clerk withdrew goes with the next one.
        if (Date.now() - readAt > FRESH_MS && (mayRead || !failure)) refresh().catch(() => {})
        return key
      }
      // While Clerk is down, the circuit breaker says who asks.
      const isDown = failure?.error instanceof ApiError && failure.error.statusCode === 503
      if (!mayRead && !reading && !isDown) {
        if (failure) throw failure.error
        return undefined
      }
      await inTime(refresh(), deadline)
      return known.get(kid)
    },
  }
}

const pemOf = (jwk: Jwk): string =>
  createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()
