import type { FastifyReply, FastifyRequest } from 'fastify'
import { bySessionCookie, isAdministrator } from '../../../access/caller.ts'
import { pathOf } from '../../../http/error-handler.ts'
import { fromOurPages, signOut } from '../page.ts'

/** How long after signing in an administrator can use the console, in ms. */
const SESSION_MS = 12 * 3_600_000

/**
 * A hook: lets administrators in, by our session cookie alone; a token never opens a page. Who is not signed in is sent to the
 * sign-in and back. For everybody else the console does not exist: they get the answer for an unknown path.
 * @throws {ApiError} 403 origin_not_allowed for a form of another site, 429
 */
export async function onlyAdministrators(request: FastifyRequest, reply: FastifyReply) {
  const { limits } = request.server
  // Before the look-up. It sets no headers, which an unknown path would not have.
  await limits.caller(request)
  const person = await bySessionCookie(request)
  if (!person) return signIn(request, reply)
  if (!isAdministrator(request.server, person)) return reply.callNotFound()
  const { signed_in_at } = person
  if (!signed_in_at || Date.now() - signed_in_at.getTime() > SESSION_MS) {
    await signOut(request, reply)
    return signIn(request, reply)
  }
  request.account = person
  if (request.method === 'POST') await fromOurPages(request)
}

/** A form that was sent without a session is lost; its page is where the person goes on. */
function signIn(request: FastifyRequest, reply: FastifyReply) {
  const { publicUrl } = request.server.config
  const path = request.method === 'POST' ? pageOfForm(request) : request.url
  const query = new URLSearchParams({ redirect_to: publicUrl + path })
  return reply.header('cache-control', 'no-store').redirect(`/signin?${query}`, 303)
}

/** The page of the console that a form was sent from, by the Referer; else the one that is above it. */
function pageOfForm(request: FastifyRequest): string {
  const from = URL.parse(request.headers.referer ?? '')
  if (from && request.server.origins.isOurs(from.origin) && /^\/console(\/|$)/.test(from.pathname)) {
    return from.pathname + from.search
  }
  return pathOf(request).split('/').slice(0, 3).join('/')
}
