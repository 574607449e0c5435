import { sql } from 'kysely'
import { revokeTokens } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The end of an account: nothing is posted to it any more, nobody gets in; its ledger stays as it is. */

/** What stands where the Clerk id of an erased person stood. */
export const ERASED = 'erased'

/** Jobs cleared by one statement, so that none takes long, however many there are. */
const PAGE = 1_000

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

/**
 * Forgets a person on their request: closes the account and clears what says whose it was and what its jobs were
 * about. Amounts stay, and every sum with them. Half done, it is completed by doing it again.
 */
export async function eraseAccount(db: Db, accountId: string, clerkId: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await closeAccount(trx, accountId, clerkId)
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
