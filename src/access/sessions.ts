import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { accountIdOf } from '../accounts/account-id.ts'
import { openAccount } from '../accounts/open.ts'
import { accountClosed } from '../http/catalogue.ts'
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
}

/** The live session of our cookie, and whose it is; undefined without one. */
export async function findSession(request: FastifyRequest): Promise<Session | undefined> {
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
    // Clerk may have ended its session before ours was stored: a session JWT outlives its session by up to a minute.
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('webhook_deliveries').whereRef('ended_sid', '=', 'sessions.clerk_sid'))),
    )
    .executeTakeFirst()
  if (!session) return undefined
  const { id, clerk_id, clerk_sid: sid, name } = session
  // Sessions of the local identity end when Clerk takes over the same database.
  if (isLocalSid(sid) !== (identity.mode === 'local')) return undefined
  return { id, clerk_id, sid, name }
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
  if ((await account.executeTakeFirst())?.closed_at) throw accountClosed()
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
const sessionCookie = (publicUrl: string) =>
  isHttps(publicUrl) ? '__Host-focus_session' : portCookie('focus_session', publicUrl)
const cookieOptions = (publicUrl: string) =>
  ({ path: '/', httpOnly: true, sameSite: 'lax', secure: isHttps(publicUrl) }) as const

/** A cookie's name with our port: cookies do not differ by port, so several services on one host need several names. */
export function portCookie(name: string, publicUrl: string): string {
  const { port, protocol } = new URL(publicUrl)
  return `${name}_${port || (protocol === 'https:' ? '443' : '80')}`
}
