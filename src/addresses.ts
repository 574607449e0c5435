import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An address as people know it: IPv4 without the prefix that a dual-stack socket puts before it. */
export const plainAddress = (ip: string): string => (ipaddr.isValid(ip) ? ipaddr.process(ip).toString() : ip)

/** Whom attempts are counted for: one IPv4 address, or the /64 of an IPv6 one, of which everybody has 2^64. */
export function addressOwner(ip: string): string {
  // Nearly everybody; parsing costs ten times as much.
  if (isIPv4(ip)) return ip
  if (!ipaddr.isValid(ip)) return ip
  const address = ipaddr.process(ip)
  return address instanceof ipaddr.IPv6
    ? `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toNormalizedString().replace(/%.*/, '')}/64`)}/64`
    : address.toString()
}

/** `localhost`, 127.0.0.0/8 and ::1 (with or without brackets): names that only this machine can mean. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}

/** Whether `value` is an exact http(s) origin as browsers send it: no path, no default port, lower case. */
export function isOrigin(value: string): boolean {
  const url = URL.parse(value)
  // A wildcard parses as a host name and would silently match nothing; the others would end a directive of a CSP.
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === value && !/[*;,']/.test(value)
}
