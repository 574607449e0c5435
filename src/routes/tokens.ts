import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAccount, requireCaller } from '../access/caller.ts'
import { listTokens, revokeToken } from '../access/tokens.ts'
import { ApiError } from '../http/errors.ts'
import { failures, NullableTimestamp, protectedFailures, Scopes, Timestamp } from '../schemas/all.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const Token = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    name: Type.String({ description: 'What the device called itself' }),
    last_four: Type.String({ description: 'The last characters of the token, to tell it from others' }),
    scopes: Scopes,
    created_at: Timestamp,
    last_used_at: Type.Unsafe<Date | null>({ ...NullableTimestamp, description: 'To the minute' }),
    expires_at: Timestamp,
    current: Type.Boolean({ description: 'It is the token of this request' }),
  },
  {
    examples: [
      {
        id: '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f',
        name: 'focus on ada-laptop',
        last_four: 'x4Kq',
        scopes: ['account'],
        created_at: '2026-11-21T12:00:00.000Z',
        last_used_at: '2026-11-21T12:30:00.000Z',
        expires_at: '2027-02-19T12:00:00.000Z',
        current: true,
      },
    ],
  },
)

export const tokenRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/tokens',
    {
      onRequest: requireAccount,
      schema: {
        tags: ['Auth'],
        summary: 'List your personal access tokens that still work, newest first',
        response: {
          200: Type.Object(
            { tokens: Type.Array(Token) },
            { description: 'OK', examples: [{ tokens: Token.examples }] },
          ),
          ...protectedFailures,
        },
      },
    },
    async (request) => {
      const { id: account_id, token_id } = request.account
      const tokens = await listTokens(app.db, account_id)
      return { tokens: tokens.map((token) => ({ ...token, current: token.id === token_id })) }
    },
  )

  app.delete(
    '/api/tokens/:id',
    {
      // Any token may give itself up; others are revoked by who may see them.
      onRequest: (request) => (isCurrent(request.params) ? requireCaller(request) : requireAccount(request)),
      schema: {
        tags: ['Auth'],
        summary: 'Revoke a personal access token of yours; `current` is the one of the request',
        params: Type.Object({ id: Type.String({ description: 'The id of a token, or `current`' }) }),
        response: {
          204: Type.Null({ description: 'Revoked; also where it was already' }),
          404: failures.notFound('token_not_found', 'You have no token with this id.'),
          ...protectedFailures,
        },
      },
    },
    async (request, reply) => {
      const { id: account_id, token_id } = request.account
      const id = isCurrent(request.params) ? token_id : request.params.id
      if (!id || !UUID.test(id)) throw new ApiError(404, 'token_not_found', 'You have no token with this id.')
      await app.pats.revoking(account_id, () => revokeToken(app.db, account_id, id))
      return reply.code(204).send(null)
    },
  )
}

const isCurrent = (params: unknown): boolean => (params as { id?: string }).id === 'current'
