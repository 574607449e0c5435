import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { v7 as uuidv7 } from 'uuid'
import { callerOf, requireAdmin } from '../access/caller.ts'
import { mintServiceKey, SERVICE_SCOPES } from '../access/service-keys.ts'
import { serviceKeyNotFound } from '../http/catalogue.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { ServiceKey } from '../schemas/payments.ts'
import { ListQuery, oneOf, ref, Uuid } from '../schemas/primitives.ts'

/** Keys of the operator's own servers. */
export const adminKeyRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  const columns = ['id', 'name', 'scopes', 'last_four', 'created_at', 'last_used_at'] as const

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
      const { name, scopes } = request.body
      const { key, ...stored } = mintServiceKey()
      const saved = await app.db
        .insertInto('service_keys')
        .values({ id: uuidv7(), name, scopes, created_by: callerOf(request).clerk_id, ...stored })
        .returning(columns)
        .executeTakeFirstOrThrow()
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ key: { ...saved, key } })
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
    async () => ({
      keys: await app.db
        .selectFrom('service_keys')
        .select(columns)
        .where('revoked_at', 'is', null)
        .orderBy('id')
        .execute(),
    }),
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
      const gone = await app.db
        .updateTable('service_keys')
        .set({ revoked_at: new Date() })
        .where('id', '=', request.params.id)
        .where('revoked_at', 'is', null)
        .returning('id')
        .executeTakeFirst()
      if (!gone) throw serviceKeyNotFound()
      return reply.code(204).send(null)
    },
  )
}
