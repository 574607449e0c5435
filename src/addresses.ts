import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An IP address for display: an IPv4-mapped IPv6 address, as dual-stack sockets report it, becomes plain IPv4. */
export const plainAddress = (ip: string): string => (ipaddr.isValid(ip) ? ipaddr.process(ip).toString() : ip)

/** The key that limits by address count under: an IPv4 address, or the /64 of an IPv6 address, the usual size of one subscriber's network. */
export function addressOwner(ip: string): string {
  // The common case first: parsing takes ten times as long.
  if (isIPv4(ip)) return ip
  if (!ipaddr.isValid(ip)) return ip
  const address = ipaddr.process(ip)
  return address instanceof ipaddr.IPv6
    ? `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toNormalizedString().replace(/%.*/, '')}/64`)}/64`
    : address.toString()
}

/** `localhost`, 127.0.0.0/8 and ::1 (with or without brackets): host names that always mean this machine. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}

/** Whether `value` is an http(s) origin as browsers serialize it: lower case, without path or default port. */
export function isOrigin(value: string): boolean {
  const url = URL.parse(value)
  // `*` parses as a host name but would never match. The other characters would end a CSP directive.
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === value && !/[*;,']/.test(value)
}
