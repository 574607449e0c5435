import type { Output, Schemas } from './api.ts'
import { FocusError } from './focus-error.ts'
import { type FocusOptions, sender } from './send.ts'

/** The account that sent a request, identified by the request's token. */
export interface Caller {
  accountId: string
  /** As sent. If there is a `wallet`, the token can be used for this account: `createFocus({ url, token: caller.token })` */
  token: string
  /** The account as of at most 5 s ago; only reserving credits is conclusive. Absent for an access token for the app's own resource */
  wallet?: Schemas['Account']
  /** The grant of an access token for the app's own resource: the program that has it, and its scopes */
  grant?: { id: string | undefined; clientId: string | undefined; scopes: string[] }
}

interface GuardOptions extends Pick<FocusOptions, 'url' | 'fetch' | 'appKey'> {
  /** With `appKey`: access tokens for this resource of the app are accepted too, but for no other resource */
  resource?: string
  /** How long answers are cached, in ms; default and maximum 5,000, which is also how long a revocation takes to reach all replicas */
  cacheFor?: number
  /** How long to wait for the service, in ms; default 5,000 */
  timeout?: number
}

/** The parts of Fastify's request and reply that the hook uses. */
interface HookRequest {
  headers: Record<string, string | string[] | undefined>
}
interface HookReply {
  code(status: number): unknown
  headers(headers: Record<string, string>): unknown
  send(body: unknown): unknown
}

const MOST_CACHED_MS = 5_000
/** The most tokens in the cache; the oldest is dropped first. */
const MOST_TOKENS = 1_000
/** Longer tokens are refused without asking the service. */
const LONGEST_TOKEN = 8_192
const INTROSPECTION = {
  id: 'introspectToken',
  method: 'P',
  path: '/oauth/introspect',
  has: (f: string) => 'rkf'.includes(f),
}
const WALLET = { id: 'getWallet', method: 'G', path: '/api/wallet', has: () => false }

/**
 * Identifies the sender of a request by its bearer token: a session token, a personal access token or an access token. It asks the service, so
 * a revoked token is refused within 5 s. If the service does not answer, requests are refused with 503.
 */
export function requireFocus(options: GuardOptions) {
  const { url, timeout = 5_000 } = options
  const cacheFor = Math.min(MOST_CACHED_MS, options.cacheFor ?? MOST_CACHED_MS)
  const send = sender({ ...options, timeout, retryFor: timeout })
  const cache = new Map<string, { until: number; caller: Promise<Caller> }>()
  const callers = new WeakMap<object, Caller>()

  async function ask(token: string): Promise<Caller> {
    const { appKey, resource } = options
    if (appKey && resource && token.startsWith('focus_at_')) {
      const { body } = await send(INTROSPECTION, { token })
      const { active, aud, sub, grant_id, client_id, scope = '' } = body as Output<'introspectToken'>
      if (active && aud === resource && sub)
        return { accountId: sub, token, grant: { id: grant_id, clientId: client_id, scopes: scope.split(' ') } }
    }
    const { account } = (await send(WALLET, {}, { token })).body as Schemas['WalletResponse']
    return { accountId: account.id, token, wallet: account }
  }

  /**
   * Identifies the sender by the header `Authorization`, as received.
   * @throws {FocusError} 401 without a valid token; the error of the request to the service if that fails
   */
  function identify(authorization: string | null | undefined): Promise<Caller> {
    const token = /^bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined || token.length > LONGEST_TOKEN) {
      const details = { signin_url: new URL('/signin', url).href }
      return Promise.reject(
        new FocusError('not_signed_in', 'Sign in, or send a bearer token.', { status: 401, details }),
      )
    }
    const now = performance.now()
    const known = cache.get(token)
    if (known && now < known.until) return known.caller
    cache.delete(token)
    for (const [oldest] of cache) {
      if (cache.size < MOST_TOKENS) break
      cache.delete(oldest)
    }
    const entry = { until: now + cacheFor, caller: ask(token) }
    cache.set(token, entry)
    // Refusals are cached too, so that a wrong token costs the service one request. Other failures are not.
    entry.caller.catch((error) => {
      if (!isRefusal(error) && cache.get(token) === entry) cache.delete(token)
    })
    return entry.caller
  }

  const isRefusal = (error: unknown): error is FocusError =>
    error instanceof FocusError && (error.status === 401 || error.status === 403)

  /** The answer to a request without an identified sender. @param shown whether it had the header @throws errors that are not the service's */
  function refusal(error: unknown, shown: boolean) {
    if (!(error instanceof FocusError)) throw error
    const { code, message, details, retryAfter = 1 } = error
    if (!isRefusal(error)) {
      const body = {
        error: 'focus_unavailable',
        message: 'The account service does not answer. Try again in a few seconds.',
      }
      return { status: 503, headers: { 'retry-after': String(retryAfter) }, body }
    }
    const challenge = shown
      ? `Bearer error="${error.status === 401 ? 'invalid_token' : 'insufficient_scope'}"`
      : 'Bearer'
    return {
      status: error.status,
      headers: { 'www-authenticate': challenge },
      body: { error: code, message, ...details },
    }
  }

  return {
    identify,

    /** A hook for Fastify's `onRequest`. Afterwards, `caller(request)` returns the sender. */
    async hook(request: HookRequest, reply: HookReply): Promise<unknown> {
      const { authorization } = request.headers
      try {
        callers.set(request, await identify(String(authorization ?? '')))
        return undefined
      } catch (error) {
        const { status, headers, body } = refusal(error, authorization !== undefined)
        reply.code(status)
        reply.headers(headers)
        reply.send(body)
        return reply
      }
    },

    /** The sender of a request that has passed `hook`. @throws {Error} if the route does not use the hook */
    caller(request: object): Caller {
      const caller = callers.get(request)
      if (!caller) throw new Error('This request has not passed the hook of requireFocus')
      return caller
    },

    /** Wraps a fetch handler, as in workers, Deno and Bun, so that it is only called for identified senders. */
    fetch<More extends unknown[]>(
      handler: (request: Request, caller: Caller, ...more: More) => Response | Promise<Response>,
    ) {
      return async (request: Request, ...more: More): Promise<Response> => {
        const authorization = request.headers.get('authorization')
        let caller: Caller
        try {
          caller = await identify(authorization)
        } catch (error) {
          const { status, headers, body } = refusal(error, authorization !== null)
          return Response.json(body, { status, headers })
        }
        return handler(request, caller, ...more)
      }
    },
  }
}
