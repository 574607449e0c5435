import type { Db } from '../db/tables.ts'
import { deliver } from '../webhooks/delivery.ts'
import { arrived, claim, dropOrphan, dueMessages, failed } from '../webhooks/outbox.ts'

const BATCH = 50
const AT_ONCE = 8
/** Longer than a delivery may take, in seconds. */
const LEASE = 60
/** Seconds until the next attempt: 5, 20, 80, 320, … and at last every 6 hours, for 3 days. */
const FIRST = 5
const LONGEST = 6 * 3600

export interface DeliverOptions {
  /** https and public addresses alone */
  publicOnly: boolean
  signal?: AbortSignal
}

/**
 * Delivers what is due, each message by whoever claims it first.
 * @returns how many arrived
 */
export async function deliverWebhooks(db: Db, { publicOnly, signal }: DeliverOptions): Promise<number> {
  let count = 0
  for (;;) {
    const due = await dueMessages(db, { limit: BATCH })
    const queue = due.values()
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    if (due.length < BATCH || signal?.aborted) return count

    async function work(): Promise<void> {
      for (const message of queue) {
        if (signal?.aborted) return
        const [claimed] = await claim(db, { ...message, seconds: LEASE })
        if (!claimed) {
          await dropOrphan(db, message)
          continue
        }
        try {
          await deliver(claimed, publicOnly, signal)
        } catch (error) {
          await failed(db, { ...key(claimed), seconds: delay(claimed.attempts), error: reason(error) })
          continue
        }
        await arrived(db, key(claimed))
        count++
      }
    }
  }
}

const key = ({ account_id, id, attempts }: { account_id: string; id: string; attempts: number }) => ({
  account_id,
  id,
  attempts,
})
const delay = (attempts: number) => Math.min(FIRST * 4 ** (attempts - 1), LONGEST)
const reason = (error: unknown) =>
  String((error as Error).message || (error as NodeJS.ErrnoException).code).slice(0, 300)
