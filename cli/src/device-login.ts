import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, answered, refusal, retryAfter, take } from './api.ts'
import { Failure } from './failure.ts'
import { isToken } from './store.ts'

/**
 * The device's side of RFC 8628: request a code, then poll until a person has decided. Uses the standard endpoints, or `/api/device/*` of
 * servers that do not have them yet. Times are in seconds.
 */

const CLIENT_ID = 'focus-cli'
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

export interface Started {
  /** Whether the server has the standard endpoints */
  standard: boolean
  device_code: string
  user_code: string
  /** The page where the person enters the code */
  page: string
  /** The same page with the code in its address */
  link: string
  interval: number
  expires_in: number
}

/** The longest pause after a failed poll. The server repeats the token for a minute, so a lost answer can be fetched again. */
const MAX_BACKOFF = 15
/** How much longer than `expires_in` to poll: the server answers for another minute, for approvals in the last second. */
const GRACE = 60

/** Requests a code. @throws {Failure} the server's error; not_a_focus_api for an answer without a code */
export async function startLogin(
  api: Api,
  server: string,
  body: { client_name: string; scope: string },
): Promise<Started> {
  const answer = await answered(
    server,
    api.POST('/oauth/device_authorization', { body: { client_id: CLIENT_ID, ...body }, ...FORM }),
  )
  const standard = answer.response.status !== 404
  const started = await take(server, standard ? Promise.resolve(answer) : api.POST('/api/device/start', { body }))
  const { device_code, user_code } = started
  const page = webPage(started.verification_uri)
  const link = webPage(started.verification_uri_complete) ?? page
  if (typeof device_code !== 'string' || typeof user_code !== 'string' || !page || !link) {
    throw new Failure('not_a_focus_api', `${server} does not seem to be a Focus API: its answer has no code`)
  }
  const { interval, expires_in } = started
  return {
    ...{ standard, device_code, user_code, page, link },
    interval: seconds(interval, 5),
    expires_in: seconds(expires_in, 900),
  }
}

/** Options of a request to an OAuth endpoint, which expects a form. */
const FORM = {
  bodySerializer: (body: Record<string, string>) => new URLSearchParams(body).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
}

/** A URL from the server if it may be opened in a browser: http and https only. */
export function webPage(uri: unknown): string | undefined {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return undefined
  const { protocol, href } = new URL(uri)
  return protocol === 'https:' || protocol === 'http:' ? href : undefined
}

const seconds = (value: unknown, fallback: number): number =>
  typeof value === 'number' && value >= 1 && value <= 86_400 ? value : fallback

interface Granted {
  token: string
  expires_at: string
  name?: string
}

type Polled = Granted | { interval: number | undefined } | { refused: Failure; response: Response }

/** Asks once whether a person has decided. @throws {Failure} server_unreachable or not_a_focus_api */
async function poll(api: Api, server: string, { standard, device_code }: Started): Promise<Polled> {
  if (standard) {
    const body = { grant_type: DEVICE_GRANT, client_id: CLIENT_ID, device_code }
    const { data, error, response } = await answered(server, api.POST('/oauth/token', { body, ...FORM }))
    if (data && isToken(data.access_token)) {
      const expires_at = new Date(Date.now() + data.expires_in * 1000).toISOString()
      return { token: data.access_token, expires_at, ...(typeof data.name === 'string' && { name: data.name }) }
    }
    // The types of the document do not include the errors.
    if ((error as { error?: string } | undefined)?.error === 'authorization_pending') return { interval: undefined }
    return { refused: refusal(server, response, error), response }
  }
  const { data, error, response } = await answered(server, api.POST('/api/device/poll', { body: { device_code } }))
  if (data && 'token' in data && isToken(data.token)) {
    const { token, expires_at, name } = data
    return { token, expires_at, ...(typeof name === 'string' && { name }) }
  }
  if (data) return { interval: (data as { interval?: number }).interval }
  return { refused: refusal(server, response, error), response }
}

/**
 * Polls until a person has approved. The next poll starts `interval` after the last answer, or later if the server asks
 * for that (RFC 8628, section 3.5) or cannot be reached.
 * @param onTrouble called with the reason when a poll fails, and with undefined once polls work again
 * @throws {Failure} access_denied, expired_token, already_used, and other errors that end a login
 */
export async function fetchToken(
  api: Api,
  server: string,
  started: Started,
  onTrouble: (trouble: string | undefined) => void,
): Promise<Granted> {
  const end = Date.now() + (started.expires_in + GRACE) * 1000
  let { interval } = started
  let pause = interval
  while (Date.now() < end) {
    await sleep(pause * 1000)
    try {
      const polled = await poll(api, server, started)
      if ('token' in polled) return polled
      if ('interval' in polled) {
        interval = seconds(polled.interval, interval)
        pause = interval
        onTrouble(undefined)
        continue
      }
      const { refused, response } = polled
      if (refused.code === 'slow_down') {
        interval = seconds(refused.details.interval, interval + 5)
        pause = Math.max(interval, retryAfter(response) ?? 0)
      } else if (response.status === 429 || response.status >= 500) {
        pause = Math.max(backOff(pause), retryAfter(response) ?? 0)
        onTrouble(refused.message)
      } else throw ended(refused)
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'server_unreachable') throw error
      pause = backOff(pause)
      onTrouble(error.message)
    }
  }
  throw ended(new Failure('expired_token', ''))

  function backOff(previous: number): number {
    return Math.max(interval, Math.min(previous * 2, MAX_BACKOFF))
  }
}

const FETCHED = 'The token of this login has been fetched already, by another program or more than a minute ago'
const FINAL_ERRORS: Record<string, string> = {
  access_denied: 'The login was denied in the browser',
  expired_token: 'The code expired before it was approved',
  already_used: FETCHED,
  invalid_grant: FETCHED,
}

const ended = (refused: Failure): Failure =>
  new Failure(refused.code, FINAL_ERRORS[refused.code] ?? refused.message, { details: refused.details })
