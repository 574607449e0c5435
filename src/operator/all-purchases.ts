import type { Db } from '../db/tables.ts'
import { badField } from '../http/catalogue.ts'
import { type Page, pageById } from '../http/pages.ts'
import type { PurchaseStatus } from '../ledger/reconcile.ts'
import type { PurchaseRow } from '../payments/purchases.ts'

/** Lists of all accounts' purchases for operators. */

interface PurchaseFilter {
  status?: PurchaseStatus | undefined
  /** Only disputed purchases. Each filter has its own index, so they cannot be combined */
  disputed?: boolean | undefined
}

/**
 * A page of purchases, newest first.
 * @throws {ApiError} 400 if both filters are given
 */
export async function listAllPurchases(
  db: Db,
  { status, disputed = false }: PurchaseFilter,
  { limit = 50, cursor }: Page,
): Promise<{ purchases: PurchaseRow[]; next_cursor: string | null }> {
  if (disputed && status !== undefined) throw badField('disputed', 'cannot be given with status')
  const rows = await db
    .selectFrom('purchases')
    .selectAll()
    .$if(disputed, (all) => all.where('disputed', '=', true))
    .$if(status !== undefined, (all) => all.where('status', '=', status ?? 'paid'))
    .$if(cursor !== undefined, (all) => all.where('id', '<', cursor ?? ''))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const { page, next_cursor } = pageById(rows, limit)
  return { purchases: page, next_cursor }
}
