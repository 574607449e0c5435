import type { FastifyInstance, FastifyRequest } from 'fastify'
import { accountIdOf, CLERK_USER_ID } from '../accounts/account-id.ts'
import type { Scope } from '../db/tables.ts'
import {
  accountClosed,
  insufficientScope,
  invalidToken,
  malformedBearer,
  notAnAdministrator,
  notSignedIn,
  originNotAllowed,
  ownPagesOnly,
  sessionPending,
  sessionRequired,
} from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import type { Claims } from '../identity/types.ts'
import { wasHandedOut } from './handed-out.ts'
import { findSession } from './sessions.ts'
import { isOurs, isWellFormed } from './tokens.ts'

const USER_ID = new RegExp(CLERK_USER_ID)

/** Who is asking: set by the hooks below, which every protected route names. */
export interface Caller {
  id: string
  clerk_id: string
  /** The identity's session, where there is one; tokens minted by a backend have none */
  sid: string | null
  /** The caller's own JWT and its claims; null with our session cookie and with a PAT */
  jwt: { token: string; claims: Claims } | null
  /** `cookie`: the browser sent the credential by itself, perhaps without its user knowing (CSRF) */
  via: 'header' | 'cookie'
  /** What the person is called on our pages, such as an e-mail address; only our session knows */
  name?: string | null
  /** With our session */
  signed_in_at?: Date
  /** With a PAT its id and what it may be used for; null for a person, who may do everything */
  token_id: string | null
  scopes: Scope[] | null
  /** With an access token: the grant that it is by */
  grant_id: string | null
  /** Budgets that what the token spends counts against */
  budget_ids: string[]
}

/** The caller of a request whose route has one of the hooks below. @throws {Error} where it has none, which is a bug */
export function callerOf({ account, routeOptions }: FastifyRequest): Caller {
  if (!account) throw new Error(`${routeOptions.url} reads its caller, but no hook of it requires one`)
  return account
}

const person = { token_id: null, scopes: null, grant_id: null, budget_ids: [] as string[] }

/** Any signed-in caller, by a PAT only with scope `account`. @throws {ApiError} as requireScope */
export const requireAccount = requireScope('account')

/** As requireAccount, for what changes something beside the ledger, which refuses closed accounts itself. @throws {ApiError} as it; 403 account_closed */
export async function requireOpenAccount(request: FastifyRequest): Promise<void> {
  await requireAccount(request)
  await refuseClosed(request, callerOf(request))
}

/** A caller who may use the OAuth tokens of the account. @throws {ApiError} as requireScope; 403 account_closed */
export async function requireOauth(request: FastifyRequest): Promise<void> {
  const caller = await requireCaller(request)
  checkScope(caller, 'oauth')
  await refuseClosed(request, caller)
}

/** A caller who administers the service. @throws {ApiError} as requireScope; 403 not_an_administrator, account_closed */
export async function requireAdmin(request: FastifyRequest): Promise<void> {
  const caller = await requireCaller(request)
  if (!isAdministrator(request.server, caller)) throw notAnAdministrator()
  checkScope(caller, 'admin')
  await refuseClosed(request, caller)
}

/** Whether a person administers the service, by configuration or by the identity. */
export const isAdministrator = ({ config, identity }: FastifyInstance, { clerk_id }: { clerk_id: string }): boolean =>
  config.adminClerkIds.includes(clerk_id) || identity.administrators.has(clerk_id)

/**
 * A hook for callers who may do what `scope` says: people all of it, PATs what they were approved for. It throws as
 * requireCaller does, and 403 insufficient_scope.
 */
export function requireScope(scope: Scope) {
  return async (request: FastifyRequest): Promise<void> => {
    checkScope(await requireCaller(request), scope)
  }
}

/** Any caller, whatever a PAT is for. @throws {ApiError} 401; 403 origin_not_allowed where a cookie changes something from elsewhere */
export async function requireCaller(request: FastifyRequest): Promise<Caller> {
  const caller = await authenticate(request)
  request.account = caller
  await request.server.limits.caller(request)
  if (caller.via === 'cookie' && !['GET', 'HEAD'].includes(request.method)) {
    const { origin } = request.headers
    if (!origin || !request.server.origins.isAllowed(origin)) throw originNotAllowed()
  }
  return caller
}

/**
 * A person on a page of our own: by our session cookie, or by a session JWT whose `azp` is ours. Tokens of apps are refused: they
 * live for a minute, and what is approved here can last for months. Pages of allowed apps are refused too: a code must be approved
 * only where it is shown, because an attacker may know it.
 * @throws {ApiError} 401 session_required beside those of authenticate; 403 origin_not_allowed, account_closed
 */
export async function requireSession(request: FastifyRequest): Promise<void> {
  const caller = await authenticate(request)
  request.account = caller
  await request.server.limits.caller(request)
  const { db, origins } = request.server
  const { sid, via, jwt } = caller
  if (!sid || (jwt && (!origins.isOurs(jwt.claims.azp) || (await wasHandedOut(db, jwt.token))))) throw sessionRequired()
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin !== undefined ? !origins.isOurs(origin) : via === 'cookie' && site !== 'same-origin') {
    throw ownPagesOnly()
  }
  await refuseClosed(request, caller)
}

