import type { Transaction } from 'kysely'
import type { Db, EntryKind, Tables } from '../db/tables.ts'
import { accountClosed, balanceOutOfRange, referenceReused, wouldGoNegative } from '../http/catalogue.ts'
import { isDuplicate, isOutOfRange, retried } from './retry.ts'
import { MAX_UNREGISTERED_APPS, STARTER_REFERENCE } from './rules.ts'
import type { EntryRow } from './statements.ts'
import * as sql from './statements.ts'

/**
 * With reserve.ts and settle.ts the only writers of balances. Every function is safe to call twice: keys and guards
 * make the second call move nothing.
 */

/** Creates the account of a Clerk user; nothing happens where it exists. */
export async function openAccount(db: Db, accountId: string, clerkId: string): Promise<void> {
  await retried(() => sql.openAccount(db, { account_id: accountId, clerk_id: clerkId }))
}

/**
 * Grants a registered app's starter credits, once per account and app. Nothing happens where there is nothing to grant,
 * nor where the balance has no room for it: looking at a wallet does not fail.
 */
export async function grantStarter(db: Db, accountId: string, app: string): Promise<void> {
  const wish = { account_id: accountId, app, reference: `${STARTER_REFERENCE}${app}` }
  await retried(() => sql.grantStarter(db, wish)).catch((error) => {
    if (!isOutOfRange(error)) throw error
  })
}

/**
 * Remembers that an account uses an app, without a grant; unregistered ones up to a limit per account. Counting and
 * inserting race, so the account is locked first, in a statement of its own: the count must see who was faster.
 */
export async function rememberApp(db: Db, accountId: string, app: string): Promise<void> {
  await retried(() =>
    db.transaction().execute(async (trx: Transaction<Tables>) => {
      await sql.lockAccount(trx, { account_id: accountId })
      await sql.rememberApp(trx, { account_id: accountId, app, limit: MAX_UNREGISTERED_APPS })
    }),
  )
}

export interface Adjustment {
  account_id: string
  /** Credits, not 0; negative takes */
  amount: number
  kind: Extract<EntryKind, 'topup' | 'admin_grant' | 'adjustment'>
  /** Unique per account: the same again is a repeat and moves nothing */
  reference: string
  reason: string
  actor: string
  allow_negative: boolean
}

/**
 * Gives or takes credits by an administrator's hand; the account exists.
 * @throws {ApiError} 409 reference_reused, 409 would_go_negative, 409 balance_out_of_range, 403 account_closed
 */
export async function adjust(db: Db, wish: Adjustment): Promise<EntryRow> {
  let outOfRange = false
  const [entry] = await retried(() => sql.adjust(db, wish)).catch((error) => {
    // A repeat of what filled the account meets its limit before it meets its own reference.
    outOfRange = isOutOfRange(error)
    if (outOfRange || isDuplicate(error, 'ledger_entries_reference')) return []
    throw error
  })
  if (entry) return entry

  const [earlier] = await retried(() => sql.findEntry(db, wish))
  if (earlier) {
    const same = earlier.kind === wish.kind && earlier.amount === wish.amount && earlier.reason === wish.reason
    if (same) return earlier
    throw referenceReused(earlier)
  }
  if (outOfRange) throw balanceOutOfRange()
  const [balance] = await sql.readBalance(db, wish)
  if (!balance || balance.closed) throw accountClosed()
  throw wouldGoNegative(balance.credits)
}
