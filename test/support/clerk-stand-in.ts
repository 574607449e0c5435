import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { Test } from 'tap'
import { unique } from './start.ts'

/** What the stand-in does instead of answering. Without `status` the normal answer is sent after `delayMs`. */
export interface Fault {
  status?: number
  headers?: Record<string, string>
  /** In place of Clerk's error object */
  body?: string
  delayMs?: number
  /** `silent` never answers, `cut` breaks the connection */
  instead?: 'silent' | 'cut'
}

export interface SignOptions {
  key?: CryptoKey | Uint8Array
  header?: Record<string, unknown>
}

/** Claims whose value is undefined are left out. */
export type ClaimChanges = { [claim: string]: unknown }

/** A JWT with the claims of a Clerk session, changed as asked. Times are seconds since 1970. */
export async function sessionJwt(key: CryptoKey | Uint8Array, changes: ClaimChanges, header = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: 'user_nobody', sid: 'sess_nobody', iat: now, nbf: now - 10, exp: now + 60, sts: 'active', v: 2 }
  // Two tokens of one second must differ: caches go by the token.
  const payload = { ...claims, jti: unique('jti'), ...changes } as JWTPayload
  return new SignJWT(payload).setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...header }).sign(key)
}

/**
 * A stand-in for Clerk's Backend API on a port of its own, with keys of its own: JWKS, sessions and their tokens, users
 * and their OAuth tokens. It answers exactly `application/json`, as Clerk does, counts its calls and fails on demand.
 */
export async function startClerk(t: Test, publicUrl = 'http://localhost:3000') {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const kid = unique('ins')
  const secretKey = `sk_test_${unique('secret')}`
  const jwks: { keys: object[] } = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }] }

  const calls: string[] = []
  const faults: { where: RegExp; fault: Fault; left: number }[] = []
  const sessions = new Map<string, { userId: string; status: string }>()
  const templates = new Set<string>()
  const users = new Map<string, Record<string, object[]>>()
  const emails = new Map<string, string>()

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const issuer = `https://127.0.0.1:${port}`
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.teardown(stop)

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = `${request.method} ${request.url?.split('?', 1)[0]}`
    calls.push(call)
    const active = faults.find(({ where, left }) => left > 0 && where.test(call))
    if (active) active.left--
    const { status, headers = {}, body, delayMs = 0, instead }: Fault = active?.fault ?? {}
    if (instead === 'silent') return
    if (instead === 'cut') return void request.socket.destroy()
    if (delayMs) await sleep(delayMs)
    if (status) return send(response, status, body ?? errorBody('stand_in', 'You asked for this.'), headers)
    if (request.headers.authorization !== `Bearer ${secretKey}`) {
      return send(response, 401, errorBody('clerk_key_invalid', 'The provided Clerk Secret Key is invalid.'))
    }
    const { searchParams } = new URL(request.url ?? '', 'http://clerk')
    const found = await resource(call, searchParams)
    send(response, found ? 200 : 404, found ? JSON.stringify(found) : errorBody('resource_not_found', 'not found'))
  }

  /** The SDK writes a list as `email_address` once for each value. */
  function usersBy(query: URLSearchParams): string[] {
    const asked = [...query.getAll('email_address'), ...query.getAll('email_address[]')]
    const part = query.get('query')
    const matches = (email: string) => (part === null ? asked.includes(email) : email.includes(part))
    return [...emails].filter(([email]) => matches(email)).map(([, id]) => id)
  }

  /** What Clerk would answer; undefined where there is none. */
  async function resource(call: string, query: URLSearchParams): Promise<object | undefined> {
    if (call === 'GET /v1/users') return usersBy(query).map((id) => ({ object: 'user', id, external_accounts: [] }))
    if (call === 'GET /v1/users/count') return { object: 'total_count', total_count: usersBy(query).length }
    if (call === 'GET /v1/jwks') return jwks
    const [, method, kind, id = '', below, name] =
      /^(\w+) \/v1\/(\w+)\/([^/]+)(?:\/(\w+)(?:\/(.+))?)?$/.exec(call) ?? []
    const session = sessions.get(id)
    if (method === 'GET' && kind === 'sessions' && !below && session) {
      return { object: 'session', id, user_id: session.userId, status: session.status }
    }
    if (method === 'POST' && kind === 'sessions' && below === 'tokens' && session?.status === 'active') {
      if (name !== undefined && !templates.has(name)) return undefined
      // Clerk's backend names no authorized party.
      const extra =
        name === undefined ? { sid: id, azp: undefined } : { sid: undefined, azp: undefined, template: name }
      return { object: 'token', jwt: await token({ sub: session.userId, ...extra }) }
    }
    const user = users.get(id)
    if (method === 'GET' && kind === 'users' && !below && user)
      return { object: 'user', id, external_accounts: user.external_accounts ?? [] }
    if (method === 'GET' && kind === 'users' && below === 'oauth_access_tokens' && user && name !== undefined) {
      const tokens = user[name] ?? []
      return { data: tokens, total_count: tokens.length }
    }
    return undefined
  }

  /** A session JWT of this Clerk for our own origin. */
  function token(changes: ClaimChanges = {}, { key = privateKey, header = {} }: SignOptions = {}): Promise<string> {
    return sessionJwt(key, { iss: issuer, azp: publicUrl, ...changes }, { kid, ...header })
  }

  return {
    /** The keys and addresses that make the service ask here; add CLERK_JWT_KEY for checks without a call */
    env: {
      CLERK_SECRET_KEY: secretKey,
      CLERK_PUBLISHABLE_KEY: `pk_test_${Buffer.from(`127.0.0.1:${port}$`).toString('base64')}`,
      CLERK_API_URL: `http://127.0.0.1:${port}`,
      PUBLIC_URL: publicUrl,
    },
    jwtKey: await exportSPKI(publicKey),
    /** What /v1/jwks answers; its keys may be changed */
    jwks,
    issuer,
    secretKey,
    /** Every call so far, as `POST /v1/sessions/sess_1/tokens` */
    calls,
    sessions,
    /** Names of JWT templates */
    templates,
    /** User id → provider (`oauth_x`) → its tokens as Clerk lists them; `external_accounts` → these */
    users,
    /** E-mail address → user id */
    emails,
    token,
    /** A new user with a session that is active */
    signIn(): { sub: string; sid: string } {
      const name = unique('').replaceAll('-', '')
      const somebody = { sub: `user_${name}`, sid: `sess_${name}` }
      sessions.set(somebody.sid, { userId: somebody.sub, status: 'active' })
      users.set(somebody.sub, {})
      return somebody
    },
    /** Calls that match fail, so many times; the first fault that matches counts */
    fail(where: RegExp, fault: Fault, times = Number.POSITIVE_INFINITY): void {
      faults.push({ where, fault, left: times })
    },
    /** So many calls matched so far */
    count: (where: RegExp): number => calls.filter((call) => where.test(call)).length,
    /** Nobody listens any more */
    stop,
    heal(): void {
      faults.length = 0
    },
  }
}

/** How Clerk says no. */
export const errorBody = (code: string, message: string): string =>
  JSON.stringify({ errors: [{ code, message, long_message: message }], clerk_trace_id: 'trace' })

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}
