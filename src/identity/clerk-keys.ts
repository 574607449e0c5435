import { createPublicKey, type webcrypto } from 'node:crypto'
import { ApiError } from '../http/errors.ts'
import { inTime } from './deadline.ts'

/**
 * A cache of Clerk's JWKS. jose's createRemoteJWKSet is not used, for three reasons. Once its cache is older than cacheMaxAge, it waits
 * for a reload and fails if that fails, so known keys would stop working while Clerk is down. A failed reload has no cool-down, so each
 * token with a made-up key id would call Clerk. It hides the 429 and 401 answers of Clerk's endpoint.
 */

/** Keys older than this, in ms, are reloaded in the background; meanwhile they stay valid. */
const FRESH_MS = 5 * 60_000
/** Pause after a successful reload, in ms: tokens with made-up key ids cause at most one call per pause. */
const COOLDOWN_MS = 10_000
/** Pause after a failed reload, in ms. */
const RETRY_MS = 2_000

type Jwk = webcrypto.JsonWebKey & { kid?: string }

/** Clerk's signing keys. */
export interface ClerkKeys {
  /**
   * Finds a key by its id. A cached key is returned at once, also while Clerk is down.
   * @param deadline ms since 1970
   * @returns PEM; undefined: Clerk has no such key
   * @throws {ApiError} 503 identity_provider_unavailable, and whatever the reload failed with
   */
  find(kid: string, deadline: number): Promise<string | undefined>
}

/** @param fetchKeys calls Clerk's JWKS endpoint; it logs failures and throws the ApiError to answer */
export function clerkKeys(fetchKeys: () => Promise<Jwk[]>): ClerkKeys {
  let keys = new Map<string, string>()
  let loadedAt = Number.NEGATIVE_INFINITY
  let nextLoadAt = Number.NEGATIVE_INFINITY
  let failure: { error: unknown } | undefined
  let loading: Promise<void> | undefined

  /** Reloads the keys, or joins the reload that is running. */
  function refresh(): Promise<void> {
    loading ??= load()
    return loading
  }

  async function load(): Promise<void> {
    try {
      const signing = (await fetchKeys()).filter(({ kty }) => kty === 'RSA')
      keys = new Map(signing.map((jwk) => [String(jwk.kid), pemOf(jwk)]))
      loadedAt = Date.now()
      nextLoadAt = performance.now() + COOLDOWN_MS
      failure = undefined
    } catch (error) {
      nextLoadAt = performance.now() + RETRY_MS
      failure = { error }
      throw error
    } finally {
      loading = undefined
    }
  }

  return {
    async find(kid, deadline) {
      const isPauseOver = performance.now() >= nextLoadAt
      const key = keys.get(kid)
      if (key) {
        // A cached key neither waits for a reload nor fails with it. A key that Clerk withdrew is dropped by the reload.
        if (Date.now() - loadedAt > FRESH_MS && (isPauseOver || !failure)) refresh().catch(() => {})
        return key
      }
      // While Clerk is down, the circuit breaker limits the calls.
      const isDown = failure?.error instanceof ApiError && failure.error.statusCode === 503
      if (!isPauseOver && !loading && !isDown) {
        if (failure) throw failure.error
        return undefined
      }
      await inTime(refresh(), deadline)
      return keys.get(kid)
    },
  }
}

const pemOf = (jwk: Jwk): string =>
  createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()
