import { type GetToken, inBrowser, refuseSecret, tokenSource } from './credentials.ts'
import { errorFor, FocusError } from './focus-error.ts'

export interface FocusOptions {
  /** The origin of the service, such as https://account.example.com */
  url: string
  /** A session token, an access token, a personal access token, or a service key */
  token?: string | undefined
  /** Called when a token is needed: before the last one expires, and once after a 401. A string that is not a JWT is not cached */
  getToken?: GetToken | undefined
  /** An app's settle key; only on the app's server */
  appKey?: string | undefined
  /** With `appKey` and without a token: the account of requests that do not name one */
  accountId?: string | undefined
  /** Whether cookies are sent, as in `fetch`; in browsers `include` by default if there is no token */
  credentials?: 'include' | 'omit' | 'same-origin' | undefined
  /** Time limit of one attempt, in ms; default 15,000 */
  timeout?: number | undefined
  /** How long a request is retried, in ms; default 30,000. 0: never */
  retryFor?: number | undefined
  fetch?: typeof fetch | undefined
  /** false: does not listen for SIGTERM. By default, open jobs are settled before the process ends; see `close` */
  sigterm?: boolean | undefined
}

export interface CallOptions {
  signal?: AbortSignal | undefined
  /** Override those of FocusOptions for this request */
  timeout?: number | undefined
  retryFor?: number | undefined
  /** Used instead of the client's own token */
  token?: string | undefined
  /** For `createJob`: calls with the same key create one job. By default each call has its own key */
  idempotencyKey?: string | undefined
}

export interface Operation {
  id: string
  /** A letter, see operation-table.ts */
  method: string
  path: string
  has(flag: string): boolean
}

export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: the operation's type is known where it is called
  body: any
  headers: Headers
  /** When the answered request was sent, by performance.now() */
  sentAt: number
}

export type Send = (operation: Operation, input?: object, options?: CallOptions) => Promise<Answer>

const METHODS: Record<string, string> = { G: 'GET', P: 'POST', U: 'PUT', A: 'PATCH', D: 'DELETE' }
const SLOW_MS = 150_000

/** Resolves after `ms`, or when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
    if (signal?.aborted) done()
  })
}

/** 128 random bits. `crypto.randomUUID` does not exist in pages without https. */
const newKey = (): string => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))

