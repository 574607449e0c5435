import { Agent, type Dispatcher, errors } from 'undici'
import { xFailed, xNotJson, xRateLimited, xTooLarge, xUnavailable } from '../http/catalogue.ts'

/** Time limit of a call to X, in ms. */
const TIMEOUT_MS = 10_000
/** Size limit of an answer, in bytes. */
const MAX_BYTES = 1_048_576

/** The part of the X API that we call on behalf of a person. */
export interface X {
  /**
   * Calls `GET /2/users/me` and returns the JSON text unchanged.
   * @param query parameters to pass on; undefined values are left out
   * @throws {ApiError} 429 rate_limited, 502 upstream_error with `upstream_status` (null: X did not answer)
   */
  me(token: string, query: Record<string, string | undefined>): Promise<string>
  close(): Promise<void>
}

/** @param baseUrl without a trailing slash */
export function createX(baseUrl: string): X {
  // A separate agent, so that a slow X does not affect other connections. It does not follow redirects.
  const agent = new Agent({
    connections: 64,
    connect: { timeout: TIMEOUT_MS },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    maxResponseSize: MAX_BYTES,
  })

  async function me(token: string, query: Record<string, string | undefined>): Promise<string> {
    const url = new URL(`${baseUrl}/2/users/me`)
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value)
    const { statusCode, headers, text } = await ask(url, token)
    if (statusCode === 429) throw xRateLimited(secondsToWait(headers))
    if (statusCode < 200 || statusCode > 299) throw xFailed(statusCode)
    if (!isJson(text)) throw xNotJson(statusCode)
    return text
  }

  async function ask(url: URL, token: string) {
    let statusCode: number | null = null
    try {
      const response = await agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'GET',
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      statusCode = response.statusCode
      return { statusCode, headers: response.headers, text: await response.body.text() }
    } catch (error) {
      const isLarge = error instanceof errors.ResponseExceededMaxSizeError
      throw isLarge ? xTooLarge(statusCode) : xUnavailable(statusCode)
    }
  }

  return { me, close: () => agent.destroy() }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Seconds to wait after a 429. X sends `x-rate-limit-reset`, a Unix time, instead of `retry-after`. Capped at one day. */
function secondsToWait(headers: Dispatcher.ResponseData['headers']): number {
  const after = Number(headers['retry-after'])
  const reset = Number(headers['x-rate-limit-reset']) - Date.now() / 1000
  const seconds = [after, reset].find((value) => Number.isFinite(value) && value > 0) ?? 60
  return Math.min(Math.ceil(seconds), 86_400)
}
