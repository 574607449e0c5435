import { fileURLToPath } from 'node:url'
import formbody from '@fastify/formbody'
import fastifyStatic from '@fastify/static'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { bySessionCookie, closeSession, openSession, originNotAllowed } from '../auth.ts'
import { ApiError, badField, sendError, toApiError } from '../errors.ts'
import { localClerkId, newLocalSid } from '../identity/local.ts'
import { readWallet } from '../ledger/wallet.ts'
import { isLoopback, safeRedirect, type TokenIn, withToken } from '../redirects.ts'
import { bodyFailures, failures } from '../schemas.ts'

const VIEWS = fileURLToPath(new URL('../../views', import.meta.url))

const RedirectTo = Type.String({ format: 'uri', description: 'Absolute URL to send the user back to after sign-in' })
const TokenInParam = Type.Unsafe<TokenIn>({
  type: 'string',
  enum: ['query', 'fragment', 'none'],
  description: 'How redirect_to is told the token: in its query (the default), in its fragment, or not at all',
})
const html = (description: string) => ({
  description,
  content: { 'text/html': { schema: { type: 'string' }, example: '<!doctype html>…' } },
})
type Failure = (typeof failures)['invalid']
/** The same failures, told to whoever sent a form on a page. */
const alsoAsPages = (responses: Record<number, Failure>) =>
  Object.fromEntries(
    Object.entries(responses).map(([status, failure]) => [
      status,
      { ...failure, content: { ...failure.content, ...html('').content } },
    ]),
  )
const found = { description: 'Signed in: on to redirect_to with the token, or to the account page', type: 'null' }

interface SigninForm {
  email?: string
  redirect_to?: string
  token_in?: string
}

/** Where a sign-in ends. `undefined` target: the account page. */
interface Return {
  target: URL | undefined
  tokenIn: TokenIn
}

