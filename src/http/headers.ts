import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config.ts'
import { severalHosts } from './catalogue.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Read by @fastify/cors, for this route alone */
    cors?: typeof ANY_ORIGIN
  }
}

/** The headers of every answer, whether it comes from a route, an early refusal or the raw socket. */

/** Helmet's defaults for a JSON API (helmet 8), as a constant: calling Helmet per request took 24 of the 55 µs of an empty route. */
const SAFETY_HEADERS = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'SAMEORIGIN',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}
const HSTS = { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }

/** The safety headers of this service; HSTS only where PUBLIC_URL is https. */
export const safetyHeaders = ({ publicUrl }: Config): Record<string, string> =>
  publicUrl.startsWith('https:') ? { ...SAFETY_HEADERS, ...HSTS } : SAFETY_HEADERS

/** Response headers that scripts of another origin may read. */
export const EXPOSED_HEADERS = [
  ...['Idempotency-Replayed', 'Retry-After', 'Link', 'X-Request-Id', 'WWW-Authenticate', 'Allow', 'Date'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
]

/** For a route that answers any origin, but no cookie: `config: { cors: ANY_ORIGIN }`, also of its OPTIONS. */
export const ANY_ORIGIN = { origin: '*', credentials: false }

/** The CORS headers of an answer that comes before @fastify/cors; none where the origin is not allowed. */
export const corsHeaders = (origin: string | undefined, isAllowed: (origin: string) => boolean) =>
  origin !== undefined && isAllowed(origin)
    ? {
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': EXPOSED_HEADERS.join(', '),
        vary: 'Origin',
      }
    : {}

/**
 * A hook that sets the safety headers, `X-Request-Id` and, for an allowed origin, the CORS headers. A route may set another
 * Content-Security-Policy.
 */
export function setCommonHeaders(config: Config) {
  const headers = safetyHeaders(config)
  return (request: FastifyRequest, reply: FastifyReply, next: () => void): void => {
    reply.headers(headers).header('x-request-id', request.id)
    const { origin, 'access-control-request-private-network': fromPublicSite } = request.headers
    // A route with CORS of its own has them set by @fastify/cors.
    if (origin !== undefined && !request.routeOptions.config.cors) {
      const cors = corsHeaders(origin, request.server.origins.isAllowed)
      reply.headers(cors)
      // Chromium asks before a public site may call a service on a private address, such as localhost.
      if (fromPublicSite === 'true' && 'vary' in cors) reply.header('access-control-allow-private-network', 'true')
    }
    next()
  }
}

/**
 * A hook: Node takes the first of several Host headers, a proxy or a cache perhaps another.
 * @throws {ApiError} 400 bad_request
 */
export function refuseSeveralHosts({ raw }: FastifyRequest, _reply: unknown, next: (error?: Error) => void): void {
  let hosts = 0
  const { rawHeaders } = raw
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 4 && rawHeaders[i]?.toLowerCase() === 'host') hosts++
  }
  next(hosts > 1 ? severalHosts() : undefined)
}

/**
 * A hook for a service without TRUST_PROXY: warns once when a request carries forwarding headers. They are ignored, because
 * any client can send them. Behind a proxy, all clients then appear to have the proxy's address.
 */
export function warnOfForwarded(log: FastifyBaseLogger) {
  let warned = false
  return ({ headers }: FastifyRequest, _reply: unknown, next: () => void): void => {
    if (!warned && (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined)) {
      warned = true
      log.warn(
        'A request carried X-Forwarded-For or Forwarded, which is ignored. If a proxy of yours is in front of this ' +
          'service, set TRUST_PROXY to its address, because rate limits count by client address.',
      )
    }
    next()
  }
}
