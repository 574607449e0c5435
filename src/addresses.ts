import { isIP, isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * An IP address in plain form: an IPv4-mapped IPv6 address, as dual-stack sockets report it, becomes plain IPv4. Brackets,
 * the port that some proxies append, and the zone of a link-local address are removed.
 * @returns undefined where `text` is no address
 */
export function readAddress(text: string): string | undefined {
  // The common case first: parsing takes ten times as long.
  if (isIPv4(text)) return text
  const [, v6, v4] = /^\s*(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)\s*$/.exec(text) ?? []
  const bare = (v6 ?? v4 ?? text.trim()).replace(/%.*/, '')
  // isIP first: ipaddr.js also reads "1", "0x7f.1" and the like as IPv4.
  return isIP(bare) ? ipaddr.process(bare).toString() : undefined
}

/**
 * The key that limits by address count under: an IPv4 address, or the /64 of an IPv6 address, the usual size of one
 * subscriber's network.
 * @param ip as `readAddress` gives it
 */
export function addressOwner(ip: string): string {
  return isIPv6(ip) ? `${ipaddr.IPv6.networkAddressFromCIDR(`${ip}/64`)}/64` : ip
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
