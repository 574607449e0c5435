import type { Output, Schemas } from './api.ts'
import { FocusError } from './focus-error.ts'
import { type FocusOptions, sender } from './send.ts'

/** Who asks, by the token of the request. */
export interface Caller {
  accountId: string
  /** As sent. Where there is a `wallet`, it acts for this person: `createFocus({ url, token: caller.token })` */
  token: string
  /** The account as it was at most 5 s ago; a reserve decides. Absent for an access token for the app's own resource */
  wallet?: Schemas['Account']
  /** For an access token for the app's own resource: what the person has approved, which program has it, and for what */
  grant?: { id: string | undefined; clientId: string | undefined; scopes: string[] }
}

export interface GuardOptions extends Pick<FocusOptions, 'url' | 'fetch' | 'appKey'> {
  /** With `appKey`, access tokens for this resource of the app are accepted, and for no other */
  resource?: string
  /** How long an answer is used again, in ms; 5,000, which is also the most: revoking takes so long to reach other replicas */
  cacheFor?: number
  /** How long to wait for the service, in ms; 5,000 */
  timeout?: number
}

/** What is used of Fastify's request and reply. */
interface HookRequest {
  headers: Record<string, string | string[] | undefined>
}
interface HookReply {
  code(status: number): unknown
  headers(headers: Record<string, string>): unknown
  send(body: unknown): unknown
}

const MOST_CACHED_MS = 5_000
/** Tokens whose answer is kept; the oldest goes first. */
const MOST_TOKENS = 1_000
/** No token is so long. */
const LONGEST_TOKEN = 8_192
const INTROSPECTION = {
  id: 'introspectToken',
  method: 'P',
  path: '/oauth/introspect',
  has: (f: string) => 'rkf'.includes(f),
}
const WALLET = { id: 'getWallet', method: 'G', path: '/api/wallet', has: () => false }

/**
 * Finds out who sends a request, by its bearer token: a session token, a personal access token or an access token. The service is asked, so
 * a token that was revoked is refused within 5 s. Where it does not answer, requests are refused with 503.
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
   * @param authorization the header as it came
   * @throws {FocusError} 401 where nobody is signed in; the error of the request where the service does not answer
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
    // Refusals are kept too, so that a wrong token costs the service one request. What was no answer is asked again.
    entry.caller.catch((error) => {
      if (!isRefusal(error) && cache.get(token) === entry) cache.delete(token)
    })
    return entry.caller
  }

  const isRefusal = (error: unknown): error is FocusError =>
    error instanceof FocusError && (error.status === 401 || error.status === 403)

  /** The answer to a request that nobody may send. @throws where the error is not the service's */
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

    /** A hook of Fastify (`onRequest`); `caller(request)` then says who it is. */
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

    /** Who sent a request that has passed `hook`. @throws where it has not, which is a bug */
    caller(request: object): Caller {
      const caller = callers.get(request)
      if (!caller) throw new Error('This request has not passed the hook of requireFocus')
      return caller
    },

    /** A handler of the web's kind, as workers, Deno and Bun have it, which is called for known people only. */
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
