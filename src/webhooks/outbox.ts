import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The outbox: messages to apps, committed with the change of the ledger that they report. dispatcher.ts delivers them. */

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

/** Called with the endpoints that messages are being written for, per database. */
const listeners = new WeakMap<Db, (endpoint_ids: string[]) => void>()

/** Has `listener` called whenever this process writes messages: shortly before they are committed. */
export function onMessages(db: Db, listener: (endpoint_ids: string[]) => void): void {
  listeners.set(db, listener)
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
  const messages = happened.flatMap(({ app, before, after, job }) =>
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
  if (messages.length > 0) listeners.get(db)?.([...new Set(messages.map(({ endpoint_id }) => endpoint_id))])
  return messages
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
