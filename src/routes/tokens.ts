import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { callerOf, requireAccount, requireCaller } from '../access/caller.ts'
import { listTokens, MAX_TOKENS, revokeToken } from '../access/tokens.ts'
import { tokenNotFound, tooManyAtOnce } from '../http/catalogue.ts'
import { refusals, signedIn } from '../http/refusals.ts'
import { NextCursor, PageLimit, Uuid } from '../schemas/primitives.ts'
import { Token } from '../schemas/tokens.ts'

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
      const rows = await listTokens(app.db, account_id, { limit: limit + 1, before: cursor })
      const tokens = rows.slice(0, limit).map((token) => ({ ...token, current: token.id === token_id }))
      return { tokens, next_cursor: rows.length > limit ? (tokens.at(-1)?.id ?? null) : null }
    },
  )

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
          'The token stops working at once on the instance that answers, and within 5 seconds on the others. A token of any scope may revoke itself.',
        params: Type.Object({ id: Type.String({ description: 'The id of a token, or `current`' }) }),
        response: {
          204: Type.Null({ description: 'Revoked, now or before' }),
          ...refusals(signedIn, tokenNotFound),
        },
      },
    },
    async (request, reply) => {
      const { id: account_id, token_id } = callerOf(request)
      const id = isCurrent(request.params) ? token_id : request.params.id
      if (!id || !UUID.test(id)) throw tokenNotFound()
      await app.pats.revoking(account_id, () => revokeToken(app.db, account_id, id))
      return reply.code(204).send(null)
    },
  )
}

const isCurrent = (params: unknown): boolean => (params as { id?: string }).id === 'current'
