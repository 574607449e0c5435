import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdmin } from '../access/caller.ts'
import { appNotFound, endpointNotFound, tooManyAtOnce } from '../http/catalogue.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { actorOf } from '../operator/actions.ts'
import {
  createEndpoint,
  deleteEndpoint,
  listEndpoints,
  readEndpoint,
  rotateSecret,
  updateEndpoint,
} from '../operator/endpoint-changes.ts'
import { Credits, ListQuery, NextCursor, PageLimit, ref, Slug, Uuid } from '../schemas/primitives.ts'
import { WebhookEndpoint, WebhookEvent } from '../schemas/webhooks.ts'

/** Webhook endpoints of apps. */
export const adminWebhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  const ofApp = Type.Object({ slug: Slug })
  const byId = Type.Object({ id: Uuid })
  const url = Type.String({
    maxLength: 2048,
    documented: { format: 'uri', pattern: '^https?://' },
    description: 'An https URL; in production its address must be public. Elsewhere http is allowed',
  })
  const events = Type.Array(WebhookEvent, { minItems: 1, maxItems: 10 })
  const lowCredits = Credits({ description: 'Required with account.low and account.recovered' })
  const one = Type.Object(
    { endpoint: ref(WebhookEndpoint) },
    { description: 'OK', examples: [{ endpoint: WebhookEndpoint.examples[0] }] },
  )
  const secret = Type.String({ description: 'The key to check signatures with; returned only here' })

  app.post(
    '/api/admin/apps/:slug/webhooks',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'createWebhookEndpoint',
        summary: 'Register a webhook endpoint of an app (Standard Webhooks); events start within two seconds',
        description: 'The requests that it receives are described under `x-webhooks`.',
        params: ofApp,
        body: Type.Object(
          { url, events, low_credits: Type.Optional(lowCredits) },
          { examples: [{ url: 'https://video.example.com/hooks/focus', events: ['job.completed', 'job.failed'] }] },
        ),
        response: {
          200: Type.Object(
            { endpoint: ref(WebhookEndpoint), secret },
            { description: 'OK', examples: [{ endpoint: WebhookEndpoint.examples[0], secret: 'whsec_c2VjcmV0' }] },
          ),
          ...refusals(administrator, jsonBody, appNotFound),
        },
      },
    },
    async (request, reply) => {
      const made = await createEndpoint(app, actorOf(request), request.params.slug, request.body)
      reply.header('cache-control', 'no-store')
      return made
    },
  )

  app.get(
    '/api/admin/apps/:slug/webhooks',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listWebhookEndpoints',
        summary: "List an app's webhook endpoints",
        description: 'Without their secrets.',
        params: ofApp,
        querystring: ListQuery({
          limit: PageLimit(200),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { endpoints: Type.Array(ref(WebhookEndpoint)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ endpoints: WebhookEndpoint.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, appNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => listEndpoints(app.db, request.params.slug, request.query),
  )

  app.get(
    '/api/admin/webhooks/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'getWebhookEndpoint',
        summary: 'Show a webhook endpoint',
        description: 'Without its secret.',
        params: byId,
        response: { 200: one, ...refusals(administrator, endpointNotFound) },
      },
    },
    async (request) => ({ endpoint: await readEndpoint(app.db, request.params.id) }),
  )

  app.patch(
    '/api/admin/webhooks/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'updateWebhookEndpoint',
        summary: 'Change, pause or resume a webhook endpoint; what is not given stays',
        description: 'A new URL, and resuming, send waiting messages at once.',
        params: byId,
        body: Type.Object(
          {
            url: Type.Optional(url),
            events: Type.Optional(events),
            low_credits: Type.Optional(lowCredits),
            paused: Type.Optional(Type.Boolean({ description: 'While it is paused, its messages wait' })),
          },
          { examples: [{ paused: true }] },
        ),
        response: { 200: one, ...refusals(administrator, jsonBody, endpointNotFound) },
      },
    },
    async (request) => ({ endpoint: await updateEndpoint(app, actorOf(request), request.params.id, request.body) }),
  )

  app.post(
    '/api/admin/webhooks/:id/rotate',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'rotateWebhookSecret',
        summary: "Replace an endpoint's secret; both sign for 24 hours",
        description: 'The new secret is shown in this answer only.',
        params: byId,
        response: {
          200: Type.Object({ secret }, { description: 'OK', examples: [{ secret: 'whsec_c2VjcmV0' }] }),
          ...refusals(administrator, endpointNotFound),
        },
      },
    },
    async (request, reply) => {
      const secret = await rotateSecret(app, actorOf(request), request.params.id)
      reply.header('cache-control', 'no-store')
      return { secret }
    },
  )

  app.delete(
    '/api/admin/webhooks/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'deleteWebhookEndpoint',
        summary: 'Remove a webhook endpoint and its undelivered messages',
        description: 'A message that is being sent may still arrive.',
        params: byId,
        response: { 204: { type: 'null', description: 'Removed' }, ...refusals(administrator, endpointNotFound) },
      },
    },
    async (request, reply) => {
      await deleteEndpoint(app, actorOf(request), request.params.id)
      return reply.code(204).send(null)
    },
  )
}
