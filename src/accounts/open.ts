import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { openAccounts } from '../ledger/store.ts'

/** Inserts the account of a Clerk user unless it exists. Retries once when the connection is lost. */
export async function openAccount(db: Db, accountId: string, clerkId: string): Promise<void> {
  const open = () => openAccounts(db, { ids: [accountId], clerk_ids: [clerkId] })
  await open().catch((error) => {
    if (error instanceof DatabaseUnavailable && !error.timedOut) return open()
    throw error
  })
}
