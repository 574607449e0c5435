import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { bySessionCookie } from '../../access/caller.ts'
import { handOut } from '../../access/handed-out.ts'
import { isOwnPage, originToAllow, type TokenIn, withToken } from '../../access/redirects.ts'
import { closeSession, openSession } from '../../access/sessions.ts'
import { clerkFrontendHost } from '../../config.ts'
import { accountClosed, badField, localSignInOff, openOurPage } from '../../http/catalogue.ts'
import { anyRequest, jsonBody, refusals } from '../../http/refusals.ts'
import { localClerkId, newLocalSid } from '../../identity/local.ts'
import { isRedirectUri } from '../../oauth/redirect-uris.ts'
import {
  alsoAsPages,
  cameDirectly,
  fromOurPages,
  html,
  isJson,
  page,
  redirectSources,
  signedOutCookie,
  signOut,
} from './page.ts'
import { allowedUrl, allowsLoopback } from './return-link.ts'

const CONSENT = '/oauth/authorize'

const RedirectTo = Type.String({ format: 'uri', description: 'Absolute URL to send the user back to after sign-in' })
const TOKEN_IN: TokenIn[] = ['query', 'fragment', 'none']
const TokenInParam = Type.Unsafe<TokenIn>({
  type: 'string',
  enum: TOKEN_IN,
  description: 'Where redirect_to receives the token: in its query (the default), in its fragment, or not at all',
})
const found = { description: 'Signed in: to redirect_to with the token, or to the account page', type: 'null' }

interface SigninForm {
  email?: string
  redirect_to?: string
  token_in?: string
  /** Set by the script of the Clerk page once it has opened our session */
  returned?: string
}

/** Where a sign-in leads to. `target` undefined: the account page. */
interface Return {
  target: URL | undefined
  tokenIn: TokenIn
}

