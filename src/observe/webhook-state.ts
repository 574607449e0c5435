import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** What metrics and the operator's overview read of webhooks. */

/** Endpoints that get labels of their own; with more, the failing ones come first. */
export const MAX_ENDPOINTS = 100
/** Counting stops here: at this value a gauge means "at least". */
const MAX_COUNT = 100_000

type None = Record<never, never>

const waitingMessages = statement<None, { count: number }>(
  'gauge_waiting',
  `select count(*) from (select 1 from webhook_messages where status = 'pending' limit ${MAX_COUNT}) as waiting`,
)

// Whoever paused an endpoint knows that its messages do not arrive.
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

// A message is given up three days after it was written, or replayed.
const oldest = statement<{ endpoint_id: string }, { waiting: number | null }>(
  'gauge_oldest_waiting',
  `select extract(epoch from now() - min(give_up_at)) + 3 * 86400 as waiting
  from webhook_messages where endpoint_id = $endpoint_id::uuid and status = 'pending'`,
)

/** For tests that EXPLAIN the statements. */
export const WEBHOOK_GAUGES = [waitingMessages, deadMessages]

export interface WebhookState {
  waiting: number
  dead: number
  endpoints: {
    id: string
    app: string
    failures: number
    /** Seconds that its oldest message has been waiting; undefined: it was paused by an operator, who expects that */
    oldest: number | undefined
  }[]
}

export async function readWebhooks(db: Db): Promise<WebhookState> {
  const [[waiting], [dead]] = await Promise.all([waitingMessages(db, {}), deadMessages(db, {})])
  const state: WebhookState = { waiting: Number(waiting?.count), dead: Number(dead?.count), endpoints: [] }
  // One after the other: a scrape takes no more than a connection for this.
  for (const { id, app, failures, is_paused } of await endpoints(db, { limit: MAX_ENDPOINTS })) {
    const [row] = is_paused ? [] : await oldest(db, { endpoint_id: id })
    const seconds = is_paused ? undefined : Math.max(0, Number(row?.waiting ?? 0))
    state.endpoints.push({ id, app, failures: Number(failures), oldest: seconds })
  }
  return state
}
