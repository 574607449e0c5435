import { Gauge, type Registry } from 'prom-client'
import type { Db } from '../db/tables.ts'
import { type Counted, countNegative, countOverdue, MAX_COUNT, openHolds } from './ledger-state.ts'
import { webhookGauges } from './webhook-gauges.ts'
import { readWebhooks, WEBHOOK_GAUGES, type WebhookState } from './webhook-state.ts'

/** Gauges that each scrape reads from the database. Every replica reports the same values: aggregate them with max, not sum. */

/** How long a scrape waits for the database, in ms. */
const READ_MS = 1_000
/** Exported for the test that checks their query plans. */
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
