import type { Schemas } from './api.ts'
import { FocusError } from './focus-error.ts'

interface AccountLevel {
  account_id: string
  /** The balance after the event */
  credits: number
  held: number
  /** The number of the account's last entry: a larger one is newer */
  seq: number
}

export type WebhookEvent =
  | { type: 'job.completed' | 'job.failed'; timestamp: string; data: AccountLevel & { job: Schemas['Job'] } }
  | {
      type: 'account.low' | 'account.recovered' | 'account.negative'
      timestamp: string
      data: AccountLevel & { job?: Schemas['Job'] }
    }
  | { type: 'test'; timestamp: string; data: Record<string, unknown> }

/** A request as Node's servers have it. The body is as it came, to the byte: not parsed and written again. */
export interface RawRequest {
  headers: Record<string, string | string[] | undefined>
  body: string | Uint8Array
}

/**
 * Checks that a webhook comes from the service and is fresh (Standard Webhooks).
 * @param secret the endpoint's; both while one is rotated
 * @param options `tolerance`: how far the clocks may be apart, in seconds; 300
 * @returns the event. Its id is the header `webhook-id`, the same at every attempt
 * @throws {FocusError} invalid_signature; invalid_options where a secret is none
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
    // Anybody can sign with an empty key.
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

/** Bytes of base64; none where it is not. */
function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}
