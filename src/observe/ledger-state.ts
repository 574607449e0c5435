import { statement } from '../db/statement.ts'

/** Counts of the ledger for the metrics and the operator's overview. */

/** Counting stops at this many rows, which bounds the cost of a scrape: a gauge with this value means "at least". */
export const MAX_COUNT = 100_000

export type Counted = { count: number; oldest: number | null }
type None = Record<never, never>

// Job ids are UUIDv7: the first 48 bits of the smallest id are the creation time of the oldest job.
export const openHolds = statement<None, Counted>(
  'gauge_holds',
  `select count(*), extract(epoch from now()) - ('x' || replace(left(min(id::text), 13), '-', ''))::bit(48)::bigint / 1000.0 as oldest
  from (select id from jobs where status = 'started' and actual_cost = 0 limit ${MAX_COUNT}) as held`,
)

export const countOverdue = statement<None, Counted>(
  'gauge_overdue',
  `select count(*), extract(epoch from now() - min(expires_at)) as oldest
  from (select expires_at from jobs where status = 'started' and actual_cost = 0 and expires_at < now()
    order by expires_at limit ${MAX_COUNT}) as overdue`,
)

// Closed accounts are left out: their debt is not collected. An index on accounts.credits would prevent HOT updates, so the candidates
// come from an index on the append-only entries.
export const countNegative = statement<None, Counted>(
  'gauge_negative',
  `select count(*), null::float8 as oldest from accounts
  where credits < 0 and closed_at is null and id in (select account_id from ledger_entries where balance_after < 0 limit ${MAX_COUNT})`,
)
