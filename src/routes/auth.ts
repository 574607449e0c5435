import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { decodeJwt } from 'jose'
import { authenticate, bySessionJwt, originNotAllowed } from '../access/caller.ts'
import { handOut, wasHandedOut } from '../access/handed-out.ts'
import { closeSession, openSession } from '../access/sessions.ts'
import { ApiError } from '../http/errors.ts'
import { tokenExpired } from '../identity/refusals.ts'
import type { Claims } from '../identity/types.ts'
import { bodyFailures, failures, protectedFailures, Timestamp } from '../schemas/all.ts'

/** A token with less than this left, in seconds, is replaced by a fresh one where we can mint. */
const FRESH_SECONDS = 30

const SessionToken = Type.Object(
  {
    token: Type.String({ description: 'A session JWT: send it as Authorization: Bearer' }),
    expires_at: Timestamp,
  },
  { description: 'OK', examples: [{ token: 'eyJhbGciOiJSUzI1NiJ9…', expires_at: '2026-11-21T12:01:00.000Z' }] },
)

const tokenOf = (token: string, exp = Number(decodeJwt(token).exp)) => ({ token, expires_at: new Date(exp * 1000) })

/** A clock skew is forgiven where a token is only read; where a new one comes of it, that would lengthen its life. */
function refuseExpired({ exp }: Claims): void {
  if (exp * 1000 <= Date.now()) throw tokenExpired()
}

/** For how long after it was issued, in seconds, a token may open a session. */
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
        summary: 'Return a Clerk session JWT (optionally via template)',
        querystring: Type.Object({
          template: Type.Optional(Type.String({ description: 'Name of a JWT template' })),
        }),
        response: {
          200: SessionToken,
          ...protectedFailures,
          401: {
            ...failures.unauthorized,
            description: 'Unauthorized - includes signin_url for redirect-based auth',
          },
          404: failures.notFound('template_not_found', 'There is no JWT template of this name.'),
        },
      },
    },
    async (request, reply) => {
      const { template } = request.query
      const { clerk_id, sid, jwt } = request.account
      if (jwt) refuseExpired(jwt.claims)
      // Anything else would reach another path of Clerk's API.
      if (template !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(template)) {
        throw new ApiError(404, 'template_not_found', 'There is no JWT template of this name.')
      }

      // A token of our own pages never leaves them: it could act as a person there. A fresh one of an app is answered as it is.
      const { origin } = request.headers
      const ours = app.origins.isOurs(jwt?.claims.azp)
      const fresh = jwt && jwt.claims.exp - Date.now() / 1000 >= FRESH_SECONDS
      if (jwt && !ours && !template && (fresh || !sid)) return tokenOf(jwt.token, jwt.claims.exp)
      if (!sid) {
        throw new ApiError(
          404,
          'token_not_available',
          'This token belongs to no session, so there is none to mint from.',
        )
      }
      if (jwt && (await wasHandedOut(app.db, jwt.token))) {
        throw new ApiError(
          401,
          'token_not_renewable',
          'This token came in the address of a redirect, so no other is minted from it. Sign in with token_in=fragment.',
        )
      }
      const owner = { sid, clerkId: clerk_id }
      const token = await app.identity.mint(owner, { template, party: origin, deadline: request.deadline })
      if (token) {
        await handOut(app, token)
        return tokenOf(token)
      }
      if (!jwt) await closeSession(request, reply)
      throw new ApiError(401, 'session_ended', 'The session has ended; sign in again.')
    },
  )

  app.post(
    '/api/session',
    {
      config: { limit: 'sign_in' },
      schema: {
        tags: ['Auth'],
        summary: 'Turn a fresh session JWT into our session cookie (our own sign-in page only)',
        security: [],
        body: Type.Object(
          {
            token: Type.String({ maxLength: 8192 }),
            name: Type.Optional(
              Type.String({
                maxLength: 254,
                description: 'What our pages call the person, such as an e-mail address; shown to that person alone',
              }),
            ),
          },
          { examples: [{ token: 'eyJhbGciOiJSUzI1NiJ9…' }] },
        ),
        response: {
          200: Type.Object(
            { expires_at: Timestamp },
            { description: 'Signed in', examples: [{ expires_at: '2026-11-28T12:00:00.000Z' }] },
          ),
          ...bodyFailures,
        },
      },
    },
    async (request, reply) => {
      if (!app.origins.isOurs(request.headers.origin)) throw originNotAllowed()
      const { clerk_id, sid, jwt } = await bySessionJwt(request, request.body.token, 'header')
      if (jwt) refuseExpired(jwt.claims)
      if (!sid) throw new ApiError(401, 'invalid_token', 'This token belongs to no session.')
      // A token that an app has from us or from Clerk must not become a session of days.
      const fresh = jwt && Number(jwt.claims.iat) >= Date.now() / 1000 - OPENING_SECONDS
      if (!fresh || !app.origins.isOurs(jwt.claims.azp) || (await wasHandedOut(app.db, jwt.token))) {
        throw new ApiError(401, 'invalid_token', 'Only a token that our own sign-in page has just got opens a session.')
      }
      return openSession(request, reply, { clerkId: clerk_id, sid, name: request.body.name })
    },
  )

  app.delete(
    '/api/session',
    {
      schema: {
        tags: ['Auth'],
        summary: 'Sign out: end our session and clear its cookie',
        security: [],
        response: {
          204: Type.Null({ description: 'Signed out, also where nobody was signed in' }),
          ...protectedFailures,
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
