import { revokeTokens } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { close, type Ledger, type Rows } from '../ledger/operations.ts'
import { undoLateAdditions } from './late-additions.ts'

const endSessions = statement<{ account_id: string }, never>(
  'close_sessions',
  'delete from sessions where account_id = $account_id::uuid',
)

/**
 * Closes an account for good: its holds come back, nothing is posted to it any more, and its tokens, device logins and sessions end. Its ledger stays.
 * Idempotent: after a failure half-way, call it again.
 * @param bannedAt when the identity provider closed it; what it added to apps as an administrator since a minute before is taken back
 * @param rows committed with the closing, where the account is open
 */
export async function closeAccount(
  db: Db,
  ledger: Ledger,
  accountId: string,
  clerkId: string,
  bannedAt = new Date(),
  rows?: Rows,
): Promise<void> {
  await close(ledger, accountId, clerkId, rows)
  // After closing: from now on the account adds nothing more.
  await undoLateAdditions(db, { id: accountId, clerk_id: clerkId }, bannedAt)
  await db.transaction().execute(async (trx) => {
    await revokeTokens(trx, accountId)
    await endSessions(trx, { account_id: accountId })
  })
}
