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
 * Closes an account permanently: releases its holds, makes the ledger refuse further postings, and ends its tokens, device logins and
 * sessions. Its entries stay. Idempotent: after a failure half-way, call it again.
 * @param bannedAt when the identity provider banned the user. What the user changed as an administrator from a minute before then on is
 * undone
 * @param rows inserted in the transaction that closes the account; ignored when it is closed already
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
