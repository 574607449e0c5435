import { Gauge, type Registry } from 'prom-client'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { readWebhooks, WEBHOOK_GAUGES, type WebhookState, webhookGauges } from './webhook-gauges.ts'

/** Gauges read from the database at each scrape. Every replica reports the same values: aggregate with max, not sum. */

/** How long a scrape waits for the database, in ms. */
const READ_MS = 1_000
/** Counting stops here, to bound the cost of a scrape: at this value a gauge means "at least". */
const MAX_COUNT = 100_000

type Counted = { count: number; oldest: number | null }
type None = Record<never, never>

// Job ids are UUIDv7: the first 48 bits of the smallest id are the creation time of the oldest job.
const openHolds = statement<None, Counted>(
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

// Closed accounts are left out: nobody collects what they owe. An index on accounts.credits would prevent HOT updates, so candidates
// come from an index on the append-only entries.
const countNegative = statement<None, Counted>(
  'gauge_negative',
  `select count(*), null::float8 as oldest from accounts
  where credits < 0 and closed_at is null and id in (select account_id from ledger_entries where balance_after < 0 limit ${MAX_COUNT})`,
)

/** For tests that EXPLAIN the statements. */
export const GAUGES = [openHolds, countOverdue, countNegative, ...WEBHOOK_GAUGES]

const READ = { holds: openHolds, overdue: countOverdue, negative: countNegative }
type Read = Record<keyof typeof READ, Counted> & { webhooks: WebhookState }

/** Registers the gauges. While the database does not answer in time they are absent, and `focus_database_up` is 0. */
export function databaseGauges(db: Db, registers: Registry[]): void {
  let reading: Promise<Read | undefined> | undefined

  async function read(): Promise<Read | undefined> {
    try {
      const rows = Object.entries(READ).map(async ([name, run]) => [name, (await run(db, {}))[0]] as const)
      const [webhooks, counted] = await Promise.all([readWebhooks(db), Promise.all(rows)])
      return { ...Object.fromEntries(counted), webhooks } as Read
    } catch {
      return undefined
    }
  }

  /** All gauges of a scrape share one read. No second read starts while one is running. */
  function values(): Promise<Read | undefined> {
    reading ??= read().finally(() => {
      reading = undefined
    })
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), READ_MS).unref())
    return Promise.race([reading, late])
  }

  function gauge(name: string, help: string, pick: (read: Read) => number | null): void {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const read = await values()
        if (read) this.set(Number(pick(read) ?? 0))
        else this.remove()
      },
    })
  }

  new Gauge({
    name: 'focus_database_up',
    help: '1 when the database answered this scrape in time',
    registers,
    async collect() {
      this.set((await values()) ? 1 : 0)
    },
  })
  gauge('focus_open_holds', `Jobs in progress (counted up to ${MAX_COUNT})`, ({ holds }) => holds.count)
  gauge('focus_oldest_hold_age_seconds', 'Age of the oldest job in progress', ({ holds }) => holds.oldest)
  gauge(
    'focus_overdue_hold_seconds',
    'How long the most overdue hold is past its time; 0: none is',
    ({ overdue }) => overdue.oldest,
  )
  gauge('focus_negative_accounts', 'Open accounts whose balance is below zero', ({ negative }) => negative.count)
  webhookGauges(async () => (await values())?.webhooks, registers)
}