export const pageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(fastifyView, {
    engine: { eta: new Eta({ views: VIEWS, cache: true }) },
    root: VIEWS,
    viewExt: 'eta',
  })
  await app.register(fastifyStatic, { root: `${VIEWS}/assets`, prefix: '/assets/', decorateReply: false, index: false })
  await app.register(formbody)
  app.setErrorHandler(sendErrorPage)

  app.get<{ Querystring: SigninForm }>(
    '/signin',
    {
      // What redirect_to may be is safeRedirect's to say, which reads URLs as browsers do.
      attachValidation: true,
      schema: {
        tags: ['Auth'],
        summary: 'Interactive sign-in. On success, redirects to redirect_to with ?token=<JWT>',
        security: [],
        querystring: Type.Object({ redirect_to: Type.Optional(RedirectTo), token_in: Type.Optional(TokenInParam) }),
        response: {
          200: html('HTML sign-in UI'),
          303: found,
          400: html('redirect_to is not a place that we send people to'),
          403: html('The local identity answers only this machine'),
          503: html('Something that we need does not answer'),
        },
      },
    },
    async (request, reply) => {
      const back = returnOf(request.query)
      const caller = await bySessionCookie(request)
      if (caller?.sid) {
        const location = await destination(back, { sid: caller.sid, clerkId: caller.clerk_id })
        if (location) return reply.header('cache-control', 'no-store').redirect(location, 303)
        await closeSession(request, reply)
      }
      return signinPage(reply, back, { email: '', fault: '' })
    },
  )

  app.post<{ Body: SigninForm }>(
    '/signin',
    {
      schema: {
        tags: ['Auth'],
        summary: 'Sign in with the local identity: any e-mail address, for trying out',
        security: [],
        consumes: ['application/x-www-form-urlencoded', 'application/json'],
        body: Type.Object(
          {
            email: Type.String({ maxLength: 254 }),
            redirect_to: Type.Optional(Type.String({ maxLength: 4096 })),
            token_in: Type.Optional(Type.String()),
          },
          { examples: [{ email: 'you@example.com' }] },
        ),
        response: {
          303: found,
          ...alsoAsPages({ ...bodyFailures, 404: failures.notFound('not_found', 'People sign in with Clerk here.') }),
        },
      },
    },
    async (request, reply) => {
      if (app.identity.mode !== 'local') throw new ApiError(404, 'not_found', 'People sign in with Clerk here.')
      const { origin } = request.headers
      if (origin !== undefined && !app.origins.isOurs(origin)) throw originNotAllowed()
      const back = returnOf(request.body)
      const { email = '' } = request.body
      if (!/^[^\s@]+@[^\s@]+$/.test(email.trim())) {
        if (isJson(request)) throw badField('email', 'must be an e-mail address')
        return signinPage(reply.code(400), back, { email, fault: 'That is not an e-mail address.' })
      }
      const owner = { clerkId: localClerkId(email), sid: newLocalSid() }
      await openSession(request, reply, owner)
      return reply.header('cache-control', 'no-store').redirect((await destination(back, owner)) ?? '/signin', 303)
    },
  )

  app.get('/account', { schema: { hide: true } }, async (request, reply) => {
    const caller = await bySessionCookie(request)
    // Without redirect_to a sign-in ends here again, also where our own address is one that people are not sent to.
    if (!caller) return reply.redirect('/signin', 303)
    const { account } = await readWallet(app.db, caller.id)
    return page(reply, 'account', { title: 'Your account', account, local: app.identity.mode === 'local' })
  })

  app.get('/', { schema: { hide: true } }, async (_, reply) => reply.redirect('/account', 303))

  /** @throws {ApiError} 400 for a place that we do not send people to */
  function returnOf({ redirect_to, token_in = 'query' }: SigninForm): Return {
    const target = safeRedirect(redirect_to, {
      isAllowed: app.origins.isAllowed,
      loopbackHttp: isLoopback(new URL(app.config.publicUrl).hostname),
    })
    if (redirect_to && !target) {
      throw badField(
        'redirect_to',
        'is not an address that people may be sent back to. The operator has to allow its origin.',
      )
    }
    if (token_in !== 'query' && token_in !== 'fragment' && token_in !== 'none') {
      throw badField('token_in', 'must be query, fragment or none')
    }
    return { target, tokenIn: token_in }
  }

  /** The address to go to, with a fresh token where it is an app's; undefined when the session has ended. */
  async function destination(back: Return, owner: { sid: string; clerkId: string }): Promise<string | undefined> {
    if (!back.target) return '/account'
    // Our own pages know the cookie; a token in our own address would only leak.
    if (app.origins.isOurs(back.target.origin) || back.tokenIn === 'none') return back.target.href
    const token = await app.identity.mint(owner)
    return token && withToken(back.target, token, back.tokenIn)
  }

  function signinPage(reply: FastifyReply, back: Return, form: { email: string; fault: string }) {
    const hidden = { redirect_to: back.target?.href ?? '', token_in: back.tokenIn }
    const template = app.identity.mode === 'local' ? 'signin-local' : 'signin-clerk'
    return page(reply, template, { title: 'Sign in', ...form, ...hidden }, back.target?.origin)
  }
}

/**
 * Sends a page: never stored, never framed, scripts and styles from here alone. Chromium holds form-action against
 * where a form is redirected to as well, so the checked target of a sign-in is added to it.
 */
function page(reply: FastifyReply, template: string, values: object, formTarget = '') {
  return reply
    .header('cache-control', 'no-store')
    .header(
      'content-security-policy',
      `default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; ` +
        `frame-ancestors 'none'; form-action 'self'${formTarget && ` ${formTarget}`}`,
    )
    .type('text/html; charset=utf-8')
    .view(template, values)
}

const isJson = (request: FastifyRequest): boolean => /^application\/json\b/i.test(request.headers['content-type'] ?? '')

/** A page for people; JSON for whoever sent JSON. */
function sendErrorPage(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  if (isJson(request)) return sendError(error, request, reply)
  const answer = toApiError(error)
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  return page(reply.code(answer.statusCode).headers(answer.headers), 'error', {
    title: 'That did not work',
    message: answer.message,
    request_id: request.id,
  })
}
