import type { Payer } from './payers.ts'
import type { PurchaseRow } from './purchases.ts'
import type { PauseReason } from './types.ts'

/** Why automatic top-ups wait or are paused, in words for the account's owner. */
const REASONS: Record<PauseReason, string> = {
  card_missing: 'No card is saved. Save one to continue.',
  card_declined: 'Your bank declined the charge.',
  card_refused: 'Your bank refuses this card. Save another one to continue.',
  authentication_required:
    'Your bank asks you to confirm the payment. Buy a pack yourself, then resume; or save another card.',
  monthly_cap: 'The monthly limit that you set has been reached.',
  pack_changed: 'The pack that you agreed to has changed or is no longer sold. Choose again.',
  disputed: 'One of your payments is disputed.',
}

/** Automatic top-ups as the API shows them; null: off. */
export function autoTopupOf(payer: AutoTopupRow | null | undefined) {
  if (!payer || payer.state === 'off') return null
  const { state, retry_at, pack_slug, credits, price, currency, below, monthly_cap, card } = payer
  const waits = state === 'on' && retry_at !== null && retry_at > new Date()
  const status = state === 'paused' ? ('paused' as const) : waits ? ('waiting' as const) : ('on' as const)
  const reason = status === 'on' ? null : (payer.reason as PauseReason | null)
  return {
    ...{ status, reason, message: reason && REASONS[reason], retry_at: waits ? retry_at : null },
    ...{ pack: pack_slug ?? '', credits: credits ?? 0, price: price ?? 0, currency: currency ?? '' },
    ...{ below: below ?? 0, monthly_cap: monthly_cap ?? 0, card },
  }
}

type AutoTopupRow = Pick<
  Payer,
  'state' | 'reason' | 'retry_at' | 'pack_slug' | 'credits' | 'price' | 'currency' | 'below' | 'monthly_cap' | 'card'
>

/** A purchase as the API shows it. */
export function purchaseOf(row: PurchaseRow) {
  const { id, pack_slug: pack, pack_name: name, credits, price, currency, status, amount, disputed } = row
  const { failure_reason, receipt_url, created_at, paid_at } = row
  return {
    ...{ id, pack, name, credits, price, currency, status, amount, disputed, failure_reason, receipt_url },
    refunded_credits: row.taken_back,
    automatic: row.origin === 'auto',
    checkout_url: status === 'open' ? row.checkout_url : null,
    ...{ created_at, paid_at },
  }
}
