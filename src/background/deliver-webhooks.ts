import type { Db } from '../db/tables.ts'
import { deliver } from '../webhooks/delivery.ts'
import { arrived, claim, dropOrphan, dueMessages, failed } from '../webhooks/outbox.ts'

const BATCH = 50
const CONCURRENCY = 8
/** How long a claim reserves a message, in seconds; longer than one delivery takes at most. */
const LEASE_SECONDS = 60
/** Exponential backoff, in seconds: 5, 20, 80, 320, … up to 6 hours. After 3 days a message is dead. */
const FIRST_DELAY_SECONDS = 5
const MAX_DELAY_SECONDS = 6 * 3600

export interface DeliverOptions {
  /** Deliver only to https URLs with public addresses */
  publicOnly: boolean
  signal?: AbortSignal
}

/**
 * Delivers all due messages. Several replicas may run it: each message goes to the replica that claims it first.
 * @returns how many were delivered
 */
export async function deliverWebhooks(db: Db, { publicOnly, signal }: DeliverOptions): Promise<number> {
  let count = 0
  for (;;) {
    const due = await dueMessages(db, { limit: BATCH })
    const queue = due.values()
    await Promise.all(Array.from({ length: CONCURRENCY }, work))
    if (due.length < BATCH || signal?.aborted) return count

    async function work(): Promise<void> {
      for (const message of queue) {
        if (signal?.aborted) return
        const [claimed] = await claim(db, { ...message, seconds: LEASE_SECONDS })
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
const delay = (attempts: number) => Math.min(FIRST_DELAY_SECONDS * 4 ** (attempts - 1), MAX_DELAY_SECONDS)
const reason = (error: unknown) =>
  String((error as Error).message || (error as NodeJS.ErrnoException).code).slice(0, 300)
