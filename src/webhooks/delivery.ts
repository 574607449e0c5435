import { lookup as resolve } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Webhook } from 'standardwebhooks'

/** What one delivery may take, in ms, from the look-up of the name to the status. */
const PATIENCE_MS = 15_000

export interface Delivery {
  url: string
  /** `whsec_…` of the endpoint */
  secret: string
  /** The same at every attempt: receivers know a repeat by it */
  id: string
  payload: Record<string, unknown>
}

/**
 * Posts a message with a Standard Webhooks signature. Redirects are not followed.
 * @param publicOnly https to public addresses alone: an operator's typing error, or a name that changes its address, must
 *   not make us a client of our own network. Checked on the address that is connected to, not on one looked up before.
 * @throws {Error} with a reason to show, unless the receiver answered 2xx
 */
export async function deliver(
  { url, secret, id, payload }: Delivery,
  publicOnly: boolean,
  signal?: AbortSignal,
): Promise<void> {
  const target = new URL(url)
  const host = target.hostname.replace(/^\[|\]$/g, '')
  if (publicOnly && target.protocol !== 'https:') throw new Error('The URL is not https.')
  // A literal address is connected to without any look-up.
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
    // No kept connection: its address was checked long ago.
    agent: false,
    signal: AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])]),
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

/** The resolver of the connection itself; one address that is not public refuses the name. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '')
    const odd = addresses.find(({ address }) => !isPublic(address))
    if (odd) return callback(refused(odd.address), '')
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
