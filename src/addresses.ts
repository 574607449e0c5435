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
