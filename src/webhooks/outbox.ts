import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The outbox: what apps are told, committed with the ledger's change that it speaks of, and then delivered. */

export const EVENTS = ['job.completed', 'job.failed', 'account.negative', 'account.low'] as const
export type Event = (typeof EVENTS)[number]

/** Something that happened to an account. */
export interface Happening {
  /** The app it concerns; null: every app that the account has used */
  app: string | null
  /** Spendable credits before and after */
  before: number
  after: number
  /** The job that has ended, and makes its JSON; null: none */
  job: { event: Event; json: () => string } | null
}

interface Endpoint {
  id: string
  app_slug: string
  events: string[]
  low_credits: number
}

/** Who listens, per database, as it was last read. */
const endpoints = new WeakMap<Db, Endpoint[]>()

const allEndpoints = statement<Record<never, never>, Endpoint>(
  'webhook_endpoints',
  'select id, app_slug, events, low_credits from webhook_endpoints',
)

/** Reads who listens; every replica does so every two seconds. */
export async function readEndpoints(db: Db): Promise<void> {
  endpoints.set(db, await allEndpoints(db, {}))
}

/** Reads who listens unless it is known. */
export async function knowEndpoints(db: Db): Promise<void> {
  if (!endpoints.has(db)) await readEndpoints(db)
}

/** A message for an endpoint. */
export interface Message {
  account_id: string
  endpoint_id: string
  event: Event
  payload: string
}

/**
 * The messages for what happened to an account: one for each event and each endpoint that subscribes to it.
 * @param apps those that the account has used
 * @param now ms since 1970
 */
export function messagesOf(
  db: Db,
  account_id: string,
  happened: Happening[],
  apps: Set<string>,
  now: number,
): Message[] {
  const known = endpoints.get(db) ?? []
  if (known.length === 0) return []
  return happened.flatMap(({ app, before, after, job }) =>
    known
      .filter(({ app_slug }) => (app === null ? apps.has(app_slug) : app === app_slug))
      .flatMap(({ id, events, low_credits }) => {
        const happening: Event[] = []
        if (job) happening.push(job.event)
        if (after < 0 && before >= 0) happening.push('account.negative')
        if (after < low_credits && before >= low_credits) happening.push('account.low')
        return happening
          .filter((event) => events.includes(event))
          .map((event) => {
            const data = `"account_id":"${account_id}","credits":${after}${job ? `,"job":${job.json()}` : ''}`
            const payload = `{"type":"${event}","timestamp":"${timestamp(now)}","data":{${data}}}`
            return { account_id, endpoint_id: id, event, payload }
          })
      }),
  )
}

/** A time as payloads have it. */
export const timestamp = (ms: number): string => new Date(ms).toISOString().replace('Z', '+00:00')

/** Writes messages, given as arrays. */
export const insertMessages = statement<Record<string, unknown[]>, { id: string }>(
  'webhook_messages',
  `insert into webhook_messages (account_id, endpoint_id, event, payload)
  select account_id, endpoint_id, event, payload::jsonb
  from unnest($account_id::uuid[], $endpoint_id::uuid[], $event::text[], $payload::text[])
    as new (account_id, endpoint_id, event, payload) returning id`,
)

export interface Claimed {
  account_id: string
  id: string
  attempts: number
  url: string
  secret: string
  payload: Record<string, unknown>
}

type Due = { account_id: string; id: string; attempts: number }

/** Messages whose time has come, read without a lock: whoever claims one first has it. */
export const dueMessages = statement<{ limit: number }, Due>(
  'webhooks_due',
  `select account_id, id, attempts from webhook_messages
  where status = 'pending' and next_attempt_at <= now() order by next_attempt_at limit $limit::int`,
)

/** Takes a message for so many seconds; after them, it is due again: the process that has it may be gone. */
export const claim = statement<Due & { seconds: number }, Claimed>(
  'webhook_claim',
  `update webhook_messages message
  set attempts = message.attempts + 1, next_attempt_at = now() + make_interval(secs => $seconds::int)
  from webhook_endpoints endpoint
  where message.account_id = $account_id::uuid and message.id = $id::uuid and message.attempts = $attempts::int
    and message.status = 'pending' and message.next_attempt_at <= now() and endpoint.id = message.endpoint_id
  returning message.account_id, message.id, message.attempts, message.payload, endpoint.url, endpoint.secret`,
)

export const arrived = statement<Due, { id: string }>(
  'webhook_arrived',
  `delete from webhook_messages
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int returning id`,
)

/** Later again, or dead when its days are over. */
export const failed = statement<Due & { seconds: number; error: string }, { status: string }>(
  'webhook_failed',
  `update webhook_messages
  set last_error = $error, next_attempt_at = later.at, status = case when later.at > give_up_at then 'dead' else 'pending' end
  from (select now() + make_interval(secs => $seconds::int) as at) as later
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int and status = 'pending'
  returning status`,
)

/** A message to an endpoint that was removed while the message was written: there is nobody to tell. */
export const dropOrphan = statement<Due, { id: string }>(
  'webhook_orphan',
  `delete from webhook_messages message where account_id = $account_id::uuid and id = $id::uuid
    and not exists (select from webhook_endpoints where id = message.endpoint_id) returning id`,
)
