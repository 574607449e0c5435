import dns, { type LookupAddress } from 'node:dns'
import type { RequestOptions } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import ipaddr from 'ipaddr.js'

/** Protection against SSRF: which addresses we connect to for a URL that a caller gave us. */

/** How long to wait for IPv6 addresses once the IPv4 addresses are known, in ms: some name servers never answer. */
const IPV6_MS = 1_000

/** The address or name is not on the public internet. The message is shown to the operator. */
export class NotPublic extends Error {
  constructor(address: string) {
    super(`The address ${address} is not a public one.`)
  }
}

/** In public ranges, but served by the cloud's own network: metadata services of Azure and Oracle. */
const INTERNAL = new Set(['168.63.129.16', '192.0.0.192'])

/**
 * Whether an address belongs to the public internet: IPv4 outside every special range, or IPv6 within 2000::/3, which leaves out
 * loopback, private and link-local addresses and those that embed an IPv4 address.
 */
export function isPublic(address: string): boolean {
  const [text = ''] = address.split('%')
  try {
    // ipaddr.js takes ::8.8.8.8 for the IPv4 address; URL writes it as what it is, ::808:808.
    const parsed = ipaddr.process(isIP(text) === 6 ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text)
    if (parsed.range() !== 'unicast') return false
    if (parsed.kind() === 'ipv6') return ((parsed.toByteArray()[0] ?? 0) & 0xe0) === 0x20
    return !INTERNAL.has(parsed.toString())
  } catch {
    return false
  }
}

/**
 * The addresses of a host name. It asks the name servers without the system's resolver, which runs on few threads: a name server
 * that does not answer would hold up everybody else's look-ups.
 * @throws {NotPublic} when any address is not public
 */
export async function resolvePublic(hostname: string): Promise<LookupAddress[]> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const literal = isIP(host)
  if (/(^|\.)localhost\.?$/i.test(host) || (literal && !isPublic(host))) throw new NotPublic(host)
  if (literal) return [{ address: host, family: literal }]

  const four = dns.promises.resolve4(host)
  const late = four.then(
    () => sleep(IPV6_MS, [], { ref: false }),
    () => new Promise<never>(() => {}),
  )
  const found = await Promise.allSettled([four, Promise.race([dns.promises.resolve6(host), late])])
  const addresses = found.flatMap((family, i) =>
    family.status === 'fulfilled' ? family.value.map((address) => ({ address, family: i === 0 ? 4 : 6 })) : [],
  )
  const internal = addresses.find(({ address }) => !isPublic(address))
  if (internal) throw new NotPublic(internal.address)
  if (addresses.length === 0)
    throw found[0].status === 'rejected' ? found[0].reason : new Error('The name has no address.')
  return addresses
}

/** The look-up of a connection: what it answers is connected to, so a name cannot change between the check and the connection. */
export const lookupPublic: LookupFunction = (hostname, { all }, callback) => {
  resolvePublic(hostname).then(
    (addresses) =>
      all ? callback(null, addresses) : callback(null, addresses[0]?.address ?? '', addresses[0]?.family),
    (error) => callback(error, ''),
  )
}

/**
 * How to connect to a URL that somebody gave us, with Node's `request`: by a connection of its own, because each one checks the
 * address.
 * @param publicOnly allow only https and public addresses, against SSRF
 * @throws {NotPublic} for an address that is none; {Error} where the URL is not https
 */
export function connectionTo(target: URL, publicOnly: boolean): RequestOptions {
  if (!publicOnly) return { agent: false }
  if (target.protocol !== 'https:') throw new Error('The URL is not https.')
  // Node connects to a literal address without a look-up.
  const host = target.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) && !isPublic(host)) throw new NotPublic(host)
  return { agent: false, lookup: lookupPublic }
}
