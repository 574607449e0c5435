import { createHash, randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { v5 as uuidv5 } from 'uuid'
import { ApiError } from './errors.ts'
import type { Claims } from './identity/index.ts'
import { invalidToken } from './identity/refusals.ts'
import { openAccount } from './ledger/post.ts'

/** Who is asking: set by the hooks below, which every protected route names. */
export interface Caller {
  id: string
  clerk_id: string
  /** The identity's session, where there is one; tokens minted by a backend have none */
  sid: string | null
  /** The caller's own JWT and its claims; null with our session cookie */
  jwt: { token: string; claims: Claims } | null
  /** A cookie came by itself: the browser's user may not know of the request */
  via: 'header' | 'cookie'
}

/** Ids are derived, not looked up: no query and no race on somebody's first request. The namespace is ours, for ever. */
const ACCOUNT_NAMESPACE = '6f1f7f0e-54c8-4a37-9a55-2d5ad6a25e0b'
export const accountIdOf = (clerkId: string): string => uuidv5(clerkId, ACCOUNT_NAMESPACE)

const SESSION_SECONDS = 7 * 86_400

/** Any signed-in caller. @throws {ApiError} 401; 403 origin_not_allowed where a cookie changes something from elsewhere */
export async function requireAccount(request: FastifyRequest): Promise<void> {
  request.account = await authenticate(request)
  const { via } = request.account
  if (via === 'cookie' && !['GET', 'HEAD'].includes(request.method)) {
    const { origin } = request.headers
    if (!origin || !request.server.origins.isAllowed(origin)) throw originNotAllowed()
  }
}

/** A caller who administers the service. @throws {ApiError} as requireAccount; 403 not_an_administrator */
export async function requireAdmin(request: FastifyRequest): Promise<void> {
  await requireAccount(request)
  const { config, identity } = request.server
  const id = request.account.clerk_id
  if (!config.adminClerkIds.includes(id) && !identity.administrators.has(id)) {
    throw new ApiError(403, 'not_an_administrator', 'Only an administrator may do this.')
  }
}

export const originNotAllowed = () =>
  new ApiError(403, 'origin_not_allowed', 'Requests from this origin are not allowed; the operator has to add it.')

/** The Authorization header decides where there is one; else a cookie. @throws {ApiError} 401 */
export async function authenticate(request: FastifyRequest): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1]
    if (!token) throw new ApiError(401, 'invalid_token', 'Send the token as Authorization: Bearer <token>.')
    return bySessionJwt(request, token, 'header')
  }
  const caller = (await bySessionCookie(request)) ?? (await byClerkCookie(request))
  if (!caller) throw new ApiError(401, 'not_signed_in', 'Sign in first, or send a bearer token.')
  return caller
}

/** A caller by a session JWT, its party, audience and status checked. @throws {ApiError} 401 */
export async function bySessionJwt(request: FastifyRequest, token: string, via: Caller['via']): Promise<Caller> {
  const { config, identity, origins } = request.server
  const claims = await identity.verify(token, request.deadline)
  if (claims.azp === undefined ? via === 'cookie' : !origins.isAllowed(claims.azp)) throw invalidToken()
  if (claims.aud !== undefined && ![claims.aud].flat().includes(config.publicUrl)) throw invalidToken()
  if (claims.sts === 'pending') {
    throw new ApiError(401, 'session_pending', 'The sign-in is not finished; complete it first.')
  }
  const { sub, sid = null } = claims
  return { id: accountIdOf(sub), clerk_id: sub, sid, jwt: { token, claims }, via }
}

/** Clerk's own cookie: on hosts where ClerkJS runs, it holds a JWT of the last 60 seconds. */
async function byClerkCookie(request: FastifyRequest): Promise<Caller | undefined> {
  const token = request.server.identity.mode === 'clerk' ? request.cookies.__session : undefined
  return token ? bySessionJwt(request, token, 'cookie') : undefined
}

/** A browser by our own session cookie; undefined where it has none that lives. */
export async function bySessionCookie(request: FastifyRequest): Promise<Caller | undefined> {
  const { config, db } = request.server
  const secret = request.cookies[sessionCookie(config.publicUrl)]
  if (!secret) return undefined
  const session = await db
    .selectFrom('sessions')
    .innerJoin('accounts', 'accounts.id', 'sessions.account_id')
    .select(['accounts.id', 'accounts.clerk_id', 'sessions.clerk_sid'])
    .where('session_hash', '=', hashOf(secret))
    .where('sessions.expires_at', '>', new Date())
    .where('accounts.closed_at', 'is', null)
    // A session may be stored after the identity has ended it: its token lives for a minute more.
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('webhook_deliveries').whereRef('ended_sid', '=', 'sessions.clerk_sid'))),
    )
    .executeTakeFirst()
  return session && { id: session.id, clerk_id: session.clerk_id, sid: session.clerk_sid, jwt: null, via: 'cookie' }
}

/**
 * Signs a browser in: stores a session of ours for a session of the identity, and sets its cookie.
 * @throws {ApiError} 403 account_closed
 */
export async function openSession(
  request: FastifyRequest,
  reply: FastifyReply,
  owner: { clerkId: string; sid: string },
) {
  const { config, db } = request.server
  const secret = randomBytes(32).toString('base64url')
  const account_id = accountIdOf(owner.clerkId)
  const expires_at = new Date(Date.now() + SESSION_SECONDS * 1000)
  await openAccount(db, account_id, owner.clerkId)
  const account = db.selectFrom('accounts').select('closed_at').where('id', '=', account_id)
  if ((await account.executeTakeFirst())?.closed_at)
    throw new ApiError(403, 'account_closed', 'This account is closed.')
  await db
    .insertInto('sessions')
    .values({ session_hash: hashOf(secret), account_id, clerk_sid: owner.sid, expires_at })
    .execute()
  reply.setCookie(sessionCookie(config.publicUrl), secret, {
    ...cookieOptions(config.publicUrl),
    maxAge: SESSION_SECONDS,
  })
  return { expires_at }
}

/** Ends the session of the request's cookie, if it has one, and clears the cookie. */
export async function closeSession(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { config, db } = request.server
  const name = sessionCookie(config.publicUrl)
  const secret = request.cookies[name]
  if (secret) await db.deleteFrom('sessions').where('session_hash', '=', hashOf(secret)).execute()
  reply.clearCookie(name, cookieOptions(config.publicUrl))
}

const isHttps = (publicUrl: string) => publicUrl.startsWith('https:')
const sessionCookie = (publicUrl: string) => (isHttps(publicUrl) ? '__Host-focus_session' : 'focus_session')
const cookieOptions = (publicUrl: string) =>
  ({ path: '/', httpOnly: true, sameSite: 'lax', secure: isHttps(publicUrl) }) as const

/** Found by hash: the secret has 256 bits, so neither the stored value nor the time of a look-up tells it. */
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
