import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { v5 as uuidv5 } from 'uuid'
import type { Scope } from '../db/tables.ts'
import { ApiError } from '../http/errors.ts'
import { isLocalSid } from '../identity/local.ts'
import { invalidToken } from '../identity/refusals.ts'
import type { Claims } from '../identity/types.ts'
import { openAccount } from '../ledger/post.ts'
import { hashOf, isPat } from './tokens.ts'

/** Who is asking: set by the hooks below, which every protected route names. */
export interface Caller {
  id: string
  clerk_id: string
  /** The identity's session, where there is one; tokens minted by a backend have none */
  sid: string | null
  /** The caller's own JWT and its claims; null with our session cookie and with a PAT */
  jwt: { token: string; claims: Claims } | null
  /** A cookie came by itself: the browser's user may not know of the request */
  via: 'header' | 'cookie'
  /** What the person is called on our pages, such as an e-mail address; only our session knows */
  name?: string | null
  /** With a PAT its id and what it may be used for; null for a person, who may do everything */
  token_id: string | null
  scopes: Scope[] | null
}

/** What Clerk calls its users, as a pattern. */
export const CLERK_USER_ID = '^user_[A-Za-z0-9_-]{1,64}$'
const USER_ID = new RegExp(CLERK_USER_ID)

/** Ids are derived, not looked up: no query and no race on somebody's first request. The namespace is ours, for ever. */
const ACCOUNT_NAMESPACE = '6f1f7f0e-54c8-4a37-9a55-2d5ad6a25e0b'
export function accountIdOf(clerkId: string): string {
  let id = accountIds.get(clerkId)
  if (id === undefined) {
    id = uuidv5(clerkId, ACCOUNT_NAMESPACE)
    accountIds.set(clerkId, id)
  }
  return id
}
const accountIds = new LRUCache<string, string>({ max: 10_000 })

const SESSION_SECONDS = 7 * 86_400

const person = { token_id: null, scopes: null } as const

/** Any signed-in caller, by a PAT only with scope `account`. @throws {ApiError} as requireScope */
export const requireAccount = requireScope('account')

/** A caller who may use the OAuth tokens of the account. @throws {ApiError} as requireScope */
export const requireOauth = requireScope('oauth')

/** A caller who administers the service. @throws {ApiError} as requireScope; 403 not_an_administrator */
export async function requireAdmin(request: FastifyRequest): Promise<void> {
  await requireCaller(request)
  const { config, identity } = request.server
  const { clerk_id } = request.account
  if (!config.adminClerkIds.includes(clerk_id) && !identity.administrators.has(clerk_id)) {
    throw new ApiError(403, 'not_an_administrator', 'Only an administrator may do this.')
  }
  checkScope(request.account, 'admin')
}

/**
 * A hook for callers who may do what `scope` says: people all of it, PATs what they were approved for. It throws as
 * requireCaller does, and 403 insufficient_scope.
 */
export function requireScope(scope: Scope) {
  return async (request: FastifyRequest): Promise<void> => {
    await requireCaller(request)
    checkScope(request.account, scope)
  }
}

/** Any caller, whatever a PAT is for. @throws {ApiError} 401; 403 origin_not_allowed where a cookie changes something from elsewhere */
export async function requireCaller(request: FastifyRequest): Promise<void> {
  request.account = await authenticate(request)
  const { via } = request.account
  if (via === 'cookie' && !['GET', 'HEAD'].includes(request.method)) {
    const { origin } = request.headers
    if (!origin || !request.server.origins.isAllowed(origin)) throw originNotAllowed()
  }
}

/**
 * A person, not a program: signed in by our session or with a JWT of theirs, and on a page of our own. Allowed apps'
 * pages are not enough: a code that an attacker knows must not be approved from anywhere but where it is shown.
 * @throws {ApiError} 401 session_required beside those of authenticate; 403 origin_not_allowed
 */
export async function requireSession(request: FastifyRequest): Promise<void> {
  request.account = await authenticate(request)
  const { sid, via } = request.account
  if (!sid) throw new ApiError(401, 'session_required', 'Only a person who has signed in may do this; sign in first.')
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined ? !request.server.origins.isOurs(origin) : via === 'cookie' && site !== 'same-origin') {
    throw new ApiError(403, 'origin_not_allowed', 'This can be done on our own pages only.')
  }
}

function checkScope({ scopes }: Caller, scope: Scope): void {
  if (!scopes || scopes.includes(scope)) return
  throw new ApiError(
    403,
    'insufficient_scope',
    `This token was not approved for "${scope}"; log in again and ask for it.`,
    { scope },
  )
}

