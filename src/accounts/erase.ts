import { sql } from 'kysely'
import type { Db } from '../db/tables.ts'
import { FIRST_ID } from '../http/pages.ts'
import type { Ledger } from '../ledger/operations.ts'
import { eraseMessages } from '../webhooks/retention.ts'
import { closeAccount } from './close.ts'

/** Replaces the Clerk id of an erased account. */
export const ERASED = 'erased'

/** Jobs cleared per statement, which bounds how long it holds its locks. */
const PAGE = 1_000

/**
 * Erases personal data: closes the account, then clears what identifies its owner (the Clerk id, token names, addresses, links of
 * payments) and what its jobs were about (metadata, idempotency keys). Amounts stay, so every sum of the ledger still holds.
 * The Clerk id is removed last: until then the account can be found, and a call that failed half-way made again.
 * @param onErased runs once, in the transaction that removes the Clerk id
 */
export async function eraseAccount(
  db: Db,
  ledger: Ledger,
  accountId: string,
  clerkId: string,
  onErased?: (trx: Db) => Promise<void>,
): Promise<void> {
  await closeAccount(db, ledger, accountId, clerkId)
  await eraseMessages(db, accountId)
  for (let after = FIRST_ID; ; ) {
    const page = await db
      .selectFrom('jobs')
      .select('id')
      .where('account_id', '=', accountId)
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    const last = page.at(-1)?.id
    if (!last) break
    // The request hash is computed over the metadata, and apps may put personal data into idempotency keys. A closed account needs neither.
    await db
      .updateTable('jobs')
      .set({ metadata: null, idempotency_key: null, request_hash: null })
      .where('account_id', '=', accountId)
      .where('id', '>', after)
      .where('id', '<=', last)
      .execute()
    after = last
  }
  await db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('accounts')
      .set({ clerk_id: ERASED })
      .where('id', '=', accountId)
      .where('clerk_id', '!=', ERASED)
      .executeTakeFirst()
    if (numUpdatedRows > 0n) await onErased?.(trx)
    // Token names and device addresses are personal data.
    await sql`update tokens set name = ${ERASED}, last_used_from = null where account_id = ${accountId}`.execute(trx)
    // Ledger entries name administrators by account id, which stays. Service keys name them by Clerk id.
    await trx.updateTable('service_keys').set({ created_by: accountId }).where('created_by', '=', clerkId).execute()
    await sql`delete from device_codes where account_id = ${accountId}`.execute(trx)
    // The purchases themselves stay: bookkeeping needs them.
    await sql`update purchases set checkout_url = null, receipt_url = null, return_to = null
      where account_id = ${accountId}`.execute(trx)
    await sql`delete from payers where account_id = ${accountId}`.execute(trx)
    // They list the apps at which the person's tokens could spend.
    await sql`delete from budgets where account_id = ${accountId}`.execute(trx)
  })
}
