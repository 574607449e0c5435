import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, answered, refusal, retryAfter, take } from './api.ts'
import { Failure } from './failure.ts'
import { isToken } from './store.ts'

/** The device's side of RFC 8628: ask for a code, then poll until somebody has decided. Times are in seconds. */

export interface Started {
  device_code: string
  user_code: string
  /** Where the person types the code */
  page: string
  /** The same with the code in it */
  link: string
  interval: number
  expires_in: number
}

/** After a lost answer the token can be fetched again for a minute, so that long no pause may come near it. */
const LONGEST_BACKOFF = 15
/** What is approved in the last second can be fetched for a minute. */
const GRACE = 60

/** @throws {Failure} whatever the server refuses; not_a_focus_api for an answer that makes no sense */
export async function startLogin(
  api: Api,
  server: string,
  asked: { client_name: string; scope: string },
): Promise<Started> {
  const started = await take(server, api.POST('/api/device/start', { body: asked }))
  const { device_code, user_code } = started
  const page = webPage(started.verification_uri)
  const link = webPage(started.verification_uri_complete) ?? page
  if (typeof device_code !== 'string' || typeof user_code !== 'string' || !page || !link) {
    throw new Failure('not_a_focus_api', `${server} does not seem to be a Focus API: it gives no code`)
  }
  const { interval, expires_in } = started
  return { device_code, user_code, page, link, interval: seconds(interval, 5), expires_in: seconds(expires_in, 900) }
}

/** What may be given to a browser: the server says it, and a file: or a program is no page. */
function webPage(uri: unknown): string | undefined {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return undefined
  const { protocol, href } = new URL(uri)
  return protocol === 'https:' || protocol === 'http:' ? href : undefined
}

const seconds = (given: unknown, fallback: number): number =>
  typeof given === 'number' && given >= 1 && given <= 86_400 ? given : fallback

/**
 * Polls until somebody has approved. One poll at a time, `interval` after the answer of the one before; slower when the
 * server asks for it (section 3.5), and while it cannot be reached.
 * @param onTrouble told what keeps the polls from an answer, and undefined when they have one again
 * @throws {Failure} access_denied, expired_token, already_used and whatever else ends a login
 */
export async function fetchToken(
  api: Api,
  server: string,
  { device_code, interval: asked, expires_in }: Started,
  onTrouble: (trouble: string | undefined) => void,
): Promise<{ token: string; expires_at: string }> {
  const end = Date.now() + (expires_in + GRACE) * 1000
  let interval = asked
  let pause = interval
  while (Date.now() < end) {
    await sleep(pause * 1000)
    try {
      const { data, error, response } = await answered(server, api.POST('/api/device/poll', { body: { device_code } }))
      if (data && 'token' in data && isToken(data.token)) return { token: data.token, expires_at: data.expires_at }
      if (data) {
        interval = seconds((data as { interval?: unknown }).interval, interval)
        pause = interval
        onTrouble(undefined)
        continue
      }
      const refused = refusal(server, response, error)
      const { interval: slower } = refused.details
      if (refused.code === 'slow_down') {
        interval = seconds(slower, interval + 5)
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
    return Math.max(interval, Math.min(previous * 2, LONGEST_BACKOFF))
  }
}

const ENDS: Record<string, string> = {
  access_denied: 'The login was denied in the browser',
  expired_token: 'The code expired before anybody approved it',
  already_used: 'The token of this login was fetched already, by somebody else or too long ago to be answered again',
}

const ended = (refused: Failure): Failure =>
  new Failure(refused.code, ENDS[refused.code] ?? refused.message, { details: refused.details })