export const originNotAllowed = () =>
  new ApiError(403, 'origin_not_allowed', 'Requests from this origin are not allowed; the operator has to add it.')

/** The Authorization header decides where there is one; else a cookie. @throws {ApiError} 401, 429 */
export async function authenticate(request: FastifyRequest): Promise<Caller> {
  try {
    return await findCaller(request)
  } catch (error) {
    // Nobody's account: the address answers for it.
    if (error instanceof ApiError && error.statusCode === 401) await request.server.limits.anonymous(request)
    throw error
  }
}

async function findCaller(request: FastifyRequest): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1]
    if (!token) throw new ApiError(401, 'invalid_token', 'Send the token as Authorization: Bearer <token>.')
    return isPat(token) ? byPat(request, token) : bySessionJwt(request, token, 'header')
  }
  const caller = (await bySessionCookie(request)) ?? (await byClerkCookie(request))
  if (!caller) throw new ApiError(401, 'not_signed_in', 'Sign in first, or send a bearer token.')
  return caller
}

async function byPat(request: FastifyRequest, token: string): Promise<Caller> {
  const { limits, pats } = request.server
  const pat = pats.known(token) ?? (await limits.verifying(request, () => pats.lookUp(token)))
  const { id, account_id, clerk_id, scopes } = pat
  return { id: account_id, clerk_id, sid: null, jwt: null, via: 'header', token_id: id, scopes }
}

/** A caller by a session JWT, its party, audience and status checked. @throws {ApiError} 401, 429 */
export async function bySessionJwt(request: FastifyRequest, token: string, via: Caller['via']): Promise<Caller> {
  const { config, identity, limits, origins } = request.server
  const verify = () => identity.verify(token, request.deadline)
  const claims = identity.known(token) ?? (await limits.verifying(request, verify))
  if (claims.azp === undefined ? via === 'cookie' : !origins.isAllowed(claims.azp)) throw invalidToken()
  if (claims.aud !== undefined && ![claims.aud].flat().includes(config.publicUrl)) throw invalidToken()
  if (claims.sts === 'pending') {
    throw new ApiError(401, 'session_pending', 'The sign-in is not finished; complete it first.')
  }
  const { sub, sid = null } = claims
  // The same key signs tokens of machines and OAuth applications; accounts are for people.
  if (!USER_ID.test(sub)) throw invalidToken()
  return { id: accountIdOf(sub), clerk_id: sub, sid, jwt: { token, claims }, via, ...person }
}

/** Clerk's own cookie: on hosts where ClerkJS runs, it holds a JWT of the last 60 seconds. */
async function byClerkCookie(request: FastifyRequest): Promise<Caller | undefined> {
  const token = request.server.identity.mode === 'clerk' ? request.cookies.__session : undefined
  return token ? bySessionJwt(request, token, 'cookie') : undefined
}

/** A browser by our own session cookie; undefined where it has none that lives. */
export async function bySessionCookie(request: FastifyRequest): Promise<Caller | undefined> {
  const { config, db, identity } = request.server
  const secret = request.cookies[sessionCookie(config.publicUrl)]
  if (!secret) return undefined
  const session = await db
    .selectFrom('sessions')
    .innerJoin('accounts', 'accounts.id', 'sessions.account_id')
    .select(['accounts.id', 'accounts.clerk_id', 'sessions.clerk_sid', 'sessions.name'])
    .where('session_hash', '=', hashOf(secret))
    .where('sessions.expires_at', '>', new Date())
    .where('accounts.closed_at', 'is', null)
    // A session may be stored after the identity has ended it: its token lives for a minute more.
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('webhook_deliveries').whereRef('ended_sid', '=', 'sessions.clerk_sid'))),
    )
    .executeTakeFirst()
  if (!session) return undefined
  const { id, clerk_id, clerk_sid: sid, name } = session
  // What was signed in by e-mail address alone ends with the local identity, on the same database too.
  if (isLocalSid(sid) !== (identity.mode === 'local')) return undefined
  return { id, clerk_id, sid, jwt: null, via: 'cookie', name, ...person }
}

/**
 * Signs a browser in: stores a session of ours for a session of the identity, and sets its cookie.
 * @throws {ApiError} 403 account_closed
 */
export async function openSession(
  request: FastifyRequest,
  reply: FastifyReply,
  owner: { clerkId: string; sid: string; name?: string | undefined },
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
    .values({ session_hash: hashOf(secret), account_id, clerk_sid: owner.sid, name: owner.name ?? null, expires_at })
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
