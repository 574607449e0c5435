import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { bySessionCookie } from '../../access/caller.ts'
import { safeRedirect, type TokenIn, withToken } from '../../access/redirects.ts'
import { closeSession, openSession } from '../../access/sessions.ts'
import { isLoopback } from '../../addresses.ts'
import { clerkFrontendHost } from '../../config.ts'
import { accountClosed, badField, localSignInOff, openOurPage } from '../../http/catalogue.ts'
import { anyRequest, jsonBody, refusals } from '../../http/refusals.ts'
import { localClerkId, newLocalSid } from '../../identity/local.ts'
import { alsoAsPages, fromOurPages, html, isJson, page } from './page.ts'

/** Set by signing out and read once: the sign-in page after it must not sign the person in again by itself. */
const SIGNED_OUT = 'focus_signed_out'

const RedirectTo = Type.String({ format: 'uri', description: 'Absolute URL to send the user back to after sign-in' })
const TokenInParam = Type.Unsafe<TokenIn>({
  type: 'string',
  enum: ['query', 'fragment', 'none'],
  description: 'How redirect_to is told the token: in its query (the default), in its fragment, or not at all',
})
const found = { description: 'Signed in: on to redirect_to with the token, or to the account page', type: 'null' }

interface SigninForm {
  email?: string
  redirect_to?: string
  token_in?: string
  /** Clerk's page comes back with it once it has opened our session */
  returned?: string
}

/** Where a sign-in ends. `undefined` target: the account page. */
interface Return {
  target: URL | undefined
  tokenIn: TokenIn
}

export const signinPages: FastifyPluginAsyncTypebox = async (app) => {
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
          429: html('Too many requests, ours or those to the identity provider'),
          500: html('Something went wrong on our side'),
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
      const signedOut = request.cookies[SIGNED_OUT] !== undefined
      if (signedOut) reply.clearCookie(SIGNED_OUT, { path: '/signin' })
      return signinPage(reply, back, { signed_out: signedOut, returned: request.query.returned !== undefined })
    },
  )

  app.post<{ Body: SigninForm }>(
    '/signin',
    {
      config: { limit: 'sign_in' },
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
          ...alsoAsPages(refusals(anyRequest, jsonBody, openOurPage, accountClosed, localSignInOff)),
        },
      },
    },
    async (request, reply) => {
      if (app.identity.mode !== 'local') throw localSignInOff()
      const { origin } = request.headers
      if (origin !== undefined && !app.origins.isOurs(origin)) throw openOurPage(app.config.publicUrl)
      const back = returnOf(request.body)
      const { email = '' } = request.body
      if (!/^[^\s@]+@[^\s@]+$/.test(email.trim())) {
        if (isJson(request)) throw badField('email', 'must be an e-mail address')
        return signinPage(reply.code(400), back, { email, fault: 'That is not an e-mail address.' })
      }
      const owner = { clerkId: localClerkId(email), sid: newLocalSid(), name: email.trim() }
      await openSession(request, reply, owner)
      return reply.header('cache-control', 'no-store').redirect((await destination(back, owner)) ?? '/signin', 303)
    },
  )

  app.post<{ Body: Pick<SigninForm, 'redirect_to'> | undefined }>(
    '/signout',
    { onRequest: fromOurPages, schema: { hide: true } },
    async (request, reply) => {
      const { target } = returnOf({ redirect_to: request.body?.redirect_to ?? '' })
      await closeSession(request, reply)
      const secure = app.config.publicUrl.startsWith('https:')
      reply.setCookie(SIGNED_OUT, '1', { path: '/signin', httpOnly: true, secure, sameSite: 'lax', maxAge: 60 })
      return reply.redirect(signinAddress({ target, tokenIn: 'query' }), 303)
    },
  )

  /** @throws {ApiError} 400 for a place that we do not send people to */
  function returnOf({ redirect_to, token_in = 'query' }: SigninForm): Return {
    const target = safeRedirect(redirect_to, {
      isAllowed: app.origins.isAllowed,
      isOurs: app.origins.isOurs,
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

  function signinPage(reply: FastifyReply, back: Return, state: PageState) {
    const onTo = back.target && !app.origins.isOurs(back.target.origin) ? back.target.host : ''
    const values = { title: 'Sign in', on_to: onTo, email: '', fault: '', signed_out: false, returned: false, ...state }
    const { clerk } = app.config
    if (!clerk) {
      const hidden = { redirect_to: back.target?.href ?? '', token_in: back.tokenIn }
      return page(reply, 'signin-local', { ...values, ...hidden }, { formTarget: back.target?.origin })
    }
    const clerkHost = clerkFrontendHost(clerk.publishableKey)
    const addresses = { address: signinAddress(back), onward: signinAddress(back, { returned: '1' }) }
    const needs = { clerk_host: clerkHost, publishable_key: clerk.publishableKey }
    return page(reply, 'signin-clerk', { ...values, ...needs, ...addresses }, { clerkHost })
  }
}

interface PageState {
  email?: string
  fault?: string
  signed_out?: boolean
  returned?: boolean
}

/** Our sign-in page for a checked return. */
function signinAddress({ target, tokenIn }: Return, more: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    ...(target && { redirect_to: target.href }),
    ...(tokenIn !== 'query' && { token_in: tokenIn }),
    ...more,
  })
  return query.size ? `/signin?${query}` : '/signin'
}
