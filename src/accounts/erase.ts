import { sql } from 'kysely'
import type { Db } from '../db/tables.ts'
import type { Ledger } from '../ledger/operations.ts'
import { closeAccount } from './close.ts'

/** What stands where the Clerk id of an erased person stood. */
export const ERASED = 'erased'

/** Jobs cleared by one statement, so that none takes long, however many there are. */
const PAGE = 1_000

/**
 * Forgets a person on their request: closes the account and clears what says whose it was and what its jobs were
 * about. Amounts stay, and every sum with them. Half done, it is completed by doing it again.
 */
export async function eraseAccount(db: Db, ledger: Ledger, accountId: string, clerkId: string): Promise<void> {
  await closeAccount(db, ledger, accountId, clerkId)
  await db.transaction().execute(async (trx) => {
    await trx.updateTable('accounts').set({ clerk_id: ERASED }).where('id', '=', accountId).execute()
    // Names that people gave, and addresses that they came from.
    await sql`update tokens set name = ${ERASED} where account_id = ${accountId}`.execute(trx)
    await sql`delete from device_codes where account_id = ${accountId}`.execute(trx)
  })
  for (let after = ZERO_ID; ; ) {
    const page = await db
      .selectFrom('jobs')
      .select('id')
      .where('account_id', '=', accountId)
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    const last = page.at(-1)?.id
    if (!last) return
    // The hash of a request is one of its metadata too; the key was the app's, and nothing is replayed any more.
    await db
      .updateTable('jobs')
      .set({ metadata: null, idempotency_key: null, request_hash: null })
      .where('account_id', '=', accountId)
      .where('id', '>', after)
      .where('id', '<=', last)
      .execute()
    after = last
  }
}

const ZERO_ID = '00000000-0000-0000-0000-000000000000'
