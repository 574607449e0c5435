import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import type { Db } from '../db/tables.ts'
import { appNotFound, badField, endpointNotFound } from '../http/catalogue.ts'
import { type Page, pageById } from '../http/pages.ts'
import { NotPublic, resolvePublic } from '../http/public-addresses.ts'
import { removeMessagesOf } from '../webhooks/dead-letters.ts'
import { type Event, LEVELS, readEndpoints } from '../webhooks/outbox.ts'
import { type Actor, differing, recordAction } from './actions.ts'

/** Reads and changes the webhook endpoints of apps for operators. */

type Service = Pick<FastifyInstance, 'db' | 'config'>

export interface EndpointSettings {
  url: string
  events: Event[]
  low_credits?: number
}

const isLevel = (event: Event) => LEVELS.includes(event)
const levelMissing = () => badField('low_credits', 'is missing: account.low and account.recovered need it')

/** Time limit of the DNS lookup of a new URL, in ms. Every delivery checks the addresses again. */
const LOOKUP_MS = 2_000

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

/** Narrows the type of `events`: a constraint of the table allows only known ones. */
const typed = <T extends { events: string[] }>(endpoint: T) => ({ ...endpoint, events: endpoint.events as Event[] })

/** A page of an app's endpoints. @throws {ApiError} 404 app_not_found */
export async function listEndpoints(db: Db, slug: string, { limit = 200, cursor }: Page = {}) {
  await findApp(db, slug)
  const rows = await endpoints(db)
    .where('app_slug', '=', slug)
    .$if(cursor !== undefined, (page) => page.where('id', '>', cursor ?? ''))
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  const { page, next_cursor } = pageById(rows, limit)
  return { endpoints: page.map(typed), next_cursor }
}

/** @throws {ApiError} 404 webhook_endpoint_not_found */
export async function readEndpoint(db: Db, id: string) {
  const row = await endpoints(db).where('id', '=', id).executeTakeFirst()
  if (!row) throw endpointNotFound()
  return typed(row)
}

/**
 * Registers an endpoint of an app.
 * @returns the endpoint, and its secret, which is not shown again
 * @throws {ApiError} 404 app_not_found; 400 for a URL that is not allowed, or when an event needs `low_credits`
 */
export async function createEndpoint({ db, config }: Service, actor: Actor, slug: string, given: EndpointSettings) {
  const { events, low_credits } = given
  if (low_credits === undefined && events.some(isLevel)) throw levelMissing()
  const url = await publicUrl(given.url, config.production)
  await findApp(db, slug)
  const [id, secret] = [uuidv7(), newSecret()]
  const settings = { url, events: [...new Set(events)], low_credits: low_credits ?? 0 }
  await db.transaction().execute(async (trx) => {
    await trx
      .insertInto('webhook_endpoints')
      .values({ id, app_slug: slug, secret, ...settings })
      .execute()
    const after = { app: slug, ...settings }
    await recordAction(trx, actor, { action: 'createWebhookEndpoint', target: `webhook ${id}`, after })
  })
  await readEndpoints(db)
  return { endpoint: await readEndpoint(db, id), secret }
}

/**
 * Changes, pauses or resumes an endpoint. Absent fields stay as they are.
 * @throws {ApiError} 404 webhook_endpoint_not_found; 400 as createEndpoint
 */
