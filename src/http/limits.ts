import rateLimit, { type RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { findSession } from '../access/sessions.ts'
import { addressOwner } from '../addresses.ts'
import {
  invalidSignature,
  invalidToken,
  notSignedIn,
  patExpired,
  patRevoked,
  rateLimited,
  serviceKeyInvalid,
  sessionEnded,
  settleKeyInvalid,
  tokenExpired,
} from './catalogue.ts'
import type { ApiError } from './errors.ts'
import { type Credential, countFailures } from './failures.ts'

/**
 * Requests per minute of an account; of an app or a server of the operator, by its key; or, if a request carries none, of an
 * address (of IPv6 its /64). Pages have a limit of their own for each person. Each replica counts for itself. Guesses of device
 * codes are counted in the database (device/attempts.ts), so that replicas share them.
 */

declare module 'fastify' {
  interface FastifyInstance {
    limits: Limits
  }
  interface FastifyContextConfig {
    /** `none`: neither limited nor refused under load; `sign_in`: by address, a lower limit; `webhook`: by address, a higher one */
    limit?: 'none' | 'sign_in' | 'webhook'
  }
}

/** One settle key serves all users of an app, so its limit is this many times higher. */
const APP_FACTOR = 100
/** Share of RATE_LIMIT_MAX for sign-ins, per address. */
const SIGN_IN_SHARE = 0.2
/** Providers send all their webhooks from a few addresses, so their limit is this many times higher. */
const WEBHOOK_FACTOR = 10
/** Counters of each kind. The least recently used one is evicted, which bounds memory. */
const COUNTERS = 20_000
/** Static files; they need no query. */
const STATIC = /^\/(assets|api\/docs\/static)\//

export interface Limits {
  /** Counts a request as soon as its caller is known, so that refusals of a route's own hooks count. @throws {ApiError} 429 rate_limited */
  caller(request: FastifyRequest): Promise<void>
  /**
   * Verifies a credential within the budget of failures that the request's address has: see failures.ts.
   * @throws {ApiError} 429 rate_limited, and whatever `verify` throws
   */
  verifying<T>(request: FastifyRequest, credential: Credential, verify: () => Promise<T>): Promise<T>
  /**
   * Counts a request that is refused with 401: as a failure if it carried a credential, else as a request of its address. So failures
   * do not use up the limit of anonymous requests from that address. @throws {ApiError} 429 rate_limited
   */
  unauthorized(request: FastifyRequest, error: ApiError): Promise<void>
}

/** Registered before the routes, so that the limit runs after each route's own hooks have found out who is asking. */
export async function registerLimits(app: FastifyInstance): Promise<void> {
  const max = app.config.rateLimitMax
  await app.register(rateLimit, { global: false })
  const limiter = (options: RateLimitOptions) => {
    const bounded: RateLimitOptions = { timeWindow: 60_000, cache: COUNTERS, ...options }
    return app.createRateLimit(bounded)
  }

  const byAddress = (request: FastifyRequest) => addressOwner(request.address)
  const accounts = limiter({ max, keyGenerator: (request) => request.account?.id ?? '' })
  const apps = limiter({
    max: max * APP_FACTOR,
    keyGenerator: ({ appOfKey, serviceKey }) => appOfKey ?? serviceKey?.id ?? '',
  })
  const addresses = limiter({ max, keyGenerator: byAddress })
  const people = limiter({ max, keyGenerator: async (request) => (await findSession(request))?.id ?? '' })
  const webhooks = limiter({ max: max * WEBHOOK_FACTOR, keyGenerator: byAddress })
  const signIns = limiter({ max: Math.ceil(max * SIGN_IN_SHARE), keyGenerator: byAddress })
  /** Requests whose failure has been counted */
  const counted = new WeakSet<FastifyRequest>()
  const failures = countFailures(
    max,
    ({ code }) => FAILURES.has(code),
    (seconds) => rateLimited(seconds, max),
  )
  type Limiter = typeof accounts
  /** The result for each request: it counts once, as soon as its caller is known */
  const results = new WeakMap<FastifyRequest, Awaited<ReturnType<Limiter>>>()

  async function limiterOf(request: FastifyRequest): Promise<Limiter> {
    const { limit } = request.routeOptions.config
    if (limit === 'sign_in') return signIns
    if (limit === 'webhook') return webhooks
    if (request.account) return accounts
    if (request.appOfKey || request.serviceKey) return apps
    // Pages look for the person later. Those who share an address do not share their pages' limit; cookies whose session has ended do.
    // Where the look-up fails, the page says so, if it needs the person.
    const session = await findSession(request).catch(() => undefined)
    return session ? people : addresses
  }

  async function count(limiter: Limiter, request: FastifyRequest, reply?: FastifyReply): Promise<void> {
    const result = results.get(request) ?? (await limiter(request))
    results.set(request, result)
    if (result.isAllowed) return
    const { isExceeded, remaining, ttlInSeconds } = result
    if (isExceeded) throw limited(result)
    reply?.headers({
      'ratelimit-limit': result.max,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': ttlInSeconds,
    })
  }

  const limit = async (request: FastifyRequest, reply: FastifyReply) => count(await limiterOf(request), request, reply)
  app.addHook('onRoute', (route) => {
    if (route.config?.limit === 'none' || STATIC.test(route.url)) return
    const hooks = [route.onRequest ?? []].flat()
    // Fastify's HEAD route reuses the hooks of its GET route.
    if (!hooks.includes(limit)) route.onRequest = [...hooks, limit]
  })

  app.decorate('limits', {
    caller: async (request) => count(await limiterOf(request), request),
    async verifying(request, credential, verify) {
      try {
        return await failures.verify(byAddress(request), credential, verify)
      } catch (error) {
        counted.add(request)
        throw error
      }
    },
    async unauthorized(request, { code }) {
      if (!counted.has(request) && code === notSignedIn.code) return count(addresses, request)
      if (!counted.has(request)) failures.count(byAddress(request))
      failures.check(byAddress(request))
    },
  })
}

/** Codes of errors that mean an invalid credential. */
const FAILURES: ReadonlySet<string> = new Set(
  [
    invalidToken,
    tokenExpired,
    patExpired,
    patRevoked,
    sessionEnded,
    settleKeyInvalid,
    serviceKeyInvalid,
    invalidSignature,
  ].map(({ code }) => code),
)

const limited = ({ max, ttlInSeconds }: { max: number; ttlInSeconds: number }) => rateLimited(ttlInSeconds, max)
