import type { Db } from '../db/tables.ts'
import type { Payer } from './payers.ts'
import type { PauseReason } from './types.ts'

/** Consecutive declines that pause automatic top-ups, until the card changes or the account's owner resumes them. */
const MAX_FAILURES = 3
/** How long to wait after the first decline and the second, in hours. */
const BACKOFF_HOURS = [1, 24]

/** Stripe's decline codes that mean that no charge of this card will succeed. */
const NEVER = new Set([
  ...[
    'card_not_supported',
    'card_velocity_exceeded_permanently',
    'currency_not_supported',
    'expired_card',
    'fraudulent',
  ],
  ...['incorrect_number', 'invalid_account', 'invalid_number', 'lost_card', 'merchant_blacklist'],
  ...['new_account_information_available', 'pickup_card', 'restricted_card', 'revocation_of_all_authorizations'],
  ...['revocation_of_authorization', 'security_violation', 'service_not_allowed', 'stolen_card', 'stop_payment_order'],
  ...['testmode_decline', 'transaction_not_allowed'],
])

/**
 * Updates an account's automatic top-ups after one of its charges has ended: paid resets the count of failures, a failure schedules the
 * next attempt or pauses them. Idempotent: does nothing unless `purchase` is the account's charge under way.
 */
export async function afterCharge(
  db: Db,
  purchase: { account_id: string; id: string; status: string; failure_reason: string | null },
): Promise<void> {
  const { account_id, id, status, failure_reason } = purchase
  if (status === 'open' || status === 'processing') return
  await db.transaction().execute(async (trx) => {
    const payer = await trx
      .selectFrom('payers')
      .selectAll()
      .where('account_id', '=', account_id)
      .where('purchase_id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    if (!payer) return
    const ended = { purchase_id: null, updated_at: new Date() }
    const next = status === 'paid' ? PAID : afterFailure(payer, failure_reason ?? '')
    // When they were turned off or paused meanwhile, that stays.
    const values = payer.state === 'on' ? { ...ended, ...next } : ended
    await trx.updateTable('payers').set(values).where('account_id', '=', account_id).execute()
  })
}

const PAID = { failures: 0, reason: null, retry_at: null }

function afterFailure({ failures }: Payer, code: string) {
  const paused = (reason: PauseReason) => ({ state: 'paused' as const, reason, failures: failures + 1, retry_at: null })
  if (code === 'authentication_required') return paused('authentication_required')
  if (NEVER.has(code)) return paused('card_refused')
  if (failures + 1 >= MAX_FAILURES) return paused('card_declined')
  const hours = BACKOFF_HOURS[failures] ?? 24
  return { failures: failures + 1, reason: 'card_declined', retry_at: new Date(Date.now() + hours * 3_600_000) }
}

/** Pauses an account's automatic top-ups because a payment is disputed. */
export async function pauseForDispute(db: Db, account_id: string): Promise<void> {
  await db
    .updateTable('payers')
    .set({ state: 'paused', reason: 'disputed', updated_at: new Date() })
    .where('account_id', '=', account_id)
    .where('state', '=', 'on')
    .execute()
}
