import { randomBytes } from 'node:crypto'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { requireAdmin } from '../access/caller.ts'
import type { Db } from '../db/tables.ts'
import { appNotFound, badField, endpointNotFound, tooManyAtOnce } from '../http/catalogue.ts'
import { NotPublic, resolvePublic } from '../http/public-addresses.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { Credits, ListQuery, NextCursor, PageLimit, ref, Slug, Uuid } from '../schemas/primitives.ts'
import { WebhookEndpoint, WebhookEvent } from '../schemas/webhooks.ts'
import { removeMessagesOf } from '../webhooks/dead-letters.ts'
import { type Event, LEVELS, readEndpoints } from '../webhooks/outbox.ts'

const isLevel = (event: Event) => LEVELS.includes(event)
const levelMissing = () => badField('low_credits', 'is missing: account.low and account.recovered need it')

/** Time limit of the look-up of a new URL's host name, in ms. Every delivery checks it again. */
const LOOKUP_MS = 2_000

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
      const { slug } = request.params
      const { events, low_credits } = request.body
      if (low_credits === undefined && events.some(isLevel)) throw levelMissing()
      const url = await endpointUrl(request.body.url)
      await findApp(slug)
      const [id, secret] = [uuidv7(), newSecret()]
      await app.db
        .insertInto('webhook_endpoints')
        .values({ id, app_slug: slug, url, secret, events: [...new Set(events)], low_credits: low_credits ?? 0 })
        .execute()
      await readEndpoints(app.db)
      reply.header('cache-control', 'no-store')
      return { endpoint: await endpointOf(id), secret }
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
    async (request) => {
      await findApp(request.params.slug)
      const { limit = 200, cursor } = request.query
      const rows = await endpoints(app.db)
        .where('app_slug', '=', request.params.slug)
        .$if(cursor !== undefined, (page) => page.where('id', '>', cursor ?? ''))
        .orderBy('id')
        .limit(limit + 1)
        .execute()
      const page = rows.slice(0, limit).map(typed)
      return { endpoints: page, next_cursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null }
    },
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
    async (request) => ({ endpoint: await endpointOf(request.params.id) }),
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
    async (request) => {
      const { id } = request.params
      const { url, events, low_credits, paused } = request.body
      if (low_credits === undefined && events?.some(isLevel)) {
        const before = await endpointOf(id)
        if (!before.events.some(isLevel)) throw levelMissing()
      }
      const changes = {
        id,
        ...(url !== undefined && { url: await endpointUrl(url) }),
        ...(events && { events: [...new Set(events)] }),
        ...(low_credits !== undefined && { low_credits }),
        ...(paused === true && { paused_at: sql<Date>`coalesce(paused_at, now())`, pause_reason: 'operator' as const }),
        ...(paused === false && { paused_at: null, pause_reason: null }),
      }
      const { numUpdatedRows } = await app.db
        .updateTable('webhook_endpoints')
        .set(changes)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!numUpdatedRows) throw endpointNotFound()
      if (url !== undefined || paused === false) await tryAgainNow(id)
      await readEndpoints(app.db)
      return { endpoint: await endpointOf(id) }
    },
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
      const secret = newSecret()
      const { numUpdatedRows } = await app.db
        .updateTable('webhook_endpoints')
        .set({
          secret,
          previous_secret: sql.ref('secret'),
          previous_secret_until: sql<Date>`now() + interval '24 hours'`,
        })
        .where('id', '=', request.params.id)
        .executeTakeFirst()
      if (!numUpdatedRows) throw endpointNotFound()
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
      const { id } = request.params
      const removed = await app.db.deleteFrom('webhook_endpoints').where('id', '=', id).executeTakeFirst()
      if (!removed.numDeletedRows) throw endpointNotFound()
      await readEndpoints(app.db)
      await app.db.deleteFrom('webhook_delivery_state').where('endpoint_id', '=', id).execute()
      await removeMessagesOf(app.db, id)
      return reply.code(204).send(null)
    },
  )

  async function findApp(slug: string): Promise<void> {
    const found = await app.db.selectFrom('apps').select('slug').where('slug', '=', slug).executeTakeFirst()
    if (!found) throw appNotFound()
  }

  async function endpointOf(id: string) {
    const row = await endpoints(app.db).where('id', '=', id).executeTakeFirst()
    if (!row) throw endpointNotFound()
    return typed(row)
  }

  /** Ends the wait of a failing endpoint, because it was changed. */
  async function tryAgainNow(endpoint_id: string): Promise<void> {
    await app.db
      .updateTable('webhook_delivery_state')
      .set({ retry_at: sql<Date>`'-infinity'::timestamptz` })
      .where('endpoint_id', '=', endpoint_id)
      .execute()
  }

  /** The URL, normalised. @throws {ApiError} 400 for a URL that we do not post to */
  async function endpointUrl(text: string): Promise<string> {
    const url = URL.parse(text)
    const fine = url && (url.protocol === 'https:' || (url.protocol === 'http:' && !app.config.production))
    if (!fine || url.username || url.password)
      throw badField('url', 'must be an https:// URL without a user or password')
    if (app.config.production) await refuseInternal(url.hostname)
    return url.href
  }
}

/** @throws {ApiError} 400 for an address, or a name of one, that is not public. A name that is not known yet is accepted. */
async function refuseInternal(hostname: string): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, LOOKUP_MS)
  const checked = resolvePublic(hostname).catch((error) => {
    if (error instanceof NotPublic) throw badField('url', 'must lead to a public address')
  })
  await Promise.race([checked, late]).finally(() => clearTimeout(timer))
}

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`

const endpoints = (db: Db) =>
  db
    .selectFrom('webhook_endpoints')
    .leftJoin('webhook_delivery_state as state', 'state.endpoint_id', 'webhook_endpoints.id')
    .select(['id', 'app_slug', 'url', 'events', 'low_credits', 'pause_reason', 'created_at'])
    .select(['failing_since', 'last_error'])
    .select([
      sql<boolean>`paused_at is not null`.as('paused'),
      sql<number>`coalesce(failures, 0)`.as('failures'),
      sql<Date | null>`case when retry_at > now() then retry_at end`.as('retry_at'),
      sql<Date | null>`case when previous_secret_until > now() then previous_secret_until end`.as(
        'previous_secret_until',
      ),
    ])

/** A constraint of the table allows only known events. */
const typed = <T extends { events: string[] }>(endpoint: T) => ({
  ...endpoint,
  events: endpoint.events as (typeof WebhookEvent)['static'][],
})