export async function updateEndpoint(
  { db, config }: Service,
  actor: Actor,
  id: string,
  given: Partial<EndpointSettings> & { paused?: boolean },
) {
  const { events, low_credits, paused } = given
  const url = given.url === undefined ? undefined : await publicUrl(given.url, config.production)
  await db.transaction().execute(async (trx) => {
    const found = await readEndpoint(trx, id)
    const before = settingsOf(found)
    if (low_credits === undefined && events?.some(isLevel) && !before.events.some(isLevel)) throw levelMissing()
    await trx
      .updateTable('webhook_endpoints')
      .set({
        id,
        ...(url !== undefined && { url }),
        ...(events && { events: [...new Set(events)] }),
        ...(low_credits !== undefined && { low_credits }),
        // LEAST leaves nulls out; Citus refuses now() in COALESCE.
        ...(paused === true && { paused_at: sql<Date>`least(paused_at, now())`, pause_reason: 'operator' as const }),
        ...(paused === false && { paused_at: null, pause_reason: null }),
      })
      .where('id', '=', id)
      .execute()
    const states = differing(before, settingsOf(await readEndpoint(trx, id)))
    if (paused === false && !found.paused && found.failures > 0) Object.assign(states.after, { tried_now: true })
    if (Object.keys(states.after).length)
      await recordAction(trx, actor, { action: 'updateWebhookEndpoint', target: `webhook ${id}`, ...states })
  })
  if (url !== undefined || paused === false) await tryAgainNow(db, id)
  await readEndpoints(db)
  return readEndpoint(db, id)
}

const settingsOf = ({ url, events, low_credits, paused, pause_reason }: Awaited<ReturnType<typeof readEndpoint>>) => ({
  ...{ url, events, low_credits, paused, pause_reason },
})

/** Replaces an endpoint's secret. Both sign for 24 hours. @returns the new secret @throws {ApiError} 404 webhook_endpoint_not_found */
export async function rotateSecret({ db }: Service, actor: Actor, id: string): Promise<string> {
  const secret = newSecret()
  await db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('webhook_endpoints')
      .set({
        secret,
        previous_secret: sql.ref('secret'),
        previous_secret_until: sql<Date>`now() + interval '24 hours'`,
      })
      .where('id', '=', id)
      .executeTakeFirst()
    if (!numUpdatedRows) throw endpointNotFound()
    await recordAction(trx, actor, { action: 'rotateWebhookSecret', target: `webhook ${id}` })
  })
  return secret
}

/** Removes an endpoint and its undelivered messages. @throws {ApiError} 404 webhook_endpoint_not_found */
export async function deleteEndpoint({ db }: Service, actor: Actor, id: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { app_slug, ...endpoint } = await readEndpoint(trx, id)
    await trx.deleteFrom('webhook_endpoints').where('id', '=', id).execute()
    const before = { app: app_slug, ...settingsOf({ app_slug, ...endpoint }) }
    await recordAction(trx, actor, { action: 'deleteWebhookEndpoint', target: `webhook ${id}`, before })
  })
  await readEndpoints(db)
  await db.deleteFrom('webhook_delivery_state').where('endpoint_id', '=', id).execute()
  await removeMessagesOf(db, id)
}

async function findApp(db: Db, slug: string): Promise<void> {
  const found = await db.selectFrom('apps').select('slug').where('slug', '=', slug).executeTakeFirst()
  if (!found) throw appNotFound()
}

/** Ends the wait of a failing endpoint, so that a changed endpoint is tried immediately. */
async function tryAgainNow(db: Db, endpoint_id: string): Promise<void> {
  await db
    .updateTable('webhook_delivery_state')
    .set({ retry_at: sql<Date>`'-infinity'::timestamptz` })
    .where('endpoint_id', '=', endpoint_id)
    .execute()
}

/** The normalized URL. @throws {ApiError} 400 for one of another form than endpoints may have */
export function endpointUrl(text: string, production: boolean): string {
  const url = URL.parse(text)
  const fine = url && (url.protocol === 'https:' || (url.protocol === 'http:' && !production))
  if (!fine || url.username || url.password) throw badField('url', 'must be an https:// URL without a user or password')
  return url.href
}

/** The same for a URL that is to be stored. @throws {ApiError} 400, also for one of an internal address */
async function publicUrl(text: string, production: boolean): Promise<string> {
  const url = endpointUrl(text, production)
  if (production) await refuseInternal(new URL(url).hostname)
  return url
}

/** @throws {ApiError} 400 for an address that is not public, or a name of one. A name without an address is accepted. */
async function refuseInternal(hostname: string): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, LOOKUP_MS)
  const checked = resolvePublic(hostname).catch((error) => {
    if (error instanceof NotPublic) throw badField('url', 'must lead to a public address')
  })
  await Promise.race([checked, late]).finally(() => clearTimeout(timer))
}
