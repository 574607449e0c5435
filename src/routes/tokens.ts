import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { type Caller, callerOf, requireAccount, requireCaller, requirePersonOrPat } from '../access/caller.ts'
import { changeToken, endToken, makeToken, tokensWithBudgets } from '../access/made-tokens.ts'
import { MAX_TOKENS } from '../access/tokens.ts'
import { cleanName } from '../device/approval.ts'
import {
  badField,
  budgetTooWide,
  ownPagesOnly,
  patRevoked,
  sessionRequired,
  tokenNotFound,
  tooManyAtOnce,
  tooManyTokens,
} from '../http/catalogue.ts'
import { pageById } from '../http/pages.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { NextCursor, PageLimit, Uuid } from '../schemas/primitives.ts'
import { askedLimits, NAME, Scopes, Token } from '../schemas/tokens.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const tokenRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/tokens',
    {
      config: { large: true },
      onRequest: requireAccount,
      schema: {
        tags: ['Auth'],
        operationId: 'listTokens',
        summary: 'List your valid personal access tokens, newest first',
        description: 'Expired and revoked tokens are not listed. The tokens themselves are never shown again.',
        querystring: Type.Object({
          limit: PageLimit(MAX_TOKENS),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { tokens: Type.Array(Token), next_cursor: NextCursor },
            { description: 'OK', examples: [{ tokens: Token.examples, next_cursor: null }] },
          ),
          ...refusals(signedIn, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { id: account_id, token_id } = callerOf(request)
      const { limit = MAX_TOKENS, cursor } = request.query
      const rows = await tokensWithBudgets(app.db, account_id, { limit: limit + 1, before: cursor })
      const { page, next_cursor } = pageById(rows, limit)
      return { tokens: page.map((token) => ({ ...token, current: token.id === token_id })), next_cursor }
    },
  )

  app.post(
    '/api/tokens',
    {
      onRequest: requirePersonOrPat,
      schema: {
        tags: ['Auth'],
        operationId: 'createToken',
        summary: 'Make a personal access token, such as for a server',
        description:
          'For a person on a page of this service, or a personal access token with the scope `account`; tokens of apps make none. The answer has the token, once. What a token makes has no scope, budget or app that it lacks itself, counts against its budget too, expires no later, and is revoked with it.',
        body: Type.Object(
          {
            name: Type.String({ ...NAME, description: 'What it is for, such as the name of the server' }),
            scopes: Type.Optional(
              Type.Array(Scopes.items, {
                minItems: 1,
                uniqueItems: true,
                description: 'What it may be used for; default: account',
              }),
            ),
            expires_in_days: Type.Optional(
              Type.Integer({ minimum: 1, maximum: 365, description: "Default: the operator's setting (90)" }),
            ),
            ...askedLimits,
          },
          { examples: [{ name: 'Render server', budget: 50, period: 'day', apps: ['video'] }] },
        ),
        response: {
          201: Type.Object(
            { token: Type.String({ description: 'The token; it is never shown again' }), ...Token.properties },
            {
              description: 'Made',
              examples: [{ token: `focus_pat_${'x'.repeat(49)}`, ...(Token.examples as object[])[0] }],
            },
          ),
          ...refusals(signedIn, jsonBody, sessionRequired, ownPagesOnly, budgetTooWide, tooManyTokens),
        },
      },
    },
    async (request, reply) => {
      const { scopes = ['account'], expires_in_days: days = app.config.patTtlDays, ...asked } = request.body
      const caller = callerOf(request)
      const made = await makeToken(app, caller, { ...asked, name: nameOf(request.body), scopes, days })
      return (
        reply
          .code(201)
          .header('cache-control', 'no-store')
          // What is gone already has ended with its maker, which was revoked meanwhile.
          .send({ ...made, ...(await shown(caller, made.id, patRevoked)) })
      )
    },
  )

  app.patch(
    '/api/tokens/:id',
    {
      onRequest: requirePersonOrPat,
      schema: {
        tags: ['Auth'],
        operationId: 'changeToken',
        summary: 'Rename a personal access token, or change what it may spend',
        description:
          'What is not given stays; null takes a limit away. What is spent stays too; with another period it is what the jobs since its beginning hold and cost. For those who may make tokens; a token gives no more than it has, and changes others than itself and what it made only where it has no limits and all their scopes. A change of a budget holds at once. A first budget holds within 5 seconds on other instances, and counts from then on.',
        params: Type.Object({ id: Type.String({ description: 'The id of a token, or `current`' }) }),
        body: Type.Object(
          { name: Type.Optional(Type.String(NAME)), ...askedLimits },
          { examples: [{ budget: 100, period: 'week' }] },
        ),
        response: {
          200: Type.Object(
            { token: Token },
            { description: 'OK', examples: [{ token: (Token.examples as object[])[0] }] },
          ),
          ...refusals(signedIn, jsonBody, sessionRequired, ownPagesOnly, budgetTooWide, tokenNotFound),
        },
      },
    },
    async (request) => {
      const caller = callerOf(request)
      const id = isCurrent(request.params) ? caller.token_id : request.params.id
      if (!id || !UUID.test(id)) throw tokenNotFound()
      const name = request.body.name === undefined ? undefined : nameOf({ name: request.body.name })
      await changeToken(app, caller, id.toLowerCase(), { ...request.body, name })
      return { token: await shown(caller, id.toLowerCase()) }
    },
  )

  /** A token as it is listed; `absent` is thrown where it is not. */
  async function shown({ id: account_id, token_id }: Caller, id: string, absent = tokenNotFound) {
    const [token] = await tokensWithBudgets(app.db, account_id, { limit: 1, id })
    if (!token) throw absent()
    return { ...token, current: id === token_id }
  }

  app.delete(
    '/api/tokens/:id',
    {
      // A token of any scope may revoke itself. To revoke others, it needs the scope that lists them.
      onRequest: async (request) => {
        await (isCurrent(request.params) ? requireCaller(request) : requireAccount(request))
      },
      schema: {
        tags: ['Auth'],
        operationId: 'revokeToken',
        summary: 'Revoke one of your personal access tokens; `current` is the token of this request',
        description:
          'The token and those that it made stop working at once on the instance that answers, and within 5 seconds on the others. A token of any scope may revoke itself. Others than itself and what it made, a personal access token revokes only where it has no limits and all their scopes.',
        params: Type.Object({ id: Type.String({ description: 'The id of a token, or `current`' }) }),
        response: {
          204: Type.Null({ description: 'Revoked, now or before' }),
          ...refusals(signedIn, sessionRequired, budgetTooWide, tokenNotFound),
        },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      const id = isCurrent(request.params) ? caller.token_id : request.params.id
      if (!id || !UUID.test(id)) throw tokenNotFound()
      await endToken(app, caller, id)
      return reply.code(204).send(null)
    },
  )
}

/** @throws {ApiError} 400 where nothing of the name can be shown */
function nameOf({ name }: { name: string }): string {
  const clean = cleanName(name)
  if (!clean) throw badField('name', 'must have something to read')
  return clean
}

const isCurrent = (params: unknown): boolean => (params as { id?: string }).id === 'current'
