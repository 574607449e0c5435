import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The state of webhooks for the metrics and the operator's overview. */

/** Endpoints that are read one by one. Where there are more, those with the most failures come first. */
export const MAX_ENDPOINTS = 100
/** Counting stops at this many rows: a gauge with this value means "at least". */
const MAX_COUNT = 100_000

type None = Record<never, never>

const waitingMessages = statement<None, { count: number }>(
  'gauge_waiting',
  `select count(*) from (select 1 from webhook_messages where status = 'pending' limit ${MAX_COUNT}) as waiting`,
)

// Endpoints that an operator paused are left out: their messages are expected to wait.
const deadMessages = statement<None, { count: number }>(
  'gauge_dead',
  `select count(*) from (select 1 from webhook_messages where status = 'dead'
    and endpoint_id not in (select id from webhook_endpoints where pause_reason = 'operator') limit ${MAX_COUNT}) as dead`,
)

const endpoints = statement<{ limit: number }, { id: string; app: string; failures: number; is_paused: boolean }>(
  'gauge_endpoints',
  `select endpoint.id, endpoint.app_slug as app, coalesce(state.failures, 0) as failures,
    coalesce(endpoint.pause_reason = 'operator', false) as is_paused
  from webhook_endpoints endpoint left join webhook_delivery_state state on state.endpoint_id = endpoint.id
  order by coalesce(state.failures, 0) desc, endpoint.id limit $limit::int`,
)

// `give_up_at` is three days after the message was written or replayed.
const oldest = statement<{ endpoint_id: string }, { waiting: number | null }>(
  'gauge_oldest_waiting',
  `select extract(epoch from now() - min(give_up_at)) + 3 * 86400 as waiting
  from webhook_messages where endpoint_id = $endpoint_id::uuid and status = 'pending'`,
)

/** Exported for the test that checks their query plans. */
export const WEBHOOK_GAUGES = [waitingMessages, deadMessages]

export interface WebhookState {
  waiting: number
  dead: number
  endpoints: {
    id: string
    app: string
    failures: number
    /** How long its oldest message has been waiting, in seconds; undefined: an operator has paused the endpoint */
    oldest: number | undefined
  }[]
}

export async function readWebhooks(db: Db): Promise<WebhookState> {
  const [[waiting], [dead]] = await Promise.all([waitingMessages(db, {}), deadMessages(db, {})])
  const state: WebhookState = { waiting: Number(waiting?.count), dead: Number(dead?.count), endpoints: [] }
  // One after the other, so that a scrape uses one connection for them.
  for (const { id, app, failures, is_paused } of await endpoints(db, { limit: MAX_ENDPOINTS })) {
    const [row] = is_paused ? [] : await oldest(db, { endpoint_id: id })
    const seconds = is_paused ? undefined : Math.max(0, Number(row?.waiting ?? 0))
    state.endpoints.push({ id, app, failures: Number(failures), oldest: seconds })
  }
  return state
}
