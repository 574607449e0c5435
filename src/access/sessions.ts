import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { accountIdOf } from '../accounts/account-id.ts'
import { openAccount } from '../accounts/open.ts'
import { gatherRows } from '../db/gather.ts'
import type { Db } from '../db/tables.ts'
import { accountClosed, rateLimited, sessionEnded } from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import { isLocalSid } from '../identity/local.ts'
import { hashOf } from './tokens.ts'

/** Our own sessions: an opaque cookie, stored as a hash. */

const SESSION_SECONDS = 7 * 86_400

export interface Session {
  /** Of the account */
  id: string
  clerk_id: string
  /** The identity's session */
  sid: string
  /** What the person is called on our pages, such as an e-mail address */
  name: string | null
  signed_in_at: Date
}

/**
 * Seals cookies: the random secret, and a MAC of it by TOKEN_SECRET, so that cookies that we have not issued are recognised without a look-up.
 */
export interface SessionSeal {
  seal(secret: string): string
  isSealed(cookie: string): boolean
}

/** @param purpose what is sealed for one is not taken for another */
export function sessionSeal(tokenSecret: string, purpose = 'session'): SessionSeal {
  const seal = (secret: string) => {
    const mac = createHmac('sha256', tokenSecret)
      .update(`${purpose} ${secret}`)
      .digest('base64url')
      .slice(0, MAC_LENGTH)
    return `${secret}.${mac}`
  }
  return {
    seal,
    isSealed(cookie) {
      const sealed = Buffer.from(seal(cookie.split('.', 1)[0] ?? ''))
      const shown = Buffer.from(cookie)
      return sealed.length === shown.length && timingSafeEqual(sealed, shown)
    },
  }
}

/** 132 bits. */
const MAC_LENGTH = 22

/** The session of each request: the rate limit asks for it, and then the route. */
const found = new WeakMap<FastifyRequest, Promise<Session | undefined>>()

/**
 * The live session of our cookie, and whose it is; undefined without one. A cookie without our MAC, of an earlier release or
 * TOKEN_SECRET, is looked up only while the address's budget of failures lasts. A request looks once.
 */
export function findSession(request: FastifyRequest): Promise<Session | undefined> {
  const session = found.get(request) ?? lookUp(request)
  found.set(request, session)
  return session
}

async function lookUp(request: FastifyRequest): Promise<Session | undefined> {
  const { config, limits, sessionSeal } = request.server
  const cookie = request.cookies[sessionCookie(config.publicUrl)]
  if (!cookie) return undefined
  const credential = { kind: 'session', secret: cookie, plausible: () => sessionSeal.isSealed(cookie) } as const
  try {
    return await limits.verifying(request, credential, () => readSession(request, cookie))
  } catch (error) {
    // People whose session has ended sign in again.
    if (error instanceof ApiError && [sessionEnded.code, rateLimited.code].includes(error.code)) return undefined
    throw error
  }
}

// Clerk may have ended its session before ours was stored: a session JWT outlives its session by up to a minute.
const liveSession = gatherRows<{
  id: string
  clerk_id: string
  clerk_sid: string
  name: string | null
  signed_in_at: Date
}>(
  'live_sessions',
  'text',
  (is) => `select session_hash as key, a.id, a.clerk_id, s.clerk_sid, s.name, s.created_at as signed_in_at
  from sessions s join accounts a on a.id = s.account_id
  where session_hash ${is} and s.expires_at > now() and a.closed_at is null
    and not exists (select from webhook_deliveries where ended_sid = s.clerk_sid)`,
)

/** @throws {ApiError} 401 session_ended */
async function readSession({ server }: FastifyRequest, cookie: string): Promise<Session> {
  const { db, identity } = server
  const session = await liveSession(db, hashOf(cookie))
  if (!session) throw sessionEnded()
  const { id, clerk_id, clerk_sid: sid, name, signed_in_at } = session
  // Sessions of the local identity end when Clerk takes over the same database.
  if (isLocalSid(sid) !== (identity.mode === 'local')) throw sessionEnded()
  return { id, clerk_id, sid, name, signed_in_at }
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
  const { config, db, sessionSeal } = request.server
  const cookie = sessionSeal.seal(randomBytes(32).toString('base64url'))
  const account_id = accountIdOf(owner.clerkId)
  const expires_at = new Date(Date.now() + SESSION_SECONDS * 1000)
  await openAccount(db, account_id, owner.clerkId)
  const account = db.selectFrom('accounts').select('closed_at').where('id', '=', account_id)
  if ((await account.executeTakeFirst())?.closed_at) throw accountClosed()
  if (isLocalSid(owner.sid)) {
    await db
      .insertInto('local_accounts')
      .values({ account_id })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  await db
    .insertInto('sessions')
    .values({ session_hash: hashOf(cookie), account_id, clerk_sid: owner.sid, name: owner.name ?? null, expires_at })
    .execute()
  await endSurplus(db, account_id)
  reply.setCookie(sessionCookie(config.publicUrl), cookie, {
    ...cookieOptions(config.publicUrl),
    maxAge: SESSION_SECONDS,
  })
  return { expires_at }
}

/** The most sessions of an account. Another one ends the oldest. */
const MAX_SESSIONS = 100

async function endSurplus(db: Db, account_id: string): Promise<void> {
  const surplus = await db
    .selectFrom('sessions')
    .select('session_hash')
    .where('account_id', '=', account_id)
    .orderBy('created_at', 'desc')
    .orderBy('session_hash')
    .offset(MAX_SESSIONS)
    .limit(MAX_SESSIONS)
    .execute()
  const hashes = surplus.map(({ session_hash }) => session_hash)
  if (hashes.length > 0) await db.deleteFrom('sessions').where('session_hash', 'in', hashes).execute()
}

/** Ends the session of the request's cookie, if it has one, and clears the cookie. */
export async function closeSession(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { config, db } = request.server
  const name = sessionCookie(config.publicUrl)
  const secret = request.cookies[name]
  // Where the look-up for the rate limit found no database, this one is not waited for once more.
  await findSession(request)
  if (secret) await db.deleteFrom('sessions').where('session_hash', '=', hashOf(secret)).execute()
  reply.clearCookie(name, cookieOptions(config.publicUrl))
}

const isHttps = (publicUrl: string) => publicUrl.startsWith('https:')
const sessionCookie = (publicUrl: string) =>
  isHttps(publicUrl) ? '__Host-focus_session' : portCookie('focus_session', publicUrl)
const cookieOptions = (publicUrl: string) =>
  ({ path: '/', httpOnly: true, sameSite: 'lax', secure: isHttps(publicUrl) }) as const

/** A cookie's name with our port: cookies do not differ by port, so several services on one host need several names. */
export function portCookie(name: string, publicUrl: string): string {
  const { port, protocol } = new URL(publicUrl)
  return `${name}_${port || (protocol === 'https:' ? '443' : '80')}`
}
