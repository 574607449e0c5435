import createClient, { type Client } from 'openapi-fetch'
import type { paths } from './api-types.ts'
import { EXIT, Failure } from './failure.ts'

export type Api = Client<paths, 'application/json'>

/** An audit of a large ledger takes the server up to two minutes; everything else answers much sooner. In ms. */
const PATIENCE = { '/api/admin/verify': 150_000 } as Record<string, number>
const USUAL_PATIENCE = 30_000

/**
 * A client of one server, typed by its OpenAPI document. It follows no redirect: what it sends is for this server alone.
 * @param server an origin
 * @param secrets `token`: the bearer token; `appKey`: an app's settle key
 * @param patience how long an answer may take, in ms
 */
export function openApi(server: string, secrets: { token?: string; appKey?: string } = {}, patience?: number): Api {
  const { token, appKey } = secrets
  return createClient<paths, 'application/json'>({
    baseUrl: server,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(appKey && { 'x-app-key': appKey }),
      'user-agent': 'focus-cli',
    },
    fetch: async (request: Request) => {
      const ms = patience ?? PATIENCE[new URL(request.url).pathname] ?? USUAL_PATIENCE
      const response = await fetch(request, { redirect: 'manual', signal: AbortSignal.timeout(ms) }).catch((error) => {
        throw unreachable(server, error)
      })
      if (response.status >= 300 && response.status < 400) throw redirected(server, response.headers.get('location'))
      return response
    },
  })
}

/**
 * What the server answered, where it is a success.
 * @throws {Failure} what it refused and why; that it cannot be reached; that it is no Focus API
 */
export async function take<T>(
  server: string,
  asked: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answered(server, asked)
  if (!response.ok) throw refusal(server, response, error)
  // A 204 has no content, and its type says so.
  return data as T
}

/** The answer whatever its status. @throws {Failure} server_unreachable or not_a_focus_api */
export async function answered<A extends { error?: unknown; response: Response }>(
  server: string,
  asked: Promise<A>,
): Promise<A> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Failure) throw error
    if (error instanceof SyntaxError) throw notFocus(server, 'it does not answer in JSON')
    throw unreachable(server, error)
  }
}

/** Seconds that the server asks to wait; undefined where it does not say. */
export function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return seconds >= 0 ? Math.min(seconds, 3600) : undefined
}

/** A refusal as the server explains it; commands add what to do about it. */
export function refusal(server: string, response: Response, error: unknown): Failure {
  const { status } = response
  if (typeof error !== 'object' || error === null || typeof (error as { error?: unknown }).error !== 'string') {
    return notFocus(server, `it answered with status ${status}`)
  }
  const { error: code, message, ...details } = error as { error: string; message?: unknown }
  const text = typeof message === 'string' ? message : `The server answered ${code}.`
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
    hint: 'If that is where your Focus API is, name it with --server.',
  })
}

function unreachable(server: string, error: unknown): Failure {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } }
  const why = name === 'TimeoutError' ? 'it takes too long' : (cause?.code ?? cause?.message ?? 'the connection broke')
  return new Failure('server_unreachable', `${server} does not answer: ${why}`, {
    hint: 'Is it running? Check the network, --server and FOCUS_SERVER.',
  })
}
