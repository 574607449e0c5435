import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { openAccounts } from '../ledger/store.ts'

/** Opens the account of a Clerk user; nothing happens where it exists. Tried once more where the connection was lost. */
export async function openAccount(db: Db, accountId: string, clerkId: string): Promise<void> {
  const open = () => openAccounts(db, { ids: [accountId], clerk_ids: [clerkId] })
  await open().catch((error) => {
    if (error instanceof DatabaseUnavailable && !error.timedOut) return open()
    throw error
  })
}
