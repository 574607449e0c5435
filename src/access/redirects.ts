import { isLoopback } from '../addresses.ts'
import type { Config } from '../config.ts'

/** Decides whether a browser may be sent to an address. Pure; a table test lists the known tricks. */

const MAX_LENGTH = 2_048

/** How the token is passed to the target of a sign-in; `none` is for apps that ask /api/sessionToken. */
export type TokenIn = 'query' | 'fragment' | 'none'

/**
 * Checks where a sign-in wants to return to.
 * @param raw as received
 * @param rules `isAllowed` knows our own and the allowed origins; `loopbackHttp` allows http to this machine (local use);
 *   `isOurs` allows our own pages, which a browser that is here has reached already, also where that was by http
 * @returns the parsed URL, or undefined when a browser must not be sent there
 */
export function safeRedirect(
  raw: unknown,
  rules: { isAllowed: (origin: string) => boolean; loopbackHttp: boolean; isOurs?: (origin: string) => boolean },
): URL | undefined {
  if (typeof raw !== 'string' || raw.length > MAX_LENGTH) return undefined
  // Parsers disagree about these: what we check must be what the browser follows.
  if (/[\\\p{Cc}\s]/u.test(raw) || !/^https?:\/\/[^/]/i.test(raw)) return undefined
  const url = URL.parse(raw)
  if (!url || url.username || url.password || raw.split(/[/?#]/)[2]?.includes('@')) return undefined
  const secure =
    url.protocol === 'https:' || (url.protocol === 'http:' && rules.loopbackHttp && isLoopback(url.hostname))
  return rules.isOurs?.(url.origin) || (secure && rules.isAllowed(url.origin)) ? url : undefined
}

/** The same place with the session token added; one that is there already is replaced, the rest is kept. */
export function withToken(target: URL, token: string, tokenIn: TokenIn): string {
  const url = new URL(target)
  // By hand: URLSearchParams would rewrite the other parameters too, such as a route in the fragment.
  const put = (part: string) => {
    const kept = part
      .slice(1)
      .split('&')
      .filter((pair) => pair && !new URLSearchParams(pair).has('token'))
    return [...kept, `token=${token}`].join('&')
  }
  if (tokenIn === 'query') url.search = put(url.search)
  if (tokenIn === 'fragment') url.hash = put(url.hash)
  return url.href
}

/**
 * Why safeRedirect refused an address.
 * @param raw as received; it may be anything
 * @returns its origin, where that is what has to be allowed; undefined where the address itself is not acceptable
 */
export function originToAllow(
  raw: string,
  rules: { isAllowed: (origin: string) => boolean; loopbackHttp: boolean },
): string | undefined {
  const origin = URL.parse(raw)?.origin
  if (!origin || rules.isAllowed(origin)) return undefined
  // With every origin allowed, only the faults of the address itself are left.
  return safeRedirect(raw, { ...rules, isAllowed: () => true }) && origin
}

/**
 * Where a caller who is not signed in is sent, and back from there, but only to where a sign-in may return.
 * @param from the caller's Referer and Origin, the better one first
 */
export function signinUrl(
  publicUrl: string,
  from: (string | undefined)[],
  isAllowed: (origin: string) => boolean,
  mayReturn: (url: URL) => boolean = () => true,
): string {
  return withReturn(new URL('/signin', publicUrl), from, isAllowed, mayReturn)
}

/**
 * Where a person buys the credits that they lack, and back from there; undefined where nothing is sold.
 * @param from the caller's Referer and Origin, the better one first
 * @param missing how many credits they need
 */
export function buyUrl(
  { publicUrl, selling, topupUrl }: Pick<Config, 'publicUrl' | 'selling' | 'topupUrl'>,
  from: (string | undefined)[],
  isAllowed: (origin: string) => boolean,
  missing?: number,
): string | undefined {
  if (topupUrl || !selling) return topupUrl
  const url = new URL('/buy', publicUrl)
  if (missing !== undefined) url.searchParams.set('missing', String(missing))
  return withReturn(url, from, isAllowed)
}

function withReturn(
  url: URL,
  from: (string | undefined)[],
  isAllowed: (origin: string) => boolean,
  mayReturn: (url: URL) => boolean = () => true,
): string {
  const loopbackHttp = isLoopback(url.hostname)
  const caller = from.find((address) => {
    const target = safeRedirect(address, { isAllowed, loopbackHttp })
    return target && mayReturn(target)
  })
  if (caller) url.searchParams.set('redirect_to', caller)
  return url.href
}

/** Our own pages that lead nowhere by themselves. /signin does, which would hide where a person came from. */
const PAGES = ['', 'account(/.*)?', 'buy(/.*)?', 'grant', 'oauth/authorize', 'api/docs(/.*)?', 'docs(/.*)?']
const OWN_PAGES = {
  purchase: pattern(PAGES),
  // /device approves links of ours by one click. Only the sign-in tells it that a person came from elsewhere (`must_type`).
  sign_in: pattern([...PAGES, 'device(/.*)?', 'console(/.*)?']),
}

/** Whether an address of our own origin is a page that a person may be sent to after a sign-in or a purchase. */
export function isOwnPage({ pathname }: URL, after: keyof typeof OWN_PAGES): boolean {
  try {
    // As the router reads it.
    return OWN_PAGES[after].test(decodeURIComponent(pathname))
  } catch {
    return false
  }
}

function pattern(pages: string[]): RegExp {
  return new RegExp(`^/(${pages.join('|')})$`)
}
