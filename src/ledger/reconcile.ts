import { isDeepStrictEqual } from 'node:util'

/**
 * Purchases and the ledger. What a payment provider says of a payment is compared with what has been posted for its purchase, and the
 * difference is posted. The order and number of the provider's events do not matter: each is a reason to ask the provider what
 * is true now, and only that arrives here. Pure and synchronous.
 */

export const PURCHASE_STATUSES = ['open', 'processing', 'paid', 'failed', 'expired'] as const
export type PurchaseStatus = (typeof PURCHASE_STATUSES)[number]

/** What the ledger knows of a purchase. */
export interface Purchase {
  id: string
  pack_name: string
  credits: number
  status: PurchaseStatus
  failure_reason: string | null
  checkout_id: string | null
  payment_id: string | null
  /** Of its `topup` entry; null: not paid */
  reference: string | null
  /** What was paid, taxes included, in the currency's minor unit; null: not paid */
  amount: number | null
  refunds: TakenBack[]
  /** Credits that refunds and lost disputes have taken back */
  taken_back: number
  /** A dispute is open or lost */
  disputed: boolean
  receipt_url: string | null
  paid_at: number | null
  /** Grows with every change. A report counts only for the version that was read before the provider was asked */
  version: number
}

/** What was posted for one refund or dispute. */
interface TakenBack {
  /** The provider's id of it */
  id: string
  /** In money, as last heard; 0: it does not count, or not any more */
  amount: number
  /** Credits taken now */
  credits: number
  /** How many entries speak of it */
  entries: number
}

/** What the provider says of a payment now. */
export interface Payment {
  status: PurchaseStatus
  failure_reason: string | null
  checkout_id: string | null
  payment_id: string | null
  /** Of the entry, such as `stripe:pi_…` */
  reference: string | null
  amount: number | null
  receipt_url: string | null
  disputed: boolean
  /** Refunds and disputes, in the order in which they were made */
  reversals: Reversal[]
}

export interface Reversal {
  id: string
  kind: 'refund' | 'dispute'
  amount: number
  /** The money is gone: a refund that has not failed, a lost dispute */
  counts: boolean
}

export interface PurchaseMovement {
  kind: 'topup' | 'topup_refund' | 'topup_reinstated'
  amount: number
  reference: string
  reason: string
}

/** The purchase after a report, and what is to be posted; `changed` false: everything was known. */
export function reconcile(
  purchase: Purchase,
  payment: Payment,
  now: number,
): { purchase: Purchase; movements: PurchaseMovement[]; changed: boolean } {
  const movements: PurchaseMovement[] = []
  const next = { ...purchase, ...known(payment) }
  if (purchase.status !== 'paid' && payment.status === 'paid') {
    const { reference, amount } = payment
    if (reference === null || amount === null || amount <= 0) throw new Error('a paid purchase without its payment')
    movements.push({ kind: 'topup', amount: purchase.credits, reference, reason: purchase.pack_name })
    Object.assign(next, { status: 'paid', failure_reason: null, reference, amount, paid_at: now })
  } else if (purchase.status !== 'paid') {
    next.status = payment.status
    next.failure_reason = payment.failure_reason
  }
  if (next.status === 'paid') {
    const taken = takeBack(next, payment.reversals)
    movements.push(...taken.movements)
    next.refunds = taken.refunds
    next.taken_back = taken.refunds.reduce((sum, { credits }) => sum + credits, 0)
    next.disputed = payment.disputed
  }
  const changed = !isDeepStrictEqual(next, purchase)
  return { purchase: changed ? { ...next, version: purchase.version + 1 } : purchase, movements, changed }
}

/** What a report adds; it takes nothing that was known away. */
const known = ({ checkout_id, payment_id, receipt_url }: Payment) => ({
  ...(checkout_id !== null && { checkout_id }),
  ...(payment_id !== null && { payment_id }),
  ...(receipt_url !== null && { receipt_url }),
})

/**
 * Credits go back in proportion to the money, rounded down, over the sum of all that was refunded: so a whole refund in parts takes
 * exactly all credits, and never more.
 */
function takeBack(purchase: Purchase, reversals: Reversal[]): { refunds: TakenBack[]; movements: PurchaseMovement[] } {
  const movements: PurchaseMovement[] = []
  const paid = purchase.amount ?? 0
  const known = purchase.refunds.map(({ id, amount }) => {
    const heard = reversals.find((reversal) => reversal.id === id)
    return heard ?? { id, kind: 'refund' as const, amount, counts: amount > 0 }
  })
  const all = [...known, ...reversals.filter(({ id }) => !purchase.refunds.some((refund) => refund.id === id))]
  let money = 0
  let credits = 0
  const refunds = all.map(({ id, kind, amount, counts }) => {
    const before = purchase.refunds.find((refund) => refund.id === id) ?? { credits: 0, entries: 0 }
    money = Math.min(money + (counts ? amount : 0), paid)
    const due = proportion(purchase.credits, money, paid) - credits
    credits += due
    const difference = due - before.credits
    if (difference !== 0) {
      const number = before.entries + 1
      movements.push({
        kind: difference > 0 ? 'topup_refund' : 'topup_reinstated',
        amount: -difference,
        reference: number === 1 ? `stripe:${id}` : `stripe:${id}:${number}`,
        reason: `${WORDS[kind][difference > 0 ? 0 : 1]}: ${purchase.pack_name}`,
      })
    }
    return { id, amount: counts ? amount : 0, credits: due, entries: before.entries + (difference === 0 ? 0 : 1) }
  })
  return { refunds, movements }
}

const WORDS = { refund: ['Refund', 'Refund failed'], dispute: ['Dispute lost', 'Dispute won'] } as const

/** `credits * money / paid`, rounded down; the product may be beyond 2^53. */
const proportion = (credits: number, money: number, paid: number): number =>
  paid === 0 ? 0 : Number((BigInt(credits) * BigInt(money)) / BigInt(paid))
