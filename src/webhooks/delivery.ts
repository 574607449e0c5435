import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { Webhook } from 'standardwebhooks'
import { connectionTo } from '../http/public-addresses.ts'

/** Time limit from the DNS lookup to the status line, in ms. */
export const TIMEOUT_MS = 15_000
/** How long and how much of an answer's body is read. */
const BODY_MS = 1_000
const BODY_BYTES = 1_024
const ANSWER_CHARACTERS = 200
/** Upper limit of `Retry-After`. */
const MAX_RETRY_AFTER_SECONDS = 6 * 3600

export interface Delivery {
  url: string
  /** `whsec_…`; the header gets one signature for each */
  secrets: string[]
  /** Message id, the same at every attempt, so that receivers can detect repeats */
  id: string
  /** JSON */
  payload: string
}

/** The result of an attempt. */
export interface Attempt {
  /** Why it failed; null: the receiver answered 2xx */
  error: string | null
  /** HTTP status; null: there was no answer */
  status: number | null
  /** The first 200 characters of the answer's body; null: there was no answer */
  answer: string | null
  /** Seconds that the receiver asks us to wait, from `Retry-After`; 0: no wait */
  retry_after: number
  /** How long the attempt took */
  ms: number
}

/** Thrown when the attempt was aborted because the service stops. */
export class Stopped extends Error {}

/**
 * Posts a message, signed as the Standard Webhooks specification says. Redirects are not followed.
 * @param publicOnly allows only https and public addresses, against SSRF
 * @returns the result, also of a failed attempt
 * @throws {Stopped} when `signal` aborts
 */
export async function deliver(delivery: Delivery, publicOnly: boolean, signal?: AbortSignal): Promise<Attempt> {
  const began = performance.now()
  const ms = () => Math.round(performance.now() - began)
  try {
    const response = await post(delivery, publicOnly, signal)
    const { statusCode: status = 0, headers } = response
    const redirect = status >= 300 && status < 400 ? ', a redirect' : ''
    const error = status >= 200 && status < 300 ? null : `Answered ${status}${redirect}.`
    const retry_after = status === 429 || status === 503 ? retryAfter(headers['retry-after']) : 0
    return { error, status, answer: await beginning(response), retry_after, ms: ms() }
  } catch (error) {
    if (signal?.aborted) throw new Stopped()
    const { message, code } = error as NodeJS.ErrnoException
    // When several addresses refuse the connection, the error has a code and no message.
    return { error: (message || String(code)).slice(0, 300), status: null, answer: null, retry_after: 0, ms: ms() }
  }
}

/** @returns the answer as soon as its head has arrived; the caller must read or destroy its body */
function post({ url, secrets, id, payload: body }: Delivery, publicOnly: boolean, signal?: AbortSignal) {
  const target = new URL(url)
  const connection = connectionTo(target, publicOnly)
  const now = new Date()
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (target.protocol === 'https:' ? https : http).request(target, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'focus-api-webhooks',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, now, body)).join(' '),
    },
    ...connection,
    ...(signal && { signal }),
  })
  const late = () => request.destroy(new Error(`No answer within ${TIMEOUT_MS / 1000} s.`))
  const timer = setTimeout(late, TIMEOUT_MS)
  request.on('error', reject)
  request.on('response', resolve)
  request.on('close', () => reject(new Error('The connection was closed.')))
  request.end(body)
  return promise.finally(() => clearTimeout(timer))
}

/** The first characters of an answer's body. Reads at most about 1 KiB, for at most a second. */
async function beginning(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  const timer = setTimeout(() => response.destroy(), BODY_MS)
  try {
    for await (const chunk of response) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= BODY_BYTES) break
    }
  } catch {
    // The body ended early. What has arrived is kept.
  } finally {
    clearTimeout(timer)
    response.destroy()
  }
  const text = Buffer.concat(chunks).subarray(0, BODY_BYTES).toString()
  // Postgres stores no NUL.
  return text.replaceAll('\0', '').slice(0, ANSWER_CHARACTERS).toWellFormed()
}

/** Seconds of a `Retry-After` header, which is a number or a date (RFC 9110, section 10.2.3). */
function retryAfter(header: string | undefined): number {
  if (!header) return 0
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isNaN(seconds) ? 0 : Math.min(Math.max(Math.ceil(seconds), 0), MAX_RETRY_AFTER_SECONDS)
}
