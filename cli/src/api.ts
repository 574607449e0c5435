import createClient, { type Client } from 'openapi-fetch'
import type { paths } from '../../client/src/api-types.d.ts'
import { EXIT, Failure } from './failure.ts'
import { fetchByProxy, proxyOf } from './proxy.ts'

export type Api = Client<paths, 'application/json'>

/** Timeouts in ms, from the request to the end of the answer. Verifying a large ledger takes the server up to two minutes. */
const TIMEOUTS = { '/api/admin/verify': 150_000 } as Record<string, number>
const DEFAULT_TIMEOUT = 30_000
/** For an export, which may have millions of lines. */
const EXPORT_TIMEOUT = 3_600_000

/**
 * A client of one server, typed by the OpenAPI document. It does not follow redirects, so that secrets are sent to this server only.
 * @param server an origin
 * @param secrets `token`: the bearer token; `appKey`: an app's settle key
 * @param timeout how long an answer may take, in ms; default: 30 s, 150 s for verifying the ledger, an hour for exports
 */
export function openApi(server: string, secrets: { token?: string; appKey?: string } = {}, timeout?: number): Api {
  const { token, appKey } = secrets
  return createClient<paths, 'application/json'>({
    baseUrl: server,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(appKey && { 'x-app-key': appKey }),
      'user-agent': 'focus-cli',
    },
    fetch: async (request: Request) => {
      const isExport = request.headers.get('accept') === 'text/csv'
      const ms = timeout ?? TIMEOUTS[new URL(request.url).pathname] ?? (isExport ? EXPORT_TIMEOUT : DEFAULT_TIMEOUT)
      const how = { redirect: 'manual', signal: AbortSignal.timeout(ms) } as const
      const response = await fetchByProxy(request, how).catch((error) => {
        throw error instanceof Failure ? error : unreachable(server, error)
      })
      if (response.status >= 300 && response.status < 400) throw redirected(server, response.headers.get('location'))
      return response
    },
  })
}

/**
 * The body of a successful answer.
 * @throws {Failure} the server's error; server_unreachable; not_a_focus_api
 */
export async function take<T>(
  server: string,
  request: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answered(server, request)
  if (!response.ok) throw refusal(server, response, error)
  // The type of a 204 is undefined.
  return data as T
}

/** The answer, with any status. @throws {Failure} server_unreachable or not_a_focus_api */
export async function answered<A extends { error?: unknown; response: Response }>(
  server: string,
  request: Promise<A>,
): Promise<A> {
  try {
    return await request
  } catch (error) {
    if (error instanceof Failure) throw error
    if (error instanceof SyntaxError) throw notFocus(server, 'its answer is not JSON')
    throw unreachable(server, error)
  }
}

/** The seconds in Retry-After, at most 3600; undefined without one. */
export function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return seconds >= 0 ? Math.min(seconds, 3600) : undefined
}

/** The failure for an error answer. Commands add a hint. */
export function refusal(server: string, response: Response, error: unknown): Failure {
  const { status } = response
  if (typeof error !== 'object' || error === null || typeof (error as { error?: unknown }).error !== 'string') {
    return notFocus(server, `it answered with status ${status}`)
  }
  const { error: code, message, error_description, ...details } = error as Record<string, unknown> & { error: string }
  // OAuth endpoints name the message as RFC 6749 does.
  const said = message ?? error_description
  const text = typeof said === 'string' ? said : `The server answered ${code}.`
  const wait = retryAfter(response)
  const hint = wait === undefined ? undefined : `Try again in ${wait} s.`
  const exitCode = status === 401 ? EXIT.notSignedIn : status === 400 ? EXIT.usage : EXIT.failed
  return new Failure(code, text, { exitCode, hint, details: { status, ...details } })
}

const notFocus = (server: string, why: string) =>
  new Failure('not_a_focus_api', `${server} does not seem to be a Focus API: ${why}`, {
    hint: 'Check --server and FOCUS_SERVER.',
  })

function redirected(server: string, location: string | null): Failure {
  const elsewhere = location && URL.canParse(location, server) ? new URL(location, server).origin : 'another address'
  return new Failure('redirected', `${server} redirects to ${elsewhere}; nothing was sent there`, {
    hint: 'If your Focus API is there, set --server to it.',
  })
}

/** What is wrong with a certificate, by Node's error code. */
const CERTIFICATES: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'this machine does not know its certificate authority',
  UNABLE_TO_GET_ISSUER_CERT: 'this machine does not know its certificate authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'this machine does not know its certificate authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'this machine does not know its certificate authority',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another host name',
}

/** The failure of a request that got no answer. */
export function unreachable(server: string, error: unknown): Failure {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } }
  const code = cause?.code ?? ''
  const certificate = CERTIFICATES[code]
  if (certificate !== undefined) {
    const clock = /HAS_EXPIRED|NOT_YET/.test(code) ? "Check this machine's clock. " : ''
    return new Failure('tls_failed', `The TLS certificate of ${server} is not trusted: ${certificate} (${code})`, {
      hint: `${clock}If a certificate authority of your own or of your company issued it, set NODE_EXTRA_CA_CERTS to the file of that authority.`,
    })
  }
  if (/^ERR_SSL|^EPROTO/.test(code)) {
    return new Failure('tls_failed', `${server} does not speak TLS: ${code}`, {
      hint: 'Check the port, and whether the address begins with http:// or https://.',
    })
  }
  const why =
    name === 'TimeoutError' ? 'the request timed out' : code || (cause?.message ?? 'the connection was closed')
  const proxy = proxyOf(server)
  return new Failure('server_unreachable', `${server} does not answer: ${why}`, {
    hint: proxy
      ? 'The request goes through the proxy in HTTPS_PROXY. Check that proxy, or add the server to NO_PROXY.'
      : 'Check that it is running, your network, --server and FOCUS_SERVER.',
  })
}