export const signinPages: FastifyPluginAsyncTypebox = async (app) => {
  const SIGNED_OUT = signedOutCookie(app.config.publicUrl)

  app.get<{ Querystring: SigninForm }>(
    '/signin',
    {
      // safeRedirect checks redirect_to, because it parses URLs as browsers do.
      attachValidation: true,
      schema: {
        tags: ['Auth'],
        operationId: 'openSignInPage',
        summary: 'Interactive sign-in. On success, redirects to redirect_to with ?token=<JWT>',
        description: 'A page for browsers. Who is signed in already is redirected at once.',
        security: [],
        querystring: Type.Object({ redirect_to: Type.Optional(RedirectTo), token_in: Type.Optional(TokenInParam) }),
        response: {
          200: html('HTML sign-in UI'),
          303: found,
          400: html('redirect_to is not an allowed address'),
          403: html('The local identity answers only this machine'),
          429: html('Too many requests to this service or to the identity provider'),
          500: html('Internal error'),
          503: html('The database or the identity provider is unavailable'),
        },
      },
    },
    async (request, reply) => {
      const back = returnOf(request, request.query)
      if (!back) return refusedPage(reply, request.query)
      const { target } = back
      // /device asks for the code where another site led here. After the sign-in it looks like a link of ours.
      if (
        target &&
        app.origins.isOurs(target.origin) &&
        target.searchParams.has('user_code') &&
        !cameDirectly(request)
      ) {
        target.searchParams.set('must_type', '1')
      }
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
        operationId: 'signInLocally',
        summary: 'Sign in with the local identity: any e-mail address, for trying out',
        description: 'Answers 404 where people sign in with Clerk.',
        security: [],
        consumes: ['application/x-www-form-urlencoded', 'application/json'],
        body: Type.Object(
          {
            email: Type.String({ maxLength: 254, documented: { pattern: '^\\s*[^\\s@]+@[^\\s@]+\\s*$' } }),
            redirect_to: Type.Optional(Type.String({ maxLength: 4096 })),
            token_in: Type.Optional(Type.String({ documented: { enum: TOKEN_IN } })),
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
      const back = returnOf(request, request.body)
      if (!back) return refusedPage(reply, request.body)
      const { email = '' } = request.body
      if (!/^[^\s@]+@[^\s@]+$/.test(email.trim())) {
        if (isJson(request)) throw badField('email', 'must be an e-mail address')
        return signinPage(reply.code(400), back, { email, fault: 'Enter an e-mail address, such as ada@example.com.' })
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
      const fields = { redirect_to: request.body?.redirect_to ?? '' }
      const back = returnOf(request, fields)
      if (!back) return refusedPage(reply, fields)
      await signOut(request, reply)
      return reply.redirect(signinAddress(back), 303)
    },
  )

  /**
   * The checked return of a sign-in.
   * @returns undefined where `redirect_to` is refused and the answer is a page
   * @throws {ApiError} 400 invalid_request for `token_in`; for `redirect_to` where the request is JSON
   */
  function returnOf(request: FastifyRequest, { redirect_to, token_in = 'query' }: SigninForm): Return | undefined {
    const allowed = allowedUrl(request, redirect_to)
    const target =
      allowed && (app.origins.isOurs(allowed.origin) ? isOwnPage(allowed, 'sign_in') : app.origins.mayReturn(allowed))
        ? allowed
        : undefined
    if (redirect_to && !target) {
      if (isJson(request)) throw badField('redirect_to', refusalOf(redirect_to))
      return undefined
    }
    if (token_in !== 'query' && token_in !== 'fragment' && token_in !== 'none') {
      throw badField('token_in', 'must be query, fragment or none')
    }
    return { target, tokenIn: token_in }
  }

  const unallowedOrigin = (redirect_to: unknown) =>
    originToAllow(String(redirect_to), {
      isAllowed: app.origins.isAllowed,
      loopbackHttp: allowsLoopback(app.config.publicUrl),
    })

  function refusalOf(redirect_to: string): string {
    const origin = unallowedOrigin(redirect_to)
    return origin
      ? `has the origin ${origin}, which is not allowed. The operator allows it with ${allowing(origin)}, or in ALLOWED_ORIGINS.`
      : `is not an acceptable address. ${ACCEPTABLE}`
  }

  /** Names the origin as text. A link would lead to a site that the operator has not allowed. */
  function refusedPage(reply: FastifyReply, { redirect_to }: SigninForm) {
    const origin = unallowedOrigin(redirect_to)
    return page(reply.code(400), 'signin-refused', {
      title: origin ? 'This app is not registered here' : 'This link does not work',
      origin,
      command: origin && allowing(origin),
      acceptable: ACCEPTABLE,
      request_id: reply.request.id,
    })
  }

  /** The address that a sign-in redirects to, with a fresh token for an app; undefined where the session has ended. */
  async function destination(back: Return, owner: { sid: string; clerkId: string }): Promise<string | undefined> {
    if (!back.target) return '/account'
    // Our own pages use the cookie, and a token in their address could leak.
    if (app.origins.isOurs(back.target.origin) || back.tokenIn === 'none') return back.target.href
    const token = await app.identity.mint(owner, { party: back.target.origin })
    if (!token) return undefined
    await handOut(app, token, { inQuery: back.tokenIn === 'query' })
    return withToken(back.target, token, back.tokenIn)
  }

  /** What the sign-in is for: an app, a device or one of our own pages. */
  function purposeOf({ target }: Return) {
    const none = { app: undefined, device: '', consent: false, console: false }
    if (target && !app.origins.isOurs(target.origin)) {
      const { href, host, origin } = target
      const name = app.origins.appName(origin)
      return { ...none, app: { name: name ?? host, host: name ? host : '', href } }
    }
    const { pathname = '', searchParams } = target ?? {}
    if (pathname === '/device') return { ...none, device: searchParams?.has('user_code') ? 'code' : 'no code' }
    return { ...none, consent: pathname === CONSENT, console: /^\/console(\/|$)/.test(pathname) }
  }

  function signinPage(reply: FastifyReply, back: Return, state: PageState) {
    const values = {
      title: 'Sign in',
      ...purposeOf(back),
      ...{ email: '', fault: '', signed_out: false, returned: false },
      ...state,
    }
    const { clerk } = app.config
    if (!clerk) {
      const hidden = { redirect_to: back.target?.href ?? '', token_in: back.tokenIn }
      return page(reply, 'signin-local', { ...values, ...hidden }, { formTarget: formTarget(back) })
    }
    const clerkHost = clerkFrontendHost(clerk.publishableKey)
    const addresses = { address: signinAddress(back), onward: signinAddress(back, { returned: '1' }) }
    const needs = { clerk_host: clerkHost, publishable_key: clerk.publishableKey }
    return page(reply, 'signin-clerk', { ...values, ...needs, ...addresses }, { clerkHost })
  }
}

/** Where the form may end: the consent page leads on at once where its app was approved before. */
function formTarget({ target }: Return): string | undefined {
  const onward = target?.pathname === CONSENT ? (target.searchParams.get('redirect_uri') ?? '') : ''
  return isRedirectUri(onward) ? redirectSources(onward) : target?.origin
}

const ACCEPTABLE =
  'It must be an https URL of at most 2,048 characters, without user name, spaces or backslashes. ' +
  'Plain http works on this machine only. An app may allow some of its paths only.'

const allowing = (origin: string) => `focus admin apps set <app> --origin ${origin}`

interface PageState {
  email?: string
  fault?: string
  signed_out?: boolean
  returned?: boolean
}

/** The address of the sign-in page for a checked return. */
function signinAddress({ target, tokenIn }: Return, more: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    ...(target && { redirect_to: target.href }),
    ...(tokenIn !== 'query' && { token_in: tokenIn }),
    ...more,
  })
  return query.size ? `/signin?${query}` : '/signin'
}
