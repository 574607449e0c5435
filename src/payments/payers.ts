import type { Db } from '../db/tables.ts'
import type { Payments } from './types.ts'

export type Payer = Awaited<ReturnType<typeof findPayer>> & object

export const findPayer = (db: Db, account_id: string) =>
  db.selectFrom('payers').selectAll().where('account_id', '=', account_id).executeTakeFirst()

/** The customer at the provider who stands for an account, made when it is first needed; null: the provider has none. */
export async function customerOf({ db, provider }: Payments, account_id: string): Promise<string | null> {
  const known = (await findPayer(db, account_id))?.customer_id
  if (known) return known
  const customer_id = await provider.createCustomer(account_id)
  if (customer_id === null) return null
  // Of two that were made at once, the first one stays.
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
