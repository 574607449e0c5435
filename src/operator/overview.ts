import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { countOverdue } from '../observe/ledger-state.ts'
import { readWebhooks } from '../observe/webhook-state.ts'
import { readTotals } from './totals.ts'
import { readLastCheck } from './verification.ts'

/** The overview, an operator's first page. */

const bought = statement<Record<never, never>, { currency: string; count: number; credits: number; amount: number }>(
  'bought_lately',
  `select currency, count(*) as count, least(sum(credits), ${Number.MAX_SAFE_INTEGER})::bigint as credits,
    least(sum(amount), ${Number.MAX_SAFE_INTEGER})::bigint as amount
  from purchases where status = 'paid' and paid_at > now() - interval '30 days' group by currency order by currency`,
)

/** An endpoint is late when its oldest message has waited longer than this, in seconds: several retries have failed. */
const LATE_SECONDS = 300

/**
 * Credits and holds of all accounts, what needs an operator's attention, and the totals of the last 30 days. Sums over all accounts, and
 * the totals, are as of `gathered_at`; everything else is current.
 */
export async function readOverview(db: Db) {
  const [{ totals, gathered_at, days }, [overdue], webhooks, purchases, last] = await Promise.all([
    readTotals(db),
    countOverdue(db, {}),
    readWebhooks(db),
    bought(db, {}),
    readLastCheck(db),
  ])
  // An earlier release stores no more than the sum of all accounts.
  const { accounts, closed_accounts, negative_accounts, credits, owed = 0, closed_credits = 0, held } = totals
  const waits = webhooks.endpoints.map(({ oldest = 0 }) => oldest)
  const { ok = true, checks = 0, broken = [] } = last?.value ?? {}
  return {
    ...{ gathered_at, accounts, closed_accounts, negative_accounts, credits, owed, closed_credits, held },
    overdue_holds: Number(overdue?.count ?? 0),
    overdue_seconds: Math.round(Number(overdue?.oldest ?? 0)),
    webhooks: {
      waiting: webhooks.waiting,
      dead: webhooks.dead,
      failing_endpoints: webhooks.endpoints.filter(({ failures, oldest }) => failures > 0 && oldest !== undefined)
        .length,
      late_endpoints: waits.filter((seconds) => seconds > LATE_SECONDS).length,
      oldest_seconds: Math.round(Math.max(0, ...waits)),
    },
    purchases: purchases.map(({ count, ...sums }) => ({ ...sums, count: Number(count) })),
    last_verify: last ? { at: last.gathered_at, ok, checks, broken } : null,
    days,
  }
}
