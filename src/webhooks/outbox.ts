import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The outbox: messages to apps, committed with the change of the ledger that they report. dispatcher.ts delivers them. */

export const EVENTS = [
  ...(['job.completed', 'job.failed', 'account.low', 'account.recovered', 'account.negative'] as const),
  ...(['budget.low', 'budget.exceeded'] as const),
] as const
export type Event = (typeof EVENTS)[number]

/** Events of a level: the endpoint says of how many credits. */
export const LEVELS: readonly Event[] = ['account.low', 'account.recovered']

/** What an account has. */
interface Balance {
  /** To spend: what jobs hold is deducted already */
  credits: number
  held: number
  seq: number
}

/** What one operation did to an account. */
export interface Happening {
  before: Balance
  after: Balance
  /** Jobs that have ended, each with the account after it */
  ended: { app: string; event: Event; balance: Balance; json: () => string }[]
  /** What befell budgets, and the apps that they admit; null: all */
  budgets: { app: string; event: Event; apps: string[] | null; json: () => string }[]
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

/** Whether anybody subscribes to anything. */
export const hasEndpoints = (db: Db): boolean => (endpoints.get(db) ?? []).length > 0

/** Whether something happened to the account itself that an endpoint subscribes to; then the apps of the account must be known. */
export const isHeardBy =
  (db: Db) =>
  (happening: Happening): boolean =>
    (endpoints.get(db) ?? []).some(
      (endpoint) =>
        accountEvents(happening, endpoint).length > 0 ||
        happening.budgets.some(({ event }) => endpoint.events.includes(event)),
    )

/**
 * The messages for what happened to an account, for the endpoints that subscribe to it: a job's end for its app, what befell the
 * account or a budget for every app that the account has used; a budget only for apps that it admits.
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
      // The job is named to its own app alone.
      const job = own && `,"job":${own.json()}`
      return [...jobs, ...limits, ...accountEvents(happening, endpoint).map((event) => message(event, after, job))]
    }),
  )
  if (messages.length > 0) listeners.get(db)?.([...new Set(messages.map(({ endpoint_id }) => endpoint_id))])
  return messages
}

/** A level counts what is owned: a hold that comes and goes crosses none. */
function accountEvents({ before, after }: Happening, { events, low_credits }: Endpoint): Event[] {
  const [had, has] = [before.credits + before.held, after.credits + after.held]
  const happened: Event[] = []
  if (has < low_credits && had >= low_credits) happened.push('account.low')
  if (has >= low_credits && had < low_credits) happened.push('account.recovered')
  if (after.credits < 0 && before.credits >= 0) happened.push('account.negative')
  return happened.filter((event) => events.includes(event))
}

/** A time as payloads have it, and the API. */
export const timestamp = (ms: number): string => new Date(ms).toISOString()

/** Writes messages, given as arrays. */
export const insertMessages = statement<Record<string, unknown[]>, { id: string }>(
  'webhook_messages',
  `insert into webhook_messages (account_id, endpoint_id, event, payload)
  select account_id, endpoint_id, event, payload::jsonb
  from unnest($account_id::uuid[], $endpoint_id::uuid[], $event::text[], $payload::text[])
    as new (account_id, endpoint_id, event, payload) returning id`,
)
