import { sql } from 'kysely'
import { statement } from '../../../db/statement.ts'
import type { Db } from '../../../db/tables.ts'
import { endpointNotFound } from '../../../http/catalogue.ts'

/** Counting stops here: at this value a number means "at least". */
const MAX_COUNT = 10_000

const counted = (status: 'pending' | 'dead') => `(select count(*)::int from (select 1 from webhook_messages
  where endpoint_id = $endpoint_id::uuid and status = '${status}' limit ${MAX_COUNT}) as counted)`

const firstPending = (time: string) => `(select min(${time}) from webhook_messages
  where endpoint_id = $endpoint_id::uuid and status = 'pending')`

interface Messages {
  waiting: number
  dead: number
  waiting_since: Date | null
  next_attempt_at: Date | null
}

const readMessages = statement<{ endpoint_id: string }, Messages>(
  'console_endpoint_messages',
  `select ${counted('pending')} as waiting, ${counted('dead')} as dead,
    ${firstPending('give_up_at')} - interval '3 days' as waiting_since, ${firstPending('next_attempt_at')} as next_attempt_at`,
)

/** Adds what is known of the messages of each endpoint. Citus does not join them to it, so they are read by endpoint. */
async function withMessages<Endpoint extends { id: string; paused_at: Date | null; retry_at: Date | null }>(
  db: Db,
  found: Endpoint[],
) {
  const endpoints: (Omit<Endpoint, 'retry_at'> & Omit<Messages, 'next_attempt_at'> & { next_try: Date | null })[] = []
  // One after the other: a page takes no more than a connection for this.
  for (const { retry_at, ...endpoint } of found) {
    const [messages] = await readMessages(db, { endpoint_id: endpoint.id })
    if (!messages) throw new Error('a query without a row')
    const { next_attempt_at, ...counts } = messages
    // The next message is sent neither before the wait of the endpoint ends, nor before that of the message.
    const next_try = retry_at && next_attempt_at && retry_at > next_attempt_at ? retry_at : next_attempt_at
    endpoints.push({ ...endpoint, ...counts, next_try: endpoint.paused_at === null ? next_try : null })
  }
  return endpoints
}

const endpoints = (db: Db) =>
  db
    .selectFrom('webhook_endpoints as endpoint')
    .leftJoin('webhook_delivery_state as state', 'state.endpoint_id', 'endpoint.id')
    .select(['id', 'app_slug', 'url', 'events', 'low_credits', 'paused_at', 'pause_reason', 'created_at'])
    .select(['failing_since', 'last_error', 'previous_secret_until'])
    .select([
      sql<number>`coalesce(failures, 0)`.as('failures'),
      sql<Date | null>`case when isfinite(retry_at) then retry_at end`.as('retry_at'),
      // Says whether it is still the secret that a page has shown the state of.
      sql<string>`left(md5(secret), 8)`.as('secret_mark'),
    ])

export type EndpointRow = Awaited<ReturnType<typeof findEndpoint>>

/** The endpoints of an app, or of all apps: those that do not deliver first. */
export async function listEndpoints(db: Db, slug?: string) {
  const found = await endpoints(db)
    .$if(slug !== undefined, (all) => all.where('app_slug', '=', slug ?? ''))
    .orderBy(sql`coalesce(failures, 0)`, 'desc')
    .orderBy('app_slug')
    .orderBy('id')
    .limit(200)
    .execute()
  return withMessages(db, found)
}

/** @throws {ApiError} 404 endpoint_not_found */
export async function findEndpoint(db: Db, id: string) {
  const [endpoint] = await withMessages(db, await endpoints(db).where('id', '=', id).execute())
  if (!endpoint) throw endpointNotFound()
  return endpoint
}

/** A message that has waited for so long is late, in ms: the first retries are over. */
const LATE_MS = 300_000

const isLate = ({ waiting_since }: EndpointRow) =>
  waiting_since !== null && Date.now() - Number(waiting_since) > LATE_MS

/** Whether an endpoint delivers: a word for the reader, and the CSS class for it. */
export function endpointState(endpoint: EndpointRow) {
  const { pause_reason, paused_at, failures, dead } = endpoint
  if (pause_reason === 'gone') return { word: 'Gone (410)', style: 'failed' }
  if (paused_at) return { word: 'Paused', style: '' }
  if (failures > 0) return { word: 'Failing', style: 'failed' }
  if (isLate(endpoint)) return { word: 'Late', style: 'failed' }
  if (dead > 0) return { word: 'Messages lost', style: 'failed' }
  return { word: 'Delivering', style: 'done-well' }
}

/** It is not paused, and its last delivery failed or its oldest message is late. */
export const isUndelivered = (endpoint: EndpointRow): boolean =>
  endpoint.paused_at === null && (endpoint.failures > 0 || isLate(endpoint))

/** Whoever paused an endpoint knows that it does not deliver; messages that were lost wait for somebody all the same. */
export const needsAttention = (endpoint: EndpointRow): boolean =>
  endpointState(endpoint).style === 'failed' || endpoint.dead > 0

/** Attempts of an endpoint, newest first. */
export const listAttempts = (db: Db, endpoint_id: string, before: string | undefined, limit: number) =>
  db
    .selectFrom('webhook_attempts')
    .select(['id', 'message_id', 'account_id', 'event', 'attempt', 'attempted_at', 'ms', 'status', 'answer', 'error'])
    // Of the newest attempt of a message that still waits: the log tells what was to come, which a success or a replay has changed.
    .select(
      sql<Date | null>`(select case when message.attempts = webhook_attempts.attempt then message.next_attempt_at end
        from webhook_messages message where message.account_id = webhook_attempts.account_id
          and message.id = webhook_attempts.message_id and message.status = 'pending')`.as('next_attempt_at'),
    )
    .where('endpoint_id', '=', endpoint_id)
    .$if(before !== undefined, (attempts) => attempts.where('id', '<', before ?? ''))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()

/** Messages that were given up, oldest first. */
export const listDead = (db: Db, endpoint_id: string, limit: number) =>
  db
    .selectFrom('webhook_messages')
    .select(['id', 'account_id', 'event', 'attempts', 'last_error', 'created_at'])
    .where('endpoint_id', '=', endpoint_id)
    .where('status', '=', 'dead')
    .orderBy('created_at')
    .limit(limit)
    .execute()
