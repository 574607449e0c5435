import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { bySessionCookie, type Caller } from '../../access/caller.ts'
import { closeSession, portCookie } from '../../access/sessions.ts'
import { openOurPage, pageNotFound } from '../../http/catalogue.ts'
import { noRoute, pathOf, sendError, toApiError } from '../../http/error-handler.ts'
import type { Refusal } from '../../http/refusals.ts'

/** The origins other than our own that a page needs. */
interface Needs {
  /** Where a form of the page is redirected to, as sources of a policy: Chromium applies form-action to redirects too */
  formTarget?: string | undefined
  /** Clerk's frontend host, which ClerkJS is loaded from */
  clerkHost?: string | undefined
}

/** The sources for a form that ends at an app's redirect URI, which may lead on to another address of the app. */
export const redirectSources = (uri: string): string => `${new URL(uri).origin} https:`

/** Sends a page: not cached, not framed, with scripts from listed hosts only. Templates escape every value. */
export function page(reply: FastifyReply, template: string, values: object, needs: Needs = {}) {
  return reply
    .header('cache-control', 'no-store')
    .header('content-security-policy', contentSecurityPolicy(needs))
    .type('text/html; charset=utf-8')
    .view(template, values)
}

/** Clerk's part follows its documentation. ClerkJS creates styles by script, hence unsafe-inline for styles. */
function contentSecurityPolicy({ formTarget, clerkHost }: Needs): string {
  const clerk = clerkHost ? `https://${clerkHost}` : ''
  const protect = 'https://*.protect.clerk.com'
  const captcha = 'https://challenges.cloudflare.com'
  const directives: Record<string, (string | undefined)[]> = {
    'default-src': ["'none'"],
    'style-src': clerk ? ["'self'", "'unsafe-inline'"] : ["'self'"],
    'script-src': clerk ? ["'self'", clerk, captcha, protect] : ["'self'"],
    'img-src': clerk ? ["'self'", 'https://img.clerk.com'] : ["'self'"],
    'connect-src': clerk ? ["'self'", clerk, `${protect}:*`] : ["'self'"],
    ...(clerk && { 'frame-src': [captcha, protect], 'worker-src': ["'self'", 'blob:'] }),
    'base-uri': ["'none'"],
    'object-src': ["'none'"],
    'frame-ancestors': ["'none'"],
    'form-action': ["'self'", formTarget],
  }
  return Object.entries(directives)
    .map(([name, sources]) => [name, ...sources.filter(Boolean)].join(' '))
    .join('; ')
}

/** A response schema for a page. */
export const html = (description: string) => ({
  description,
  content: { 'text/html': { schema: { type: 'string' }, example: '<!doctype html>…' } },
})

/** The same failures, which a form gets as a page and a JSON request as JSON. */
export const alsoAsPages = (responses: Record<number, Refusal>) =>
  Object.fromEntries(
    Object.entries(responses).map(([status, failure]) => [
      status,
      { ...failure, content: { ...failure.content, ...html('').content } },
    ]),
  )

/**
 * A hook that accepts forms from our own pages only (CSRF). Our pages send an Origin, because their referrer policy is
 * same-origin; a request without one needs `Sec-Fetch-Site: same-origin`.
 * @throws {ApiError} 403 origin_not_allowed
 */
export async function fromOurPages(request: FastifyRequest): Promise<void> {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (origin === undefined ? site !== 'same-origin' : !request.server.origins.isOurs(origin))
    throw openOurPage(request.server.config.publicUrl)
}

/**
 * Whether a person came to a page by themselves: from a page of ours, or by an address that they typed or opened outside the
 * browser. Not from another site, nor where the browser does not say.
 */
export const cameDirectly = ({ headers }: FastifyRequest): boolean =>
  ['none', 'same-origin'].includes(String(headers['sec-fetch-site']))

/**
 * The person whose session cookie the request carries. Without a session, the reply redirects to sign-in.
 * @param path where the sign-in leads back to
 * @returns undefined where the reply has been sent
 */
export async function signedIn(request: FastifyRequest, reply: FastifyReply, path = request.url) {
  const caller: Caller | undefined = await bySessionCookie(request)
  if (caller) return { ...caller, shown_as: caller.name ?? caller.clerk_id }
  const query = new URLSearchParams({ redirect_to: request.server.config.publicUrl + path })
  // Without redirect_to, a sign-in ends at the account page.
  reply.header('cache-control', 'no-store').redirect(path === '/account' ? '/signin' : `/signin?${query}`, 303)
  return undefined
}

/** Cookie set by a sign-out and read once: the next sign-in page must not sign the person in again automatically. */
export const signedOutCookie = (publicUrl: string): string => portCookie('focus_signed_out', publicUrl)

/** Ends the session; the sign-in page that comes next asks who it is, also where the identity provider still knows. */
export async function signOut(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { publicUrl } = request.server.config
  await closeSession(request, reply)
  const secure = publicUrl.startsWith('https:')
  const options = { path: '/signin', httpOnly: true, secure, sameSite: 'lax', maxAge: 60 } as const
  reply.setCookie(signedOutCookie(publicUrl), '1', options)
}

export const isJson = (request: FastifyRequest): boolean =>
  /^application\/json\b/i.test(request.headers['content-type'] ?? '')

/** Answers an error with a page, and with JSON where the request was JSON. */
export function sendErrorPage(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  if (isJson(request)) return sendError(error, request, reply)
  return errorPage(error, request, reply)
}

/**
 * Answers a request that reaches no route: a page with a slash behind it is found, a browser gets a page that says so, and
 * everything else JSON. Under /api all answers are JSON.
 */
export function answerUnknown(request: FastifyRequest, reply: FastifyReply) {
  const { method, server, url } = request
  const path = pathOf(request)
  const error = noRoute(request)
  if (method === 'OPTIONS' && error.statusCode === 405) return reply.code(204).headers(error.headers).send()
  if (/^\/api(\/|$)/.test(path)) return sendError(error, request, reply)
  const slashless = path.replace(/\/+$/, '')
  if (slashless !== path && server.methodsOf(slashless).length)
    return reply.redirect(slashless + url.slice(path.length), 308)
  if (!request.headers.accept?.includes('text/html')) return sendError(error, request, reply)
  return errorPage(error.statusCode === 404 ? pageNotFound(path) : error, request, reply)
}

function errorPage(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  const answer = toApiError(error, request)
  request.failure = answer.code
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  return page(reply.code(answer.statusCode).headers(answer.headers), 'error', {
    title: answer.statusCode === 404 ? 'Page not found' : 'That did not work',
    message: answer.message,
    request_id: request.id,
    retry: request.method === 'GET' && answer.statusCode >= 500,
  })
}
