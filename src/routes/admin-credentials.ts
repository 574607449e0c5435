import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { grantNotFound, tokenNotFound } from '../http/catalogue.ts'
import { administrator, refusals } from '../http/refusals.ts'
import { revokeOneGrant, revokeOneToken } from '../operator/account-changes.ts'
import { actorOf } from '../operator/actions.ts'
import { Uuid } from '../schemas/primitives.ts'

/** One token or grant of somebody, such as one that has leaked. */
export const adminCredentialRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdminOrKey)

  const id = { ...Uuid, description: 'The account id' }

  app.delete(
    '/api/admin/accounts/:id/tokens/:token_id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'revokeTokenOfAccount',
        summary: 'Revoke one personal access token of an account',
        description: 'It stops working at once on the instance that answers, and within 5 seconds on the others.',
        params: Type.Object({ id, token_id: Uuid }),
        response: {
          204: Type.Null({ description: 'Revoked, now or before' }),
          ...refusals(administrator, tokenNotFound),
        },
      },
    },
    async (request, reply) => {
      const { id, token_id } = request.params
      await revokeOneToken(app, actorOf(request), id.toLowerCase(), token_id)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/api/admin/accounts/:id/grants/:grant_id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'revokeGrantOfAccount',
        summary: 'End what a person has approved for a program, and its tokens',
        description:
          'Its tokens stop working at once on the instance that answers, and within 5 seconds on the others.',
        params: Type.Object({ id, grant_id: Uuid }),
        response: {
          204: Type.Null({ description: 'Ended, now or before' }),
          ...refusals(administrator, grantNotFound),
        },
      },
    },
    async (request, reply) => {
      const { id, grant_id } = request.params
      await revokeOneGrant(app, actorOf(request), id.toLowerCase(), grant_id)
      return reply.code(204).send(null)
    },
  )
}
