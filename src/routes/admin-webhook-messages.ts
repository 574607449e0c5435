import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { requireAdmin } from '../access/caller.ts'
import { endpointNotFound, tooManyAtOnce } from '../http/catalogue.ts'
import { jsonBytes, pageById, readPage } from '../http/pages.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { actorOf } from '../operator/actions.ts'
import { readEndpoint } from '../operator/endpoint-changes.ts'
import { sendTest, settleDead } from '../operator/message-changes.ts'
import { ListQuery, NextCursor, ref, Uuid } from '../schemas/primitives.ts'
import { WebhookDelivery, WebhookEndpoint, WebhookMessage } from '../schemas/webhooks.ts'

/** Where a dead message stands: its time in microseconds, and its id. */
const CURSOR = /^([0-9]{1,17})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** What was sent to webhook endpoints of apps, what could not be, and a test message. */
export const adminWebhookMessageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  const byId = Type.Object({ id: Uuid })
  const limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 }))
  const whichDead = Type.Object(
    { endpoint_id: Uuid, message_id: Type.Optional({ ...Uuid, description: 'Only this message' }) },
    { examples: [{ endpoint_id: WebhookEndpoint.examples[0]?.id }] },
  )
  const more = Type.Boolean({ description: 'There are more dead messages than one call handles: call again' })

  app.post(
    '/api/admin/webhooks/:id/test',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'sendTestWebhook',
        summary: 'Send a test message, once; its delivery is listed within seconds. Pauses do not hold it back',
        description: 'Its `type` is `test`. `listWebhookDeliveries` shows how it was answered.',
        params: byId,
        response: {
          202: Type.Object(
            { message_id: Type.String({ format: 'uuid', description: 'The webhook-id header' }) },
            { description: 'It will be sent', examples: [{ message_id: WebhookDelivery.examples[0]?.message_id }] },
          ),
          ...refusals(administrator, endpointNotFound),
        },
      },
    },
    async (request, reply) => {
      const message_id = await sendTest(app.db, actorOf(request), request.params.id)
      return reply.code(202).send({ message_id })
    },
  )

  app.get(
    '/api/admin/webhooks/:id/deliveries',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listWebhookDeliveries',
        summary: "List attempts to deliver an endpoint's messages, of the last seven days, newest first",
        description: 'With the status and the beginning of the answer of each.',
        params: byId,
        querystring: ListQuery({
          limit,
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            {
              deliveries: Type.Array(ref(WebhookDelivery)),
              next_cursor: Type.Unsafe<string | null>({
                type: 'string',
                nullable: true,
                description: 'null on the last page',
              }),
            },
            { description: 'OK', examples: [{ deliveries: WebhookDelivery.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, endpointNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { id } = request.params
      const { limit = 50, cursor } = request.query
      await readEndpoint(app.db, id)
      const rows = await app.db
        .selectFrom('webhook_attempts')
        .select(['id', 'message_id', 'account_id', 'event', 'attempt', 'attempted_at', 'ms', 'status', 'answer'])
        .select(['error', 'next_attempt_at'])
        .where('endpoint_id', '=', id)
        .$if(cursor !== undefined, (attempts) => attempts.where('id', '<', cursor ?? ''))
        .orderBy('id', 'desc')
        .limit(limit + 1)
        .execute()
      const { page, next_cursor } = pageById(rows, limit)
      return { deliveries: page as (typeof WebhookDelivery)['static'][], next_cursor }
    },
  )

  app.get(
    '/api/admin/webhooks/dead',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listDeadWebhookMessages',
        summary: 'List messages that could not be delivered within three days, oldest first; they are kept for 30 days',
        description: '`replayWebhookMessages` sends them again.',
        querystring: ListQuery({
          endpoint_id: Type.Optional(Uuid),
          limit,
          cursor: Type.Optional(
            Type.String({ pattern: CURSOR.source, description: 'next_cursor of the previous page' }),
          ),
        }),
        response: {
          200: Type.Object(
            { messages: Type.Array(ref(WebhookMessage)), next_cursor: NextCursor },
            {
              description: 'OK. A page ends at 1 MiB',
              examples: [{ messages: WebhookMessage.examples, next_cursor: null }],
            },
          ),
          ...refusals(administrator, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { endpoint_id, limit = 50, cursor } = request.query
      const [, micros, id] = CURSOR.exec(cursor ?? '') ?? []
      const read = (last: { micros: number; id: string } | undefined, count: number) => {
        const after = [last?.micros ?? micros ?? '', last?.id ?? id ?? ''] as const
        const place = sql<boolean>`(created_at, id) >
          (to_timestamp(0) + ${String(after[0])}::bigint * interval '1 microsecond', ${after[1]}::uuid)`
        return app.db
          .selectFrom('webhook_messages')
          .select(['id', 'account_id', 'endpoint_id', 'event', 'payload', 'attempts', 'last_error', 'created_at'])
          .select(sql<number>`(extract(epoch from created_at) * 1000000)::bigint`.as('micros'))
          .where('status', '=', 'dead')
          .$if(endpoint_id !== undefined, (dead) => dead.where('endpoint_id', '=', endpoint_id ?? ''))
          .$if(after[1] !== '', (dead) => dead.where(place))
          .orderBy('created_at')
          .orderBy('id')
          .limit(count)
          .execute()
      }
      const { rows, more } = await readPage(limit, read, jsonBytes)
      const last = rows.at(-1)
      const messages = rows as unknown as (typeof WebhookMessage)['static'][]
      return { messages, next_cursor: more && last ? `${last.micros}_${last.id}` : null }
    },
  )

  app.post(
    '/api/admin/webhooks/replay',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'replayWebhookMessages',
        summary: "Retry an endpoint's dead messages for another three days",
        description: 'All of them, or one. Each keeps its `webhook-id`.',
        body: whichDead,
        response: {
          200: Type.Object(
            { replayed: Type.Integer({ description: 'How many messages will be retried' }), more },
            { description: 'OK', examples: [{ replayed: 3, more: false }] },
          ),
          ...refusals(administrator, jsonBody, endpointNotFound),
        },
      },
    },
    async (request) => {
      const { endpoint_id, message_id } = request.body
      const { count, more } = await settleDead(app.db, actorOf(request), 'replay', endpoint_id, message_id)
      return { replayed: count, more }
    },
  )

  app.post(
    '/api/admin/webhooks/dismiss',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'dismissDeadWebhookMessages',
        summary: "Delete an endpoint's dead messages, once somebody has looked at them",
        description: 'All of them, or one.',
        body: whichDead,
        response: {
          200: Type.Object(
            { dismissed: Type.Integer({ description: 'How many messages were deleted' }), more },
            { description: 'OK', examples: [{ dismissed: 3, more: false }] },
          ),
          ...refusals(administrator, jsonBody, endpointNotFound),
        },
      },
    },
    async (request) => {
      const { endpoint_id, message_id } = request.body
      const { count, more } = await settleDead(app.db, actorOf(request), 'dismiss', endpoint_id, message_id)
      return { dismissed: count, more }
    },
  )
}
