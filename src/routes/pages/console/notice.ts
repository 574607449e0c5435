import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from '../../../access/caller.ts'
import { portCookie } from '../../../access/sessions.ts'

/**
 * What a change did, said on the page that comes next. It travels in a cookie that is sealed and names its reader, so that no link
 * and no other site can make a page say anything.
 */

const SECONDS = 60

interface Notice {
  account: string
  text: string
  until: number
}

const cookieName = ({ server }: FastifyRequest) => portCookie('focus_notice', server.config.publicUrl)
const options = ({ server }: FastifyRequest) =>
  ({
    path: '/console',
    httpOnly: true,
    sameSite: 'strict',
    secure: server.config.publicUrl.startsWith('https:'),
  }) as const

/** Sends a browser to a page of the console, which says `text` once. */
export function goOn(request: FastifyRequest, reply: FastifyReply, path: string, text: string) {
  const notice: Notice = { account: callerOf(request).id, text, until: Date.now() + SECONDS * 1000 }
  const secret = Buffer.from(JSON.stringify(notice)).toString('base64url')
  reply.setCookie(cookieName(request), request.server.noticeSeal.seal(secret), { ...options(request), maxAge: SECONDS })
  return reply.header('cache-control', 'no-store').redirect(path, 303)
}

/** What is to be said now; the page that asks is the one that says it. */
export function takeNotice(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const cookie = request.cookies[cookieName(request)]
  if (!cookie) return undefined
  reply.clearCookie(cookieName(request), options(request))
  if (!request.server.noticeSeal.isSealed(cookie)) return undefined
  const [secret = ''] = cookie.split('.', 1)
  const notice: Notice = JSON.parse(Buffer.from(secret, 'base64url').toString())
  return notice.account === callerOf(request).id && notice.until > Date.now() ? notice.text : undefined
}
