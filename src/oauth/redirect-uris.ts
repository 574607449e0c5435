import { isLoopback } from '../addresses.ts'

/** Decides where codes may be sent. Pure; a table test lists the known tricks. */

const MAX_LENGTH = 1_000
const LOOPBACK = /^http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?=[:/?])/

/**
 * Whether an address can be registered as a redirect URI: https, or http on the loopback interface; written as a browser
 * writes it, so that comparing characters is enough; without user name and fragment.
 */
export function isRedirectUri(raw: string): boolean {
  if (raw.length > MAX_LENGTH || raw.includes('#')) return false
  const url = URL.parse(raw)
  if (!url || url.href !== raw || url.username || url.password) return false
  // These would end a directive of a Content-Security-Policy; `*` parses as a host but is none.
  if (/[*;,']/.test(url.host)) return false
  return url.protocol === 'https:' || LOOPBACK.test(raw)
}

/**
 * Whether a client may be answered at an address: character by character one of those that are registered, but for the port of a
 * loopback address, which a program on the person's machine cannot know beforehand (RFC 8252, section 7.3).
 */
export function isRegistered(given: string, registered: readonly string[]): boolean {
  const wanted = withoutPort(given)
  return isRedirectUri(given) && registered.some((one) => one === given || withoutPort(one) === wanted)
}

/** A loopback address without its port; undefined for all others. */
const withoutPort = (uri: string): string =>
  LOOPBACK.test(uri) ? uri.replace(/^(http:\/\/(?:\[::1\]|[^:/?]+)):\d{1,5}(?=[/?])/, '$1') : uri

/** Any program on the machine can listen there, so an answer there says nothing about who gets it. */
export const isOnThisMachine = (uri: string): boolean => isLoopback(new URL(uri).hostname)
