import { type Budget, type BudgetEvent, inPeriod, isBeyond, isLow, resetsAt } from './budgets.ts'
import { type Job, type Outcome, type Refusal, refused, type Spender, type State } from './state.ts'

/** How jobs count against the budgets of the tokens and grants that made them: rules.ts asks this of each reserve and each end. */

/** A budget as it is now. */
export const budgetOf = ({ budgets, now }: State, id: string): Budget | undefined => {
  const budget = budgets.get(id)
  return budget && inPeriod(budget, now)
}

/** Why budgets do not let a job begin; undefined: they do. The first time in a period that one is exceeded is told. */
export function judge(state: State, budgets: Budget[], app: string, cost: number): Outcome | undefined {
  const elsewhere = budgets.find(({ apps }) => apps !== null && !apps.includes(app))
  if (elsewhere?.apps) return refused(state, { code: 'app_not_allowed', apps: elsewhere.apps })
  const full = budgets.filter((budget) => isBeyond(budget, cost))
  const [first] = full
  if (first?.amount == null) return undefined
  const refusal = { budget: first.amount, spent: first.spent, resets_at: resetsAt(first, state.now) }
  const outcome = refused(state, { code: 'budget_exceeded', ...refusal })
  for (const budget of full)
    if (!budget.exceeded_told) tell(outcome, 'budget.exceeded', app, { ...budget, exceeded_told: true })
  return outcome
}

/**
 * Why a token does not settle a job; undefined: it may. Without limits it settles any job of its account; with them, at the apps where it
 * may spend, what it made itself and what counts against all of its budgets, such as the jobs of a token that it made.
 */
export function outsideLimits(state: State, job: Job, by: Spender | undefined): Refusal | undefined {
  const budgets = by?.budget_ids.flatMap((id) => budgetOf(state, id) ?? []) ?? []
  const limits = budgets.filter(({ amount, apps }) => amount !== null || apps !== null)
  const elsewhere = limits.find(({ apps }) => apps !== null && !apps.includes(job.app_slug))
  if (elsewhere?.apps) return { code: 'app_not_allowed', apps: elsewhere.apps }
  const isOwn = job.token_id === by?.token_id || (job.grant_id !== null && job.grant_id === by?.grant_id)
  if (isOwn || limits.every(({ id }) => job.budget_ids?.includes(id))) return undefined
  return { code: 'job_outside_limits' }
}

/** Counts a job's change against its budgets, unless it is of a period that is over. */
export function count(state: State, outcome: Outcome, job: Job, change: number): void {
  if (change === 0) return
  for (const id of job.budget_ids ?? []) {
    const stored = outcome.budgets.find((budget) => budget.id === id) ?? state.budgets.get(id)
    if (!stored) continue
    const budget = inPeriod(stored, state.now)
    if (job.created_at >= budget.period_start) spend(outcome, job.app_slug, budget, change)
    // The row speaks of a period in which the job counted for something else.
    else if (budget !== stored) put(outcome, budget)
  }
}

function spend(outcome: Outcome, app: string, before: Budget, change: number): void {
  const budget = { ...before, spent: before.spent + change }
  put(outcome, budget)
  if (change < 0) return
  if (isLow(budget) && !budget.low_told) {
    budget.low_told = true
    tell(outcome, 'budget.low', app, budget)
  }
  // What a job costs beyond its reserve may pass the budget: the work is done.
  if (isBeyond(budget, 0) && !budget.exceeded_told) {
    budget.exceeded_told = true
    tell(outcome, 'budget.exceeded', app, budget)
  }
}

function put(outcome: Outcome, budget: Budget): void {
  outcome.budgets = [...outcome.budgets.filter(({ id }) => id !== budget.id), budget]
}

function tell(outcome: Outcome, event: BudgetEvent['event'], app: string, budget: Budget): void {
  put(outcome, budget)
  outcome.told.push({ event, app, budget })
}
