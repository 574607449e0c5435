import type { Db } from '../db/tables.ts'
import type { Payments } from './types.ts'

export type Payer = Awaited<ReturnType<typeof findPayer>> & object

export const findPayer = (db: Db, account_id: string) =>
  db.selectFrom('payers').selectAll().where('account_id', '=', account_id).executeTakeFirst()

/**
 * The provider's customer id of an account. The customer is created when it is first needed.
 * @returns null: the provider has no customers
 * @throws {ApiError} 503 payments_unavailable
 */
export async function customerOf({ db, provider }: Payments, account_id: string): Promise<string | null> {
  const known = (await findPayer(db, account_id))?.customer_id
  if (known) return known
  const customer_id = await provider.createCustomer(account_id)
  if (customer_id === null) return null
  // Of two customers that were created concurrently, the one stored first is kept.
  const { customer_id: kept } = await db
    .insertInto('payers')
    .values({ account_id, customer_id })
    .onConflict((conflict) =>
      conflict.column('account_id').doUpdateSet((row) => ({
        customer_id: row.fn.coalesce('payers.customer_id', 'excluded.customer_id'),
      })),
    )
    .returning('customer_id')
    .executeTakeFirstOrThrow()
  return kept
}
