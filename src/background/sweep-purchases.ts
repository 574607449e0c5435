import { statement } from '../db/statement.ts'
import { reconcilePurchase } from '../payments/purchases.ts'
import type { Payments } from '../payments/types.ts'

const BATCH = 50

interface SweepOptions {
  /** Called for each purchase that could not be looked at; the others are, and this one at the next sweep */
  onFailure?: (error: Error, purchase: { account_id: string; id: string }) => void
  signal?: AbortSignal
}

/**
 * Asks the provider about purchases that have been open for ten minutes, then twenty, forty and so on: an event may have been lost. Any
 * number of replicas may sweep at once.
 * @returns how many were asked about
 */
export async function sweepPurchases(
  payments: Payments | undefined,
  { onFailure, signal }: SweepOptions = {},
): Promise<number> {
  if (!payments) return 0
  const batch = await pending(payments.db, { limit: BATCH })
  for (const purchase of batch) {
    if (signal?.aborted) break
    try {
      await reconcilePurchase(payments, purchase)
    } catch (error) {
      if (!onFailure) throw error
      onFailure(error as Error, purchase)
    }
  }
  return batch.length
}

const pending = statement<{ limit: number }, { account_id: string; id: string }>(
  'pending_purchases',
  `select account_id, id from purchases
  where status in ('open', 'processing') and looked_at < now() - interval '10 minutes'
    and now() - created_at >= 2 * (looked_at - created_at)
  order by looked_at limit $limit::int`,
)
