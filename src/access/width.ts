import type { Db, Scope } from '../db/tables.ts'
import { budgetTooWide, insufficientScope, sessionRequired } from '../http/catalogue.ts'
import { budgetsOf, limitsOf } from '../ledger/budget-status.ts'
import { isWithin, type Limits } from '../ledger/budgets.ts'
import type { Caller } from './caller.ts'

/** What a token may give to others, change and revoke. A person may do so with everything that is theirs. */

export const NO_LIMITS: Limits = { amount: null, period: null, apps: null }

/** Of a token, what it gives is within its own budget and those of what made it. @throws {ApiError} 403 budget_too_wide */
export async function checkWidth(db: Db, { id: account_id, budget_ids }: Caller, limits: Limits): Promise<void> {
  const budgets = await budgetsOf(db, account_id, budget_ids)
  for (const id of budget_ids) {
    const own = limitsOf(budgets(id))
    if (!isWithin(limits, own)) throw budgetTooWide(own)
  }
}

/**
 * What somebody else approved is changed and revoked by a person, or by a personal access token that is as wide: without limits, and with
 * its scopes.
 * @throws {ApiError} 401 session_required for an access token; 403 budget_too_wide, insufficient_scope
 */
export async function checkReach(db: Db, caller: Caller, scopes: Scope[]): Promise<void> {
  if (caller.token_id === null) return
  if (caller.grant_id !== null) throw sessionRequired()
  await checkWidth(db, caller, NO_LIMITS)
  // `spend` is a scope of grants. A personal access token spends by its scope `account`.
  const missing = scopes.find((scope) => scope !== 'spend' && !caller.scopes?.includes(scope))
  if (missing) throw insufficientScope(missing)
}
