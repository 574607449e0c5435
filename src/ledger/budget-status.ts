import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { type Budget, inPeriod, type Limits, resetsAt } from './budgets.ts'
import { BUDGET } from './load.ts'
import { ms } from './sets.ts'

/** A budget as the API says it; all null where there is none. */
interface BudgetStatus {
  budget: number | null
  period: Limits['period']
  apps: string[] | null
  /** What jobs hold and cost, in the open period */
  spent: number | null
  left: number | null
  resets_at: Date | null
}

const NONE: BudgetStatus = { budget: null, period: null, apps: null, spent: null, left: null, resets_at: null }

const readBudgets = statement<{ account_id: string; ids: string[] }, Budget & { now: number }>(
  'read_budgets',
  `select ${BUDGET},
    ${ms('clock_timestamp()', 'now')}
  from budgets where account_id = $account_id::uuid and id = any($ids::uuid[])`,
)

/**
 * What is left of the budgets of an account's tokens or grants.
 * @param ids of tokens or grants
 * @returns the status of each id
 */
export async function budgetsOf(db: Db, account_id: string, ids: string[]): Promise<(id: string) => BudgetStatus> {
  const rows = ids.length > 0 ? await readBudgets(db, { account_id, ids }) : []
  const known = new Map(rows.map(({ now, ...budget }) => [budget.id, statusOf(inPeriod(budget, now), now)]))
  return (id) => known.get(id) ?? NONE
}

function statusOf(open: Budget, now: number): BudgetStatus {
  const { amount, period, apps, spent } = open
  const reset = resetsAt(open, now)
  return {
    ...{ budget: amount, period, apps, spent },
    left: amount === null ? null : Math.max(amount - spent, 0),
    resets_at: reset === null ? null : new Date(reset),
  }
}

/** The limits that a status speaks of. */
export const limitsOf = ({ budget, period, apps }: BudgetStatus): Limits => ({ amount: budget, period, apps })
