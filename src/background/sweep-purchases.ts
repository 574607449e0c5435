import { statement } from '../db/statement.ts'
import { reconcilePurchase } from '../payments/purchases.ts'
import type { Payments } from '../payments/types.ts'

const BATCH = 50

interface SweepOptions {
  /** Called for each purchase that could not be reconciled. The sweep continues; a later sweep tries the purchase again */
  onFailure?: (error: Error, purchase: { account_id: string; id: string }) => void
  signal?: AbortSignal
}

/**
 * Asks the provider about unfinished purchases, in case one of its events was lost: 10 minutes after a purchase began, then after 20,
 * 40 and so on. Any number of replicas may sweep concurrently.
 * @returns how many purchases it asked about
 * @throws without `onFailure`, what `reconcilePurchase` throws
 */
export async function sweepPurchases(payments: Payments, { onFailure, signal }: SweepOptions = {}): Promise<number> {
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
