/**
 * What a token or a grant may spend: how its period turns, and what a job counts for. Pure; rules.ts asks it, under the account's
 * lock. Times are milliseconds since 1970 by the database's clock, periods those of UTC.
 */

export const PERIODS = ['day', 'week', 'month'] as const
export type Period = (typeof PERIODS)[number]

/** What limits a token or a grant. */
export interface Limits {
  /** Credits; null: only the apps are limited */
  amount: number | null
  /** After how long it begins anew; null: never */
  period: Period | null
  /** Where it may spend; null: anywhere */
  apps: string[] | null
}

export interface Budget extends Limits {
  /** Of the token or grant */
  id: string
  /** What jobs hold and cost that were reserved since `period_start` */
  spent: number
  period_start: number
  /** Whether the period has had its webhooks: that most of it is spent, and that it was exceeded */
  low_told: boolean
  exceeded_told: boolean
}

/** What counts against a budget, whatever its period: the jobs that were reserved on one day in UTC, or a change of a job. */
export interface Counted {
  /** The beginning of that day, or when the job was reserved */
  at: number
  credits: number
}

/** What happened to a budget that an app may want to be told. */
export interface BudgetEvent {
  event: 'budget.low' | 'budget.exceeded'
  /** Of the job that was reserved, refused or ended */
  app: string
  budget: Budget
}

/** The share of a budget from which it is low. */
const LOW = 0.8

export const newBudget = (id: string, now: number): Budget => ({
  ...{ id, amount: null, period: null, apps: null, spent: 0 },
  ...{ period_start: now, low_told: false, exceeded_told: false },
})

/** The beginning of a period in which a time is (`turns` 0), or of the next one (1). */
function startOf(period: Period, time: number, turns: 0 | 1): number {
  const date = new Date(time)
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  switch (period) {
    case 'day':
      return Date.UTC(year, month, day + turns)
    case 'week': {
      // Weeks begin on Monday.
      const monday = day - ((date.getUTCDay() + 6) % 7)
      return Date.UTC(year, month, monday + 7 * turns)
    }
    case 'month':
      return Date.UTC(year, month + turns, 1)
  }
}

/** When the budget begins anew; null: never. */
export const resetsAt = ({ amount, period }: Limits, now: number): number | null =>
  amount === null || period === null ? null : startOf(period, now, 1)

/** The budget in the period that is open now: the same object unless that has turned. */
export function inPeriod(budget: Budget, now: number): Budget {
  const { period, period_start } = budget
  const start = period === null ? period_start : startOf(period, now, 0)
  if (start <= period_start) return budget
  return { ...budget, spent: 0, period_start: start, low_told: false, exceeded_told: false }
}

/** Whether a job of this cost does not fit into what is left. */
export const isBeyond = ({ amount, spent }: Budget, cost: number): boolean => amount !== null && spent + cost > amount

export const isLow = ({ amount, spent }: Budget): boolean => amount !== null && spent > 0 && spent >= amount * LOW

/**
 * The budget with other limits. What is spent stays. With another period it is what has counted since the beginning of that; of none, ever
 * since the first limit. Where the amount or the period changes, its webhooks are due again.
 */
export function withLimits(
  budget: Budget,
  { amount = budget.amount, period = budget.period, apps = budget.apps }: Partial<Limits>,
  counted: Counted[],
  now: number,
): Budget {
  const changed: Budget = { ...budget, amount, period, apps }
  if (changed.amount === null) changed.period = null
  if (changed.amount === budget.amount && changed.period === budget.period) return changed
  if (changed.period !== budget.period) {
    changed.period_start = changed.period === null ? 0 : startOf(changed.period, now, 0)
    const open = counted.filter(({ at }) => at >= changed.period_start)
    changed.spent = open.reduce((sum, { credits }) => sum + credits, 0)
  }
  // Who changes it sees what is spent.
  return { ...changed, low_told: isLow(changed), exceeded_told: false }
}

const PERIOD_ORDER: (Period | null)[] = ['day', 'week', 'month', null]

/** Whether limits let nothing more pass than others do: no more credits, no sooner again, at no other app. */
export function isWithin(inner: Limits, outer: Limits): boolean {
  const apps = outer.apps === null || (inner.apps?.every((app) => outer.apps?.includes(app)) ?? false)
  if (outer.amount === null) return apps
  const sooner = PERIOD_ORDER.indexOf(inner.period) < PERIOD_ORDER.indexOf(outer.period)
  return apps && inner.amount !== null && inner.amount <= outer.amount && !sooner
}