/** Creates the function that sends the requests of one client. @throws {FocusError} secret_in_browser, invalid_options */
export function sender(options: FocusOptions): Send {
  const { appKey, accountId, timeout = 15_000, retryFor = 30_000 } = options
  refuseSecret(appKey)
  refuseSecret(options.token)
  const tokens = options.getToken && tokenSource(options.getToken)
  // Only browsers have cookies. Some worker runtimes throw when the option is set.
  const credentials =
    options.credentials ?? (!inBrowser() ? undefined : options.token || tokens || appKey ? 'omit' : 'include')

  /** Sends one request. @returns the answer; or the error, and whether the same request may be sent again */
  async function attempt(
    operation: Operation,
    url: string,
    init: RequestInit & { headers: Record<string, string> },
    { ms, signal, token }: { ms: number; signal: AbortSignal | undefined; token: () => Promise<string | undefined> },
  ): Promise<Answer | { error: FocusError; again: boolean }> {
    signal?.throwIfAborted()
    const controller = new AbortController()
    const abort = () => controller.abort()
    // setTimeout fires immediately for 2^31 ms and more.
    const timer = setTimeout(abort, Math.min(ms, 2 ** 31 - 1))
    signal?.addEventListener('abort', abort)
    const safe = operation.method === 'G' || operation.has('r')
    let sentAt = 0

    async function exchange(): Promise<[Response, string]> {
      const bearer = await token()
      refuseSecret(bearer)
      // If the token came after the time limit, the caller has already got an error: send nothing.
      controller.signal.throwIfAborted()
      const headers = { ...init.headers, ...(bearer && { authorization: `Bearer ${bearer}` }) }
      sentAt = performance.now()
      // Redirects are not followed, because fetch would send X-App-Key to the other host.
      const how = { ...init, headers, redirect: 'manual', signal: controller.signal } as const
      const response = await (options.fetch ?? fetch)(url, credentials ? { ...how, credentials } : how)
      return [response, await response.text()]
    }

    let response: Response
    let text: string
    try {
      const gone = new Promise<never>((_, reject) => {
        controller.signal.onabort = reject
      })
      // The race also limits a `getToken` that never resolves, and a `fetch` that ignores the signal.
      ;[response, text] = await Promise.race([exchange(), gone])
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof FocusError) throw cause
      const timedOut = controller.signal.aborted
      const why = timedOut
        ? `no answer within ${Math.ceil(ms)} ms`
        : sentAt
          ? 'the service cannot be reached'
          : 'getToken failed'
      const error = new FocusError(
        timedOut ? 'timeout' : sentAt ? 'network_error' : 'token_unavailable',
        `${operation.id}: ${why}`,
        { cause },
      )
      return { error, again: safe || !sentAt }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }

    const { status, headers } = response
    let body: Record<string, unknown> | undefined
    try {
      body = text ? JSON.parse(text) : undefined
    } catch {} // reported below
    if (response.ok && (body || status === 204)) return { body, headers, sentAt }
    const wait = Number(headers.get('retry-after') ?? Number.NaN)
    const retryAfter = wait >= 0 ? wait : undefined
    const requestId = headers.get('x-request-id') ?? undefined
    const failure = { status, requestId, retryAfter }
    // The service answers 429 before it does anything.
    const again = status === 429
    if (typeof body?.error === 'string') {
      // OAuth endpoints name the message as RFC 6749 does.
      const { error: code, message = body.error_description, request_id, ...details } = body
      const error = errorFor(code as string, String(message ?? code), { ...failure, details })
      // 502 reports a failure of X's API, which a retry would repeat.
      return { error, again: again || (safe && (status === 408 || (status > 499 && status !== 502))) }
    }
    const redirected = status === 0 || (status > 299 && status < 400)
    const error = new FocusError(
      redirected ? 'redirected' : 'invalid_answer',
      `${operation.id}: ${options.url} answered ${redirected ? 'with a redirect' : `with status ${status} and something that is not the API's`}`,
      failure,
    )
    return { error, again: again || (safe && !redirected && (response.ok || status > 499)) }
  }

  return async (operation, input = {}, call = {}) => {
    const fixed = call.token ?? options.token
    const fields: Record<string, unknown> = { ...input }
    const keyed = appKey && operation.has('k')
    if (keyed && accountId && operation.has('a') && !fixed && !tokens) fields.account_id ??= accountId
    const { url, body } = addressed(options.url, operation, fields)
    const headers: Record<string, string> = {}
    if (keyed) headers['x-app-key'] = appKey
    if (body !== undefined)
      headers['content-type'] = operation.has('f') ? 'application/x-www-form-urlencoded' : 'application/json'
    if (operation.id === 'createJob') headers['idempotency-key'] = call.idempotencyKey ?? newKey()

    const { signal } = call
    const longest = call.timeout ?? (operation.has('s') ? SLOW_MS : timeout)
    const until = performance.now() + (call.retryFor ?? retryFor)
    let token = fixed
    let refused = false
    const bearer = async () => {
      token = fixed ?? (await tokens?.(refused ? token : undefined))
      return token
    }
    for (let tries = 0; ; tries++) {
      const ms = tries ? Math.max(1, Math.min(longest, until - performance.now())) : longest
      const init = { method: METHODS[operation.method] as string, headers, ...(body !== undefined && { body }) }
      const result = await attempt(operation, url, init, { ms, signal, token: bearer })
      if (!('error' in result)) return result
      const { error, again } = result
      if (error.status === 401 && !refused && token && !fixed) {
        refused = true
        continue
      }
      // Full jitter, in addition to Retry-After, so that clients that were refused together do not retry together.
      const wait = (error.retryAfter ?? 0) * 1000 + Math.random() * Math.min(8_000, 250 * 2 ** tries)
      if (!again || performance.now() + wait >= until) throw error
      await pause(wait, signal)
    }
  }
}

/** The URL and the body of an operation. Fields of `input` fill the path; the rest becomes the query or the body. */
export function addressed(origin: string, operation: Operation, input: object): { url: string; body?: string } {
  const fields = new Map(Object.entries(input).filter(([, value]) => value !== undefined))
  const path = operation.path.replace(/{(\w+)}/g, (_, name) => {
    const value = fields.get(name)
    fields.delete(name)
    // URL would resolve a segment of dots, which leads to another path.
    if (value === undefined || /^\.{0,2}$/.test(`${value}`))
      throw new FocusError('invalid_options', `${operation.id} needs ${name}`)
    return encodeURIComponent(value as string)
  })
  const url = new URL(path, origin).href
  const rest = Object.fromEntries(fields)
  if (fields.size === 0) return { url }
  if ('GD'.includes(operation.method)) return { url: `${url}?${new URLSearchParams(rest)}` }
  return { url, body: operation.has('f') ? `${new URLSearchParams(rest)}` : JSON.stringify(rest) }
}
