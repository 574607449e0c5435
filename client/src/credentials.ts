import { FocusError } from './focus-error.ts'

/** A token, or a token with its expiry as `getSessionToken` returns it. */
export type Token = string | { token: string; expires_at?: string | null | undefined } | null | undefined

/** Returns a token. @param how `fresh`: the last token was refused, so do not return one from a cache */
export type GetToken = (how: { fresh: boolean }) => Token | Promise<Token>

/** A token is renewed this long before it expires; a short-lived one after three quarters of its life. */
const MARGIN_MS = 15_000

/** After this time an unanswered call of `getToken` is given up and repeated. */
const PATIENCE_MS = 15_000

/** Access tokens are the only credentials with a prefix that may be used in a page. The others belong on servers and terminals. */
const SECRET = /^focus_(?!at_)/

/** True in pages and browser workers. Node, Deno, Bun and Cloudflare Workers have other user agents. */
export const inBrowser = (): boolean => /^Mozilla\//.test(globalThis.navigator?.userAgent)

/** @throws {FocusError} secret_in_browser */
export function refuseSecret(secret: string | undefined): void {
  if (secret !== undefined && SECRET.test(secret) && inBrowser())
    throw new FocusError(
      'secret_in_browser',
      "Every visitor of a page can read what is in it, so app keys and personal access tokens must stay on a server. Use the session cookie, a session token or an access token here, and settle from your app's server.",
    )
}

/**
 * A source of tokens. Concurrent requests share one call of `getToken`, which is repeated shortly before the token expires.
 * @returns gives the token; call it with a token that the server refused to get another one
 */
export function tokenSource(getToken: GetToken) {
  let current: { token: string | undefined; until: number } | undefined
  let asking: { since: number; answer: Promise<string | undefined> } | undefined

  async function ask(fresh: boolean): Promise<string | undefined> {
    const given = await getToken({ fresh })
    const token = (typeof given === 'object' ? given?.token : given) || undefined
    const left = token === undefined ? 0 : remaining(given as Exclude<Token, null | undefined>)
    current = { token, until: performance.now() + left - Math.min(MARGIN_MS, left / 4) }
    return token
  }

  return (refused?: string): Promise<string | undefined> => {
    const fresh = refused !== undefined && refused === current?.token
    if (!fresh && current && performance.now() < current.until) return Promise.resolve(current.token)
    const since = performance.now()
    if (asking && since < asking.since + PATIENCE_MS) return asking.answer
    const question = { since, answer: ask(fresh) }
    const done = () => {
      if (asking === question) asking = undefined
    }
    question.answer.then(done, done)
    asking = question
    return question.answer
  }
}

/**
 * How long a token is still valid, in ms; 0: unknown. The local clock may be wrong: when it is outside the validity of a JWT, the JWT counts as
 * new. If that is wrong too, the server answers 401.
 */
function remaining(given: Exclude<Token, null | undefined>): number {
  const now = Date.now()
  if (typeof given === 'object' && given.expires_at) return Math.max(0, Date.parse(given.expires_at) - now) || 0
  try {
    const payload = (typeof given === 'object' ? given.token : given).split('.')[1] ?? ''
    const { iat, exp } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { iat: number; exp: number }
    const left = exp * 1000 - now
    const life = (exp - iat) * 1000
    return (left > 0 && left <= life ? left : life) || 0
  } catch {
    return 0 // not a JWT
  }
}
