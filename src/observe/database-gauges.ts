import { Gauge, type Registry } from 'prom-client'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** What only the database knows, read when it is asked for. Every replica answers the same: take the maximum, not the sum. */

/** A scrape waits no longer than this for them, in ms. */
const PATIENCE_MS = 1_000
/** Nothing is counted beyond this: a gauge that stands there says "at least". */
const MOST = 100_000

type Counted = { count: number; oldest: number | null }
type None = Record<never, never>

// Ids of jobs are UUIDv7: the least of them, as text, has the time of the oldest job in its first 48 bits.
const openHolds = statement<None, Counted>(
  'gauge_holds',
  `select count(*), extract(epoch from now()) - ('x' || replace(left(min(id::text), 13), '-', ''))::bit(48)::bigint / 1000.0 as oldest
  from (select id from jobs where status = 'started' and actual_cost = 0 limit ${MOST}) as held`,
)

// An index on the balance itself would cost every posting its in-place update; entries are never updated.
const negativeAccounts = statement<None, Counted>(
  'gauge_negative',
  `select count(*), null::float8 as oldest from accounts
  where credits < 0 and id in (select account_id from ledger_entries where balance_after < 0 limit ${MOST})`,
)

const outbox = statement<None, Counted>(
  'gauge_outbox',
  `select count(*), extract(epoch from now() - min(next_attempt_at)) as oldest from (
    select next_attempt_at from webhook_messages
    where status = 'pending' and next_attempt_at <= now() order by next_attempt_at limit ${MOST}
  ) as due`,
)

const deadMessages = statement<None, Counted>(
  'gauge_dead',
  `select count(*), null::float8 as oldest
  from (select 1 from webhook_messages where status = 'dead' limit ${MOST}) as dead`,
)

/** The statements, for whoever explains them. */
export const GAUGES = [openHolds, negativeAccounts, outbox, deadMessages]

const READ = { holds: openHolds, negative: negativeAccounts, outbox, dead: deadMessages }
type Read = Record<keyof typeof READ, Counted>

/** Adds the gauges of the database; while it does not answer in time they are absent, and `focus_database_up` is 0. */
export function databaseGauges(db: Db, registers: Registry[]): void {
  let reading: Promise<Read | undefined> | undefined

  async function read(): Promise<Read | undefined> {
    try {
      const rows = Object.entries(READ).map(async ([name, run]) => [name, (await run(db, {}))[0]] as const)
      return Object.fromEntries(await Promise.all(rows)) as Read
    } catch {
      return undefined
    }
  }

  /** The gauges of a scrape ask at the same time: they share one answer, and a slow one is not asked again meanwhile. */
  function values(): Promise<Read | undefined> {
    reading ??= read().finally(() => {
      reading = undefined
    })
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), PATIENCE_MS).unref())
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
  gauge('focus_open_holds', `Jobs under way (at most ${MOST} are counted)`, ({ holds }) => holds.count)
  gauge('focus_oldest_hold_age_seconds', 'How long ago the oldest of them began', ({ holds }) => holds.oldest)
  gauge('focus_negative_accounts', 'Accounts whose balance is below zero', ({ negative }) => negative.count)
  gauge('focus_outbox_due_messages', 'Webhook messages that are due and not delivered', ({ outbox }) => outbox.count)
  gauge('focus_outbox_lag_seconds', 'For how long the oldest of them has been due', ({ outbox }) => outbox.oldest)
  gauge('focus_outbox_dead_messages', 'Webhook messages that were given up', ({ dead }) => dead.count)
}
