import { randomBytes } from 'node:crypto'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { requireAdmin } from '../access/caller.ts'
import { accountClosed, appNotFound, badField, endpointNotFound, notAnAdministrator } from '../http/catalogue.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { Credits, ref, Slug, Uuid } from '../schemas/primitives.ts'
import { WebhookEndpoint, WebhookEvent, WebhookMessage } from '../schemas/webhooks.ts'
import { readEndpoints } from '../webhooks/outbox.ts'

const adminErrors = [...signedIn, notAnAdministrator, accountClosed]

/** Webhook endpoints of apps, and the messages that could not be delivered to them. */
export const adminWebhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  const columns = ['id', 'app_slug', 'url', 'events', 'low_credits', 'created_at'] as const
  const params = Type.Object({ slug: Slug })

  app.post(
    '/api/admin/apps/:slug/webhooks',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'createWebhookEndpoint',
        summary: 'Register a webhook endpoint of an app (Standard Webhooks); it gets events from two seconds later on',
        description: 'What it receives stands under `x-webhooks`.',
        params,
        body: Type.Object(
          {
            url: Type.String({
              maxLength: 2048,
              description: 'An https URL; in production its address must be public',
            }),
            events: Type.Array(WebhookEvent, { minItems: 1, maxItems: 10 }),
            low_credits: Type.Optional(Credits({ default: 0 })),
          },
          { examples: [{ url: 'https://video.example.com/hooks/focus', events: ['job.completed', 'job.failed'] }] },
        ),
        response: {
          200: Type.Object(
            {
              endpoint: ref(WebhookEndpoint),
              secret: Type.String({ description: 'The key to check signatures with; returned only here' }),
            },
            { description: 'OK', examples: [{ endpoint: WebhookEndpoint.examples[0], secret: 'whsec_c2VjcmV0' }] },
          ),
          ...refusals(adminErrors, jsonBody, appNotFound),
        },
      },
    },
    async (request, reply) => {
      const { events, low_credits = 0 } = request.body
      const url = endpointUrl(request.body.url)
      await findApp(request.params.slug)
      const secret = `whsec_${randomBytes(32).toString('base64')}`
      const endpoint = await app.db
        .insertInto('webhook_endpoints')
        .values({ id: uuidv7(), app_slug: request.params.slug, url, secret, events: [...new Set(events)], low_credits })
        .returning(columns)
        .executeTakeFirstOrThrow()
      await readEndpoints(app.db)
      reply.header('cache-control', 'no-store')
      return { endpoint: typed(endpoint), secret }
    },
  )

  app.get(
    '/api/admin/apps/:slug/webhooks',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'listWebhookEndpoints',
        summary: "List an app's webhook endpoints",
        description: 'Without their secrets.',
        params,
        response: {
          200: Type.Object(
            { endpoints: Type.Array(ref(WebhookEndpoint)) },
            { description: 'OK', examples: [{ endpoints: WebhookEndpoint.examples }] },
          ),
          ...refusals(adminErrors, appNotFound),
        },
      },
    },
    async (request) => {
      await findApp(request.params.slug)
      const endpoints = await app.db
        .selectFrom('webhook_endpoints')
        .select(columns)
        .where('app_slug', '=', request.params.slug)
        .orderBy('id')
        .execute()
      return { endpoints: endpoints.map(typed) }
    },
  )

  app.delete(
    '/api/admin/webhooks/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'deleteWebhookEndpoint',
        summary: 'Remove a webhook endpoint and its undelivered messages',
        description: 'Messages that are on their way may still arrive.',
        params: Type.Object({ id: Uuid }),
        response: {
          204: { type: 'null', description: 'Removed' },
          ...refusals(adminErrors, endpointNotFound),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const removed = await app.db.deleteFrom('webhook_endpoints').where('id', '=', id).executeTakeFirst()
      if (!removed.numDeletedRows) throw endpointNotFound()
      await readEndpoints(app.db)
      await app.db.deleteFrom('webhook_messages').where('endpoint_id', '=', id).execute()
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/api/admin/webhooks/dead',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'listDeadWebhookMessages',
        summary: 'List messages that could not be delivered within three days, oldest first',
        description: 'They can be sent again with `replayWebhookMessages`.',
        querystring: Type.Object({
          endpoint_id: Type.Optional(Uuid),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
        }),
        response: {
          200: Type.Object(
            { messages: Type.Array(ref(WebhookMessage)) },
            { description: 'OK', examples: [{ messages: WebhookMessage.examples }] },
          ),
          ...refusals(adminErrors),
        },
      },
    },
    async (request) => {
      const { endpoint_id, limit = 50 } = request.query
      const messages = await app.db
        .selectFrom('webhook_messages')
        .select(['id', 'account_id', 'endpoint_id', 'event', 'payload', 'attempts', 'last_error', 'created_at'])
        .where('status', '=', 'dead')
        .$if(endpoint_id !== undefined, (dead) => dead.where('endpoint_id', '=', endpoint_id ?? ''))
        .orderBy('created_at')
        .limit(limit)
        .execute()
      return { messages: messages as unknown as (typeof WebhookMessage)['static'][] }
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
        body: Type.Object(
          { endpoint_id: Uuid, message_id: Type.Optional({ ...Uuid, description: 'Retry only this message' }) },
          { examples: [{ endpoint_id: WebhookEndpoint.examples[0]?.id }] },
        ),
        response: {
          200: Type.Object(
            { replayed: Type.Integer({ description: 'How many messages will be retried' }) },
            { description: 'OK', examples: [{ replayed: 3 }] },
          ),
          ...refusals(adminErrors, jsonBody, endpointNotFound),
        },
      },
    },
    async (request) => {
      const { endpoint_id, message_id } = request.body
      const endpoint = await app.db
        .selectFrom('webhook_endpoints')
        .select('id')
        .where('id', '=', endpoint_id)
        .executeTakeFirst()
      if (!endpoint) throw endpointNotFound()
      const { numUpdatedRows } = await app.db
        .updateTable('webhook_messages')
        .set({
          status: 'pending',
          attempts: 0,
          next_attempt_at: sql<Date>`now()`,
          give_up_at: sql<Date>`now() + interval '3 days'`,
        })
        .where('status', '=', 'dead')
        .where('endpoint_id', '=', endpoint_id)
        .$if(message_id !== undefined, (dead) => dead.where('id', '=', message_id ?? ''))
        .executeTakeFirst()
      return { replayed: Number(numUpdatedRows) }
    },
  )

  async function findApp(slug: string): Promise<void> {
    const found = await app.db.selectFrom('apps').select('slug').where('slug', '=', slug).executeTakeFirst()
    if (!found) throw appNotFound()
  }

  /** The URL, normalised. @throws {ApiError} 400 for a URL that we do not post to */
  function endpointUrl(text: string): string {
    const url = URL.parse(text)
    const fine = url && (url.protocol === 'https:' || (url.protocol === 'http:' && !app.config.production))
    if (!fine || url.username || url.password)
      throw badField('url', 'must be an https:// URL without a user or password')
    return url.href
  }
}

/** A constraint of the table allows only known events. */
const typed = <T extends { events: string[] }>(endpoint: T) => ({
  ...endpoint,
  events: endpoint.events as (typeof WebhookEvent)['static'][],
})
