import rateLimit, { type RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addressOwner } from '../addresses.ts'
import { invalidToken, rateLimited, settleKeyInvalid } from './catalogue.ts'
import { ApiError } from './errors.ts'

/**
 * Requests per minute of an account; of an app, by its settle key; or, if a request carries neither, of an
 * address (of IPv6 its /64). Each replica counts for itself. Guesses of device
 * codes are counted in the database (device/attempts.ts), so that replicas share them.
 */

declare module 'fastify' {
  interface FastifyInstance {
    limits: Limits
  }
  interface FastifyContextConfig {
    /** `none`: neither limited nor refused under load; `sign_in`: by address, and less of it */
    limit?: 'none' | 'sign_in'
  }
}

/** One settle key serves all users of an app, so its limit is this many times higher. */
const APP_FACTOR = 100
/** Share of RATE_LIMIT_MAX for sign-ins, per address. */
const SIGN_IN_SHARE = 0.2
/** Counters of each kind. The least recently used one is evicted, which bounds memory. */
const COUNTERS = 20_000
/** Static files; they need no query. */
const STATIC = /^\/(assets|api\/docs\/static)\//

export interface Limits {
  /** Counts a request without an account against its address. @throws {ApiError} 429 rate_limited */
  anonymous(request: FastifyRequest): Promise<void>
  /**
   * Runs `verify`, unless the request's address has sent too many wrong credentials.
   * @throws {ApiError} 429 rate_limited, and whatever `verify` throws
   */
  verifying<T>(request: FastifyRequest, verify: () => Promise<T>): Promise<T>
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
  const apps = limiter({ max: max * APP_FACTOR, keyGenerator: (request) => request.appOfKey ?? '' })
  const addresses = limiter({ max, keyGenerator: byAddress })
  const signIns = limiter({ max: Math.ceil(max * SIGN_IN_SHARE), keyGenerator: byAddress })
  const wrongs = limiter({ max, keyGenerator: byAddress })
  type Limiter = typeof accounts

  function limiterOf(request: FastifyRequest): Limiter {
    if (request.routeOptions.config.limit === 'sign_in') return signIns
    if (request.account) return accounts
    return request.appOfKey ? apps : addresses
  }

  async function count(limiter: Limiter, request: FastifyRequest, reply?: FastifyReply): Promise<void> {
    const counted = await limiter(request)
    if (counted.isAllowed) return
    const { isExceeded, remaining, ttlInSeconds } = counted
    if (isExceeded) throw limited(counted)
    reply?.headers({
      'ratelimit-limit': counted.max,
      'ratelimit-remaining': remaining,
      'ratelimit-reset': ttlInSeconds,
    })
  }

  const limit = (request: FastifyRequest, reply: FastifyReply) => count(limiterOf(request), request, reply)
  app.addHook('onRoute', (route) => {
    if (route.config?.limit === 'none' || STATIC.test(route.url)) return
    const hooks = [route.onRequest ?? []].flat()
    // Fastify's HEAD route reuses the hooks of its GET route.
    if (!hooks.includes(limit)) route.onRequest = [...hooks, limit]
  })

  app.decorate('limits', {
    anonymous: (request) => count(addresses, request),
    async verifying(request, verify) {
      const known = await wrongs(request, { increment: false })
      if (!known.isAllowed && known.remaining === 0) throw limited(known)
      try {
        return await verify()
      } catch (error) {
        if (error instanceof ApiError && WRONG.has(error.code)) await wrongs(request)
        throw error
      }
    },
  })
}

/** Errors that count as guesses. Expired and revoked tokens do not: they were genuine. */
const WRONG = new Set([invalidToken.code, settleKeyInvalid.code])

const limited = ({ max, ttlInSeconds }: { max: number; ttlInSeconds: number }) => rateLimited(ttlInSeconds, max)
