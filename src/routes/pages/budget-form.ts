import { PERIODS } from '../../ledger/budgets.ts'
import { MAX_CREDITS } from '../../ledger/rules.ts'
import type { Chosen, Grant } from '../../oauth/grants.ts'
import { amountText, creditsText, timeText } from './words.ts'

/** The fields of a form where a person chooses a budget (views/budget.eta), and what pages say of one. */

/** What a form sent; both may be absent. */
export interface BudgetFields {
  budget?: string | undefined
  period?: string | undefined
}

/** Why a budget cannot be read; shown at its field. */
export class BudgetFault extends Error {}

/**
 * The budget that a form has.
 * @returns undefined where its field is empty
 * @throws {BudgetFault}
 */
export function readBudget({ budget = '', period }: BudgetFields): Chosen | undefined {
  const digits = budget.replace(/[\s.,'’_]/g, '')
  if (digits === '') return undefined
  const amount = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN
  if (!(amount >= 1 && amount <= MAX_CREDITS)) throw new BudgetFault('Enter a whole number of credits, 1 or more.')
  return { amount, period: PERIODS.find((one) => one === period) ?? null }
}

const PERIOD_WORDS = { day: 'a day', week: 'a week', month: 'a month' }

/** What a budget does not limit. */
const FINAL_COST =
  'A job can cost more in the end than it reserved: its app decides that or, where the app has no settle key, the program itself.'

/** In a form, the period of a budget that never begins anew. */
const IN_ALL = 'all'

/**
 * What views/budget.eta shows.
 * @param given what the form sent before, or the budget as it is
 */
export function budgetField({
  required,
  given,
  fault,
  id = 'budget',
}: {
  required: boolean
  given: BudgetFields
  fault?: string | undefined
  /** Of the element, where a page has several */
  id?: string
}) {
  const chosen = given.period ?? 'month'
  const period = (value: string, words: string) => ({ value, words, chosen: value === chosen })
  return {
    budget_id: id,
    budget_label: required ? 'Credits it may spend' : 'Credits it may spend (optional)',
    budget_hint: required
      ? `It can never reserve more than that. ${FINAL_COST} You can change the budget at any time.`
      : `Empty: no limit but your balance. ${FINAL_COST}`,
    budget_required: required,
    budget_value: given.budget ?? '',
    budget_fault: fault,
    periods: [...PERIODS.map((one) => period(one, PERIOD_WORDS[one])), period(IN_ALL, 'in all')],
  }
}

/** A budget as the fields of a form. */
export const fieldsOf = ({ budget, period }: Pick<Grant, 'budget' | 'period'>): BudgetFields =>
  budget === null ? {} : { budget: String(budget), period: period ?? IN_ALL }

/** `up to 100 credits a month, of which 40 are spent; from 1 Dec 2026, 00:00 UTC anew`; undefined without a budget */
export function budgetText({
  budget,
  period,
  spent,
  resets_at,
}: Pick<Grant, 'budget' | 'period' | 'spent' | 'resets_at'>) {
  const limit = limitText({ budget, period })
  return limit && `up to ${limit}, ${amountText(spent ?? 0)} spent${resetText({ resets_at })}`
}

/** `100 credits a month`; undefined without a budget */
export const limitText = ({ budget, period }: Pick<Grant, 'budget' | 'period'>): string | undefined =>
  budget === null ? undefined : `${creditsText(budget)} ${period === null ? 'in all' : PERIOD_WORDS[period]}`

/** `40 spent, 60 left; begins anew 1 Dec 2026, 00:00 UTC` */
export function spentText({ budget, spent, resets_at }: Pick<Grant, 'budget' | 'spent' | 'resets_at'>): string {
  const left = budget === null ? '' : `, ${amountText(Math.max(budget - (spent ?? 0), 0))} left`
  return `${amountText(spent ?? 0)} spent${left}${resetText({ resets_at })}`
}

const resetText = ({ resets_at }: Pick<Grant, 'resets_at'>): string =>
  resets_at ? `; begins anew ${timeText(resets_at)}` : ''
