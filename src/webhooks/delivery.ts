import { lookup as resolve } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Webhook } from 'standardwebhooks'

/** Time limit of one delivery, in ms, from DNS lookup to status line. */
const TIMEOUT_MS = 15_000

export interface Delivery {
  url: string
  /** `whsec_…` of the endpoint */
  secret: string
  /** Message id, the same at every attempt, so that receivers can detect repeats */
  id: string
  payload: Record<string, unknown>
}

/**
 * Posts a message with a Standard Webhooks signature. Redirects are not followed.
 * @param publicOnly allow only https and public addresses, against SSRF. The address that is connected to is checked, so
 *   DNS rebinding does not bypass it
 * @throws {Error} unless the receiver answers 2xx; the message is shown to the operator
 */
export async function deliver(
  { url, secret, id, payload }: Delivery,
  publicOnly: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const target = new URL(url)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  if (publicOnly && target.protocol !== 'https:') throw new Error('The URL is not https.')
  // Node connects to a literal address without a lookup.
  if (publicOnly && isIP(host) && !isPublic(host)) throw refused(host)

  const body = JSON.stringify(payload)
  const now = new Date()
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'user-agent': 'focus-api-webhooks',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, now, body),
  }
  const { promise, resolve: done, reject } = Promise.withResolvers<void>()
  const request = (target.protocol === 'https:' ? https : http).request(target, {
    method: 'POST',
    headers,
    // No connection reuse: each delivery checks the address again.
    agent: false,
    signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]),
    ...(publicOnly && { lookup: lookupPublic }),
  })
  request.on('error', (error) =>
    reject(error.name === 'TimeoutError' || error.name === 'AbortError' ? new Error('No answer in time.') : error),
  )
  request.on('response', (response) => {
    const { statusCode = 0 } = response
    response.destroy()
    if (statusCode >= 200 && statusCode < 300) done()
    else reject(new Error(`Answered ${statusCode}${statusCode >= 300 && statusCode < 400 ? ', a redirect' : ''}.`))
  })
  request.end(body)
  await promise
}

/** The lookup of the connection. It fails when any address of the name is not public. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '')
    const disallowed = addresses.find(({ address }) => !isPublic(address))
    if (disallowed) return callback(refused(disallowed.address), '')
    if (options.all) return callback(null, addresses)
    const [first] = addresses
    callback(first ? null : new Error('The name has no address.'), first?.address ?? '', first?.family)
  })
}

const refused = (address: string) => new Error(`The address ${address} is not a public one.`)

/** Whether an address belongs to the public internet; loopback, private, link-local and every special range do not. */
export function isPublic(address: string): boolean {
  try {
    return ipaddr.process(address.split('%')[0] ?? '').range() === 'unicast'
  } catch {
    return false
  }
}
