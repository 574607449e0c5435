import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { decodeJwt } from 'jose'
import { authenticate, bySessionJwt, callerOf, refuseClosed } from '../access/caller.ts'
import { handOut, wasHandedOut } from '../access/handed-out.ts'
import { closeSession, openSession } from '../access/sessions.ts'
import {
  accountClosed,
  originNotAllowed,
  sessionEnded,
  templateNotFound,
  tokenExpired,
  tokenNotAvailable,
  tokenNotFresh,
  tokenNotRenewable,
  tokenWithoutSession,
} from '../http/catalogue.ts'
import { anyRequest, jsonBody, refusals, signedIn } from '../http/refusals.ts'
import type { Claims } from '../identity/types.ts'
import { Timestamp } from '../schemas/primitives.ts'

/** A token that expires sooner than this, in seconds, is replaced by a new one if the caller has a session. */
const FRESH_SECONDS = 30

const SessionToken = Type.Object(
  {
    token: Type.String({ description: 'A session JWT: send it as Authorization: Bearer' }),
    expires_at: Timestamp,
  },
  { description: 'OK', examples: [{ token: 'eyJhbGciOiJSUzI1NiJ9…', expires_at: '2026-11-21T12:01:00.000Z' }] },
)

const tokenOf = (token: string, exp = Number(decodeJwt(token).exp)) => ({ token, expires_at: new Date(exp * 1000) })

/** Verification tolerates clock skew. A token that is exchanged for another must not have expired: that would extend it. */
function refuseExpired({ exp }: Claims): void {
  if (exp * 1000 <= Date.now()) throw tokenExpired()
}

const setCookie = { 'Set-Cookie': { type: 'string', description: 'The session cookie, set or cleared' } }

/** How old a token may be, in seconds, to open a session. */
const OPENING_SECONDS = 60

export const authRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/sessionToken',
    {
      onRequest: async (request, reply) => {
        const { origin } = request.headers
        reply.header('cache-control', 'no-store')
        if (origin !== undefined && !app.origins.isAllowed(origin)) throw originNotAllowed()
        request.account = await authenticate(request)
      },
      schema: {
        tags: ['Auth'],
        operationId: 'getSessionToken',
        summary: 'Return a Clerk session JWT (optionally via template)',
        description:
          'Answers a JWT that lives for 60 seconds: the bearer token of the request while it is fresh, otherwise a new one of the same session. A browser calls it with the session cookie, from an allowed origin.',
        querystring: Type.Object({
          template: Type.Optional(Type.String({ description: 'Name of a JWT template' })),
        }),
        response: {
          200: SessionToken,
          ...refusals(signedIn, accountClosed, sessionEnded, tokenNotRenewable, templateNotFound, tokenNotAvailable),
        },
      },
    },
    async (request, reply) => {
      const { template } = request.query
      const { clerk_id, sid, jwt } = callerOf(request)
      if (jwt) refuseExpired(jwt.claims)
      // The name becomes part of a path of Clerk's API.
      if (template !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(template)) {
        throw templateNotFound()
      }

      // A token of our own pages never leaves them: it could act as a person there. A fresh one of an app is answered as it is.
      const { origin } = request.headers
      const ours = app.origins.isOurs(jwt?.claims.azp)
      const fresh = jwt && jwt.claims.exp - Date.now() / 1000 >= FRESH_SECONDS
      if (jwt && !ours && !template && (fresh || !sid)) return tokenOf(jwt.token, jwt.claims.exp)
      if (!sid) throw tokenNotAvailable()
      if (jwt && (await wasHandedOut(app.db, jwt.token))) throw tokenNotRenewable()
      // The identity may go on to issue tokens for a session of an account that was closed here.
      await refuseClosed(request, callerOf(request))
      const owner = { sid, clerkId: clerk_id }
      const token = await app.identity.mint(owner, { template, party: origin, deadline: request.deadline })
      if (token) {
        await handOut(app, token)
        return tokenOf(token)
      }
      if (!jwt) await closeSession(request, reply)
      throw sessionEnded()
    },
  )

  app.post(
    '/api/session',
    {
      config: { limit: 'sign_in' },
      schema: {
        tags: ['Auth'],
        operationId: 'createSession',
        summary: 'Open a session: exchange a new session JWT for a session cookie (our sign-in page only)',
        description:
          'The last step of our sign-in page. The session lives for 7 days; the cookie is HttpOnly and SameSite=Lax.',
        security: [],
        body: Type.Object(
          {
            token: Type.String({ maxLength: 8192 }),
            name: Type.Optional(
              Type.String({
                maxLength: 254,
                description:
                  'The name that our pages show to the person, such as an e-mail address; nobody else sees it',
              }),
            ),
          },
          { examples: [{ token: 'eyJhbGciOiJSUzI1NiJ9…' }] },
        ),
        response: {
          200: Type.Object(
            { expires_at: Timestamp },
            { description: 'Signed in', headers: setCookie, examples: [{ expires_at: '2026-11-28T12:00:00.000Z' }] },
          ),
          ...refusals(signedIn, jsonBody, accountClosed),
        },
      },
    },
    async (request, reply) => {
      if (!app.origins.isOurs(request.headers.origin)) throw originNotAllowed()
      const { clerk_id, sid, jwt } = await bySessionJwt(request, request.body.token, 'header')
      if (jwt) refuseExpired(jwt.claims)
      if (!sid) throw tokenWithoutSession()
      // Apps hold tokens of 60 s. Such a token must not become a session of seven days.
      const fresh = jwt && Number(jwt.claims.iat) >= Date.now() / 1000 - OPENING_SECONDS
      if (!fresh || !app.origins.isOurs(jwt.claims.azp) || (await wasHandedOut(app.db, jwt.token)))
        throw tokenNotFresh()
      return openSession(request, reply, { clerkId: clerk_id, sid, name: request.body.name })
    },
  )

  app.delete(
    '/api/session',
    {
      schema: {
        tags: ['Auth'],
        operationId: 'deleteSession',
        summary: 'Sign out: end the session and clear its cookie',
        description: 'Called from an allowed origin with the session cookie. Personal access tokens stay valid.',
        security: [],
        response: {
          204: Type.Null({ description: 'Signed out, or was not signed in', headers: setCookie }),
          ...refusals(anyRequest, originNotAllowed),
        },
      },
    },
    async (request, reply) => {
      const { origin } = request.headers
      if (!origin || !app.origins.isAllowed(origin)) throw originNotAllowed()
      await closeSession(request, reply)
      return reply.code(204).send(null)
    },
  )
}
