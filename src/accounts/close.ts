import { revokeTokens } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The end of an account: nothing is posted to it any more, nobody gets in; its ledger stays as it is. */

/**
 * The row may be made here: somebody who was never with us may still come with a token of the last minute, and would
 * be a new account, starter credits and all. A posting that waits for this row sees closed_at when it gets it.
 */
const close = statement<{ account_id: string; clerk_id: string }, never>(
  'close_account',
  `insert into accounts (id, clerk_id, closed_at) values ($account_id::uuid, $clerk_id, now())
  on conflict (id) do update set closed_at = coalesce(accounts.closed_at, excluded.closed_at)`,
)

const endSessions = statement<{ account_id: string }, never>(
  'close_sessions',
  'delete from sessions where account_id = $account_id::uuid',
)

/**
 * Closes an account for good, with its tokens, device logins and sessions; again changes nothing. To be run in a
 * transaction of its own, or in one that touches no other account. Order: the account, then what hangs on it.
 */
export async function closeAccount(trx: Db, accountId: string, clerkId: string): Promise<void> {
  const account_id = accountId
  await close(trx, { account_id, clerk_id: clerkId })
  await revokeTokens(trx, account_id)
  await endSessions(trx, { account_id })
}