/**
 * A person on a page of our own, or a personal access token of scope account: for what gives others access. No token that an app holds
 * will do. @throws {ApiError} as requireSession and requireOpenAccount
 */
export async function requirePersonOrPat(request: FastifyRequest): Promise<void> {
  const isPat = /^bearer +focus_pat_/i.test(request.headers.authorization ?? '')
  await (isPat ? requireOpenAccount(request) : requireSession(request))
}

/** A JWT outlives the account that it is for by up to its life. @throws {ApiError} 403 account_closed */
export async function refuseClosed({ server }: FastifyRequest, { id }: Caller): Promise<void> {
  const row = await server.db.selectFrom('accounts').select('closed_at').where('id', '=', id).executeTakeFirst()
  if (row?.closed_at) throw accountClosed()
}

/** @throws {ApiError} 403 insufficient_scope where a token lacks it */
export function checkScope({ scopes }: Caller, scope: Scope): void {
  if (!scopes || scopes.includes(scope)) return
  throw insufficientScope(scope)
}

/** The Authorization header decides where there is one; else a cookie. @throws {ApiError} 401, 429 */
export async function authenticate(request: FastifyRequest): Promise<Caller> {
  try {
    return await findCaller(request)
  } catch (error) {
    // No account is known, so the request counts against its address.
    if (error instanceof ApiError && error.statusCode === 401) await request.server.limits.unauthorized(request, error)
    throw error
  }
}

async function findCaller(request: FastifyRequest): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization !== undefined) {
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1]
    if (!token) throw malformedBearer()
    return isOurs(token) ? byPat(request, token) : bySessionJwt(request, token, 'header')
  }
  const caller = (await bySessionCookie(request)) ?? (await byIdentityCookie(request))
  if (!caller) throw notSignedIn()
  return caller
}

async function byPat(request: FastifyRequest, token: string): Promise<Caller> {
  const { limits, pats } = request.server
  const credential = { kind: 'token', secret: token, plausible: () => isWellFormed(token) } as const
  const pat =
    pats.known(token) ?? (await limits.verifying(request, credential, () => pats.lookUp(token, request.address)))
  const { id: token_id, account_id: id, clerk_id, scopes, grant_id, budget_ids } = pat
  return { id, clerk_id, sid: null, jwt: null, via: 'header', token_id, scopes, grant_id, budget_ids }
}

/** A caller by a session JWT, its party, audience and status checked. @throws {ApiError} 401, 429 */
export async function bySessionJwt(request: FastifyRequest, token: string, via: Caller['via']): Promise<Caller> {
  const { config, identity, limits, origins } = request.server
  const verify = () => identity.verify(token, request.deadline)
  const credential = { kind: 'token', secret: token, plausible: () => identity.plausible(token) } as const
  const claims = identity.known(token) ?? (await limits.verifying(request, credential, verify))
  if (claims.azp === undefined ? via === 'cookie' : !origins.isAllowed(claims.azp)) throw invalidToken()
  const audiences = [claims.aud ?? []].flat()
  if (claims.aud !== undefined && !audiences.some((aud) => aud === config.publicUrl || aud === config.clerkAudience))
    throw invalidToken()
  if (claims.sts === 'pending') throw sessionPending()
  const { sub, sid = null } = claims
  // Tokens without a session come from templates, whose key signs for others too. With one, they end soon after the session.
  const isForUs = sid !== null || !config.clerkAudience || audiences.includes(config.clerkAudience)
  const life = claims.exp - Number(claims.iat)
  if (!isForUs || !(life <= (sid === null ? MAX_TEMPLATE_SECONDS : MAX_SESSION_SECONDS))) throw invalidToken()
  // The same key signs tokens of machines and OAuth applications; accounts are for people.
  if (!USER_ID.test(sub)) throw invalidToken()
  return { id: accountIdOf(sub), clerk_id: sub, sid, jwt: { token, claims }, via, ...person }
}

/** The longest life of a token without a session, in seconds, and of one with it. */
const MAX_TEMPLATE_SECONDS = 3_600
const MAX_SESSION_SECONDS = 86_400

/** The identity's own cookie: on hosts where ClerkJS runs, it holds a JWT of the last 60 seconds. */
async function byIdentityCookie(request: FastifyRequest): Promise<Caller | undefined> {
  const { cookies, server } = request
  const name = server.identity.cookies.find((name) => cookies[name])
  return name ? bySessionJwt(request, String(cookies[name]), 'cookie') : undefined
}

/** The person of our session cookie; undefined without a live session. */
export async function bySessionCookie(request: FastifyRequest): Promise<Caller | undefined> {
  const session = await findSession(request)
  return session && { ...session, jwt: null, via: 'cookie', ...person }
}
