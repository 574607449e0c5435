import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdmin } from '../access/caller.ts'
import { SERVICE_SCOPES } from '../access/service-keys.ts'
import { serviceKeyNotFound } from '../http/catalogue.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { actorOf } from '../operator/actions.ts'
import { createServiceKey, listServiceKeys, revokeServiceKey } from '../operator/packs-and-keys.ts'
import { ServiceKey } from '../schemas/payments.ts'
import { ListQuery, oneOf, ref, Uuid } from '../schemas/primitives.ts'

/** Keys of the operator's own servers. */
export const adminKeyRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  app.post(
    '/api/admin/keys',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'createServiceKey',
        summary: 'Make a key for a server of yours, such as one that takes payments',
        description:
          'The answer has the key, once. With scope `topup` it posts top-ups by `POST /api/admin/credits`, as `Authorization: Bearer focus_key_…`, and nothing else.',
        body: Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 200 }),
            scopes: Type.Array(oneOf(SERVICE_SCOPES), { minItems: 1, maxItems: 1 }),
          },
          { examples: [{ name: 'Payment server', scopes: ['topup'] }] },
        ),
        response: {
          201: Type.Object(
            { key: ref(ServiceKey) },
            { description: 'Made', examples: [{ key: { ...ServiceKey.examples[0], key: 'focus_key_…' } }] },
          ),
          ...refusals(administrator, jsonBody),
        },
      },
    },
    async (request, reply) => {
      const key = await createServiceKey(app.db, actorOf(request), request.body)
      return reply.code(201).header('cache-control', 'no-store').send({ key })
    },
  )

  app.get(
    '/api/admin/keys',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'listServiceKeys',
        summary: 'List the live service keys',
        description: 'Without the keys themselves, of which only hashes are kept.',
        querystring: ListQuery({}),
        response: {
          200: Type.Object(
            { keys: Type.Array(ref(ServiceKey)) },
            { description: 'OK', examples: [{ keys: ServiceKey.examples }] },
          ),
          ...refusals(administrator),
        },
      },
    },
    async () => ({ keys: await listServiceKeys(app.db) }),
  )

  app.delete(
    '/api/admin/keys/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'revokeServiceKey',
        summary: 'Revoke a service key',
        description: 'It stops working at once, on every replica.',
        params: Type.Object({ id: Uuid }),
        response: {
          204: Type.Null({ description: 'Revoked' }),
          ...refusals(administrator, serviceKeyNotFound),
        },
      },
    },
    async (request, reply) => {
      await revokeServiceKey(app.db, actorOf(request), request.params.id)
      return reply.code(204).send(null)
    },
  )
}
