import { moneyText } from '../../../payments/money.ts'
import type { PurchaseRow } from '../../../payments/purchases.ts'
import { amountText } from '../words.ts'
import { amount, type Cell, id as idCell, state, text, time } from './cells.ts'

/** Rows of purchases, as the pages of one account and of all list them. */

const OF_ACCOUNT = [
  'When',
  'Pack',
  { text: 'Credits', number: true },
  { text: 'Price', number: true },
  'State',
  'Payment',
]
export const PURCHASE_COLUMNS = [...OF_ACCOUNT, 'Account']
export const ACCOUNT_PURCHASE_COLUMNS = OF_ACCOUNT

const STATES = {
  open: { word: 'Not paid', style: '' },
  processing: { word: 'With the bank', style: 'running' },
  paid: { word: 'Paid', style: 'done-well' },
  failed: { word: 'Failed', style: 'failed' },
  expired: { word: 'Expired', style: '' },
}

/** Reasons of this service; those of the payment provider are words with underscores, such as `card_declined`. */
const FAILURES: Record<string, string> = { account_closed: 'the account was closed when the payment came' }

export function purchaseCells(purchase: PurchaseRow): Cell[] {
  const { created_at, pack_name, origin, credits, currency, status, taken_back, disputed, failure_reason } = purchase
  const notes = [
    ...(taken_back > 0 ? [`${amountText(taken_back)} credits taken back`] : []),
    ...(failure_reason ? [FAILURES[failure_reason] ?? failure_reason.replaceAll('_', ' ')] : []),
    ...(status === 'open' ? ['begun, and not finished by the person'] : []),
    ...(status === 'processing' ? ['the bank has not confirmed it yet'] : []),
  ]
  return [
    time(created_at),
    text(pack_name, { note: origin === 'auto' ? 'automatic top-up' : undefined }),
    amount(credits),
    { text: moneyText(purchase.amount ?? purchase.price, currency), kind: 'number' },
    {
      ...state(disputed ? { word: 'Disputed', style: 'failed' } : STATES[status]),
      note: notes.join('; ') || undefined,
    },
    idCell(purchase.payment_id ?? purchase.checkout_id ?? purchase.id),
  ]
}
