import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The outbox: messages to apps, committed with the change of the ledger that they report. dispatcher.ts delivers them. */

export const EVENTS = [
  ...(['job.completed', 'job.failed', 'account.low', 'account.recovered', 'account.negative'] as const),
  ...(['budget.low', 'budget.exceeded'] as const),
] as const
export type Event = (typeof EVENTS)[number]

/** Events that depend on the endpoint's threshold, `low_credits`. */
export const LEVELS: readonly Event[] = ['account.low', 'account.recovered']

/** An account's balance. */
interface Balance {
  /** Spendable credits; what jobs hold is not among them */
  credits: number
  held: number
  seq: number
}

/** What one ledger operation did to an account. */
export interface Happening {
  before: Balance
  after: Balance
  /** Jobs that ended, each with the balance after it */
  ended: { app: string; event: Event; balance: Balance; json: () => string }[]
  /** Events of budgets, with the apps at which each budget may be spent; null: all apps */
  budgets: { app: string; event: Event; apps: string[] | null; json: () => string }[]
}

interface Endpoint {
  id: string
  app_slug: string
  events: string[]
  low_credits: number
}

/** All endpoints, per database, as last read. */
const endpoints = new WeakMap<Db, Endpoint[]>()

const allEndpoints = statement<Record<never, never>, Endpoint>(
  'webhook_endpoints',
  'select id, app_slug, events, low_credits from webhook_endpoints',
)

/** Reads all endpoints. Every replica does so every second. */
export async function readEndpoints(db: Db): Promise<void> {
  endpoints.set(db, await allEndpoints(db, {}))
}

/** Reads all endpoints unless they have been read before. */
export async function knowEndpoints(db: Db): Promise<void> {
  if (!endpoints.has(db)) await readEndpoints(db)
}

/** What `onMessages` has registered, per database. */
const listeners = new WeakMap<Db, (endpoint_ids: string[]) => void>()

/** Registers a listener. It is called with the endpoints of new messages, shortly before this process commits them. */
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

/** Whether there is any endpoint. */
export const hasEndpoints = (db: Db): boolean => (endpoints.get(db) ?? []).length > 0

/**
 * Whether an endpoint subscribes to an event of the account or of a budget. Such events go to the apps that the account has used, which
 * the caller must then read.
 */
export const isHeardBy =
  (db: Db) =>
  (happening: Happening): boolean =>
    (endpoints.get(db) ?? []).some(
      (endpoint) =>
        accountEvents(happening, endpoint).length > 0 ||
        happening.budgets.some(({ event }) => endpoint.events.includes(event)),
    )

/**
 * The messages about what happened to an account, for the endpoints that subscribe to it. The end of a job goes to the job's app. An event
 * of the account goes to every app that the account has used; so does one of a budget, if the budget may be spent at that app.
 * @param apps the apps that the account has used
 * @param now the messages' timestamp, in ms since 1970
 */
export function messagesOf(
  db: Db,
  account_id: string,
  happened: Happening[],
  apps: Set<string>,
  now: number,
): Message[] {
  const messages = happened.flatMap((happening) =>
    (endpoints.get(db) ?? []).flatMap((endpoint) => {
      const { after, ended, budgets } = happening
      const message = (event: Event, { credits, held, seq }: Balance, more = '') => {
        const data = `"account_id":"${account_id}","credits":${credits},"held":${held},"seq":${seq}${more}`
        const payload = `{"type":"${event}","timestamp":"${timestamp(now)}","data":{${data}}}`
        return { account_id, endpoint_id: endpoint.id, event, payload }
      }
      const jobs = ended
        .filter(({ app, event }) => app === endpoint.app_slug && endpoint.events.includes(event))
        .map(({ event, balance, json }) => message(event, balance, `,"job":${json()}`))
      const limits = budgets
        .filter(({ event, app, apps: admitted }) => {
          const used = app === endpoint.app_slug || apps.has(endpoint.app_slug)
          return used && endpoint.events.includes(event) && (admitted?.includes(endpoint.app_slug) ?? true)
        })
        .map(({ event, json }) => message(event, after, `,"budget":${json()}`))
      const own = ended.findLast(({ app }) => app === endpoint.app_slug)
      if (!own && !apps.has(endpoint.app_slug)) return [...jobs, ...limits]
      // Only the job's own app is told of the job.
      const job = own && `,"job":${own.json()}`
      return [...jobs, ...limits, ...accountEvents(happening, endpoint).map((event) => message(event, after, job))]
    }),
  )
  if (messages.length > 0) listeners.get(db)?.([...new Set(messages.map(({ endpoint_id }) => endpoint_id))])
  return messages
}

/** The threshold is compared with `credits` plus `held`, so that a hold which is placed and released does not cross it. */
function accountEvents({ before, after }: Happening, { events, low_credits }: Endpoint): Event[] {
  const [had, has] = [before.credits + before.held, after.credits + after.held]
  const happened: Event[] = []
  if (has < low_credits && had >= low_credits) happened.push('account.low')
  if (has >= low_credits && had < low_credits) happened.push('account.recovered')
  if (after.credits < 0 && before.credits >= 0) happened.push('account.negative')
  return happened.filter((event) => events.includes(event))
}

/** A time as payloads and the API show it: ISO 8601 in UTC, with milliseconds. */
export const timestamp = (ms: number): string => new Date(ms).toISOString()

/** Inserts messages. Each parameter is the array of one column. */
export const insertMessages = statement<Record<string, unknown[]>, { id: string }>(
  'webhook_messages',
  `insert into webhook_messages (account_id, endpoint_id, event, payload)
  select account_id, endpoint_id, event, payload::jsonb
  from unnest($account_id::uuid[], $endpoint_id::uuid[], $event::text[], $payload::text[])
    as new (account_id, endpoint_id, event, payload) returning id`,
)
