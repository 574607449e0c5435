import type { Schemas } from './api.ts'
import { FocusError } from './focus-error.ts'

/** The account after the event. */
interface AccountLevel {
  account_id: string
  credits: number
  held: number
  /** The number of the account's last entry: a larger one is newer */
  seq: number
}

/** A spending limit of a token or grant. */
interface Budget {
  /** The id of the token or grant */
  id: string
  amount: number
  spent: number
  period: 'day' | 'week' | 'month' | null
  resets_at: string | null
}

export type WebhookEvent =
  | { type: 'job.completed' | 'job.failed'; timestamp: string; data: AccountLevel & { job: Schemas['Job'] } }
  | {
      type: 'account.low' | 'account.recovered' | 'account.negative'
      timestamp: string
      data: AccountLevel & { job?: Schemas['Job'] }
    }
  | { type: 'budget.low' | 'budget.exceeded'; timestamp: string; data: AccountLevel & { budget: Budget } }
  | { type: 'test'; timestamp: string; data: Record<string, unknown> }

/** A request of a Node server. The body must be the received bytes, not JSON that was parsed and serialized again. */
export interface RawRequest {
  headers: Record<string, string | string[] | undefined>
  body: string | Uint8Array
}

/**
 * Verifies the signature and the age of a webhook (Standard Webhooks specification).
 * @param secret the endpoint's secret; both secrets during a rotation
 * @param options `tolerance`: how far the clocks may differ, in seconds; default 300
 * @returns the event. Its id is the header `webhook-id`, the same at every attempt
 * @throws {FocusError} invalid_signature; invalid_options if the secret is not valid
 */
export async function verifyWebhook(
  request: Request | RawRequest,
  secret: string | readonly string[],
  { tolerance = 300 }: { tolerance?: number } = {},
): Promise<WebhookEvent> {
  const { headers } = request
  const header = (name: string) => String((headers instanceof Headers ? headers.get(name) : headers[name]) ?? '')
  const body = new Uint8Array(
    typeof (request as Request).arrayBuffer === 'function'
      ? await (request as Request).arrayBuffer()
      : bytesOf((request as RawRequest).body),
  )
  const id = header('webhook-id')
  const timestamp = header('webhook-timestamp')
  const off = Math.abs(Date.now() / 1000 - Number(timestamp))
  const prefix = bytesOf(`${id}.${timestamp}.`)
  const signed = new Uint8Array(prefix.length + body.length)
  signed.set(prefix)
  signed.set(body, prefix.length)

  let valid = false
  for (const one of [secret].flat() as string[]) {
    const bytes = decode(one.replace(/^whsec_/, ''))
    // An empty key would accept signatures that anyone can make.
    if (!bytes.length) throw new FocusError('invalid_options', 'The secret is not one of a webhook endpoint: whsec_…')
    const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
    for (const signature of header('webhook-signature').split(' ').slice(0, 10)) {
      // Compares in constant time.
      if (signature.startsWith('v1,'))
        valid = (await crypto.subtle.verify('HMAC', key, decode(signature.slice(3)), signed)) || valid
    }
  }
  if (!valid || !(off <= tolerance))
    throw new FocusError('invalid_signature', 'This webhook is not signed with the secret, or is not fresh')
  return JSON.parse(new TextDecoder().decode(body))
}

const bytesOf = (text: string | Uint8Array): Uint8Array =>
  typeof text === 'string' ? new TextEncoder().encode(text) : text

/** The bytes of a base64 text; empty if it is not base64. */
function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}
