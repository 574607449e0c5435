import { amount, type Cell, state, text, time } from './cells.ts'
import { countText } from './console-words.ts'
import { type EndpointRow, endpointState } from './webhook-reads.ts'

/** Rows of webhook endpoints. */

export const ENDPOINT_COLUMNS = [
  'Endpoint',
  'State',
  { text: 'Waiting', number: true },
  { text: 'Lost', number: true },
  'Next try',
]

export const endpointCells = (endpoint: EndpointRow): Cell[] => [
  text(endpoint.url, {
    href: `/console/webhooks/${endpoint.id}`,
    note: `${endpoint.app_slug} · ${endpoint.events.join(', ')}`,
  }),
  {
    ...state(endpointState(endpoint)),
    ...(endpoint.failures > 0 && { note: countText(endpoint.failures, 'failed attempt') }),
  },
  amount(endpoint.waiting),
  amount(endpoint.dead),
  nextTry(endpoint),
]

/** When the next message is sent to an endpoint. @param due of a message, which waits no shorter than the endpoint does */
export function nextTry({ next_try, paused_at }: EndpointRow, due = next_try): Cell {
  if (paused_at) return text('when it is resumed')
  const at = due && next_try && next_try > due ? next_try : due
  return at && at <= new Date() ? text('now') : time(at)
}

export const TROUBLED_COLUMNS = [...ENDPOINT_COLUMNS, 'Since', 'Last error']

export const troubledCells = (endpoint: EndpointRow): Cell[] => [
  ...endpointCells(endpoint),
  time(endpoint.failing_since ?? endpoint.waiting_since),
  text(endpoint.last_error, { style: 'long' }),
]
