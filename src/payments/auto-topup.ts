import type { Transaction } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { openAccount } from '../accounts/open.ts'
import { statement } from '../db/statement.ts'
import type { Db, Tables } from '../db/tables.ts'
import { autoTopupNotFound, badField } from '../http/catalogue.ts'
import { afterCharge } from './charges.ts'
import { moneyText } from './money.ts'
import { customerOf, findPayer, type Payer } from './payers.ts'
import { bought, type PurchaseRow, reconcilePurchase } from './purchases.ts'
import type { Pack, PauseReason, Payments } from './types.ts'

/** Reasons of a pause that end when the account gets another card. */
const CARD_REASONS: PauseReason[] = ['card_missing', 'card_declined', 'card_refused', 'authentication_required']

/** The limits that the account's owner consents to. */
export interface Terms {
  /** A charge is made when `credits` plus `held` are below this */
  below: number
  /** The most that is charged in a calendar month (UTC), in minor units of the pack's currency */
  monthly_cap: number
}

/**
 * Turns automatic top-ups on, or changes them. The pack's present credits and price are stored as what the account's owner consents to.
 * @param back_to where the provider's page for saving a card sends the person afterwards
 * @returns the URL of that page, where a card must be saved first; null: there is a card
 * @throws {ApiError} 400 when the cap is below the price, 503 payments_unavailable
 */
export async function enable(
  payments: Payments,
  account: { id: string; clerk_id: string },
  pack: Pack,
  terms: Terms,
  back_to: string,
): Promise<string | null> {
  const { db, provider } = payments
  if (terms.monthly_cap < pack.price)
    throw badField('monthly_cap', `must be at least the pack's price, ${moneyText(pack.price, pack.currency)}`)
  await openAccount(db, account.id, account.clerk_id)
  const customer_id = await customerOf(payments, account.id)
  const card = await provider.card(customer_id)
  const agreed = {
    ...{ pack_slug: pack.slug, credits: pack.credits, price: pack.price, currency: pack.currency, ...terms },
    ...{ consented_at: new Date(), failures: 0, retry_at: null, updated_at: new Date() },
    ...(card
      ? ({ state: 'on', reason: null, payment_method_id: card.id, card: card.name } as const)
      : ({ state: 'paused', reason: 'card_missing', payment_method_id: null, card: null } as const)),
  }
  await db
    .insertInto('payers')
    .values({ account_id: account.id, ...agreed })
    .onConflict((conflict) => conflict.column('account_id').doUpdateSet(agreed))
    .execute()
  return card ? null : provider.cardPage(account.id, customer_id, back_to)
}

/** Turns automatic top-ups off. A charge under way is not canceled. */
export async function turnOff(db: Db, account_id: string): Promise<void> {
  await db
    .updateTable('payers')
    .set({ state: 'off', reason: null, failures: 0, retry_at: null, updated_at: new Date() })
    .where('account_id', '=', account_id)
    .execute()
}

/** Ends a pause or a wait: charges are tried again. @throws {ApiError} 404 auto_topup_off, 503 payments_unavailable */
export async function resume(payments: Payments, account_id: string): Promise<void> {
  const { db, provider } = payments
  const payer = await findPayer(db, account_id)
  if (!payer || payer.state === 'off') throw autoTopupNotFound()
  const card = await provider.card(payer.customer_id)
  await db
    .updateTable('payers')
    .set({
      ...{ failures: 0, retry_at: null, updated_at: new Date() },
      ...{ payment_method_id: card?.id ?? null, card: card?.name ?? null },
      ...(card ? { state: 'on', reason: null } : { state: 'paused', reason: 'card_missing' }),
    })
    .where('account_id', '=', account_id)
    .where('state', '<>', 'off')
    .execute()
}

/**
 * Asks the provider which card is to be charged, after the account's cards have changed. A new card ends a pause that was due to the old
 * one.
 * @param changed the card may have kept its id but has a new number or expiry date
 * @throws {ApiError} 503 payments_unavailable
 */
export async function refreshCard(payments: Payments, account_id: string, changed: boolean): Promise<void> {
  const { db, provider } = payments
  const payer = await findPayer(db, account_id)
  if (!payer?.customer_id) return
  const card = await provider.card(payer.customer_id)
  const isNew = card !== undefined && (changed || card.id !== payer.payment_method_id)
  const resumes = isNew && CARD_REASONS.includes(payer.reason as PauseReason)
  await db
    .updateTable('payers')
    .set({
      ...{ payment_method_id: card?.id ?? null, card: card?.name ?? null, updated_at: new Date() },
      ...(resumes && { state: 'on', reason: null, failures: 0, retry_at: null }),
      ...(!card && payer.state === 'on' && { state: 'paused', reason: 'card_missing' }),
    })
    .where('account_id', '=', account_id)
    .where('state', '=', payer.state)
    .execute()
}

/** A charge without a known end is taken over by any replica after this time. */
const LEASE = '1 minute'

/** Accounts that are below their threshold, and accounts with a charge whose end is unknown. The longest untried come first. */
const due = statement<{ limit: number }, { account_id: string }>(
  'auto_topups_due',
  `select payers.account_id from payers join accounts on accounts.id = payers.account_id
  where payers.state = 'on' and accounts.closed_at is null and (payers.retry_at is null or payers.retry_at <= now())
    and (payers.purchase_id is not null or accounts.credits + accounts.held < payers.below)
    and not exists (select from purchases where purchases.account_id = payers.account_id and purchases.id = payers.purchase_id
      and purchases.looked_at >= now() - interval '${LEASE}')
  order by payers.updated_at limit $limit::int`,
)

const BATCH = 100

/**
 * Charges every account that is below its threshold. Held credits count, because a hold may be released again. Any number of replicas may
 * run it concurrently.
 * @param onFailure called for each account that could not be charged; without it, the first failure is thrown
 * @returns how many charges were sent
 */
export async function topUpDue(
  payments: Payments,
  {
    onFailure,
    signal,
  }: { onFailure?: (error: Error, account: { account_id: string }) => void; signal?: AbortSignal } = {},
): Promise<number> {
  let charged = 0
  for (const { account_id } of await due(payments.db, { limit: BATCH })) {
    if (signal?.aborted) break
    try {
      if (await topUp(payments, account_id)) charged++
    } catch (error) {
      if (!onFailure) throw error
      onFailure(error as Error, { account_id })
    }
  }
  return charged
}

/** Charges one account. @returns whether a charge was sent */
async function topUp(payments: Payments, account_id: string): Promise<boolean> {
  const { db, provider } = payments
  const claimed = await db.transaction().execute((trx) => claim(trx, payments, account_id))
  if (!claimed) return false
  const { payer, purchase, again } = claimed
  const key = { account_id, id: purchase.id }
  const { customer_id, payment_method_id, attempt } = payer
  // Throws when the end is unknown, such as after a timeout. The charge is sent again, with the same key, when the lease has expired.
  const charged = { customer_id, payment_method_id: payment_method_id ?? '', attempt, again }
  const answer = await provider.charge(bought(purchase), charged)
  if ('refused' in answer) {
    await fail(db, { ...key, reason: answer.refused })
    await afterCharge(db, { ...key, status: 'failed', failure_reason: answer.refused })
    return true
  }
  const after = await reconcilePurchase(payments, key, answer)
  if (after?.status === 'failed') await provider.giveUp(answer)
  return true
}

/**
 * Decides under the lock of the payer's row whether to charge, and commits the purchase before the charge is sent: an account has at most
 * one charge under way, also when a process dies in between.
 * @returns the charge to send; undefined: none. `again`: it may have been sent before
 */
async function claim(trx: Transaction<Tables>, { provider }: Payments, account_id: string) {
  const payer = await trx
    .selectFrom('payers')
    .selectAll()
    .where('account_id', '=', account_id)
    .forUpdate()
    .executeTakeFirst()
  if (payer?.state !== 'on' || (payer.retry_at && payer.retry_at > new Date())) return undefined
  if (payer.purchase_id !== null) {
    const [purchase] = await takeOver(trx, { account_id, id: payer.purchase_id })
    if (purchase) await change(trx, account_id, {})
    return purchase && { payer, purchase, again: true }
  }
  const account = await trx
    .selectFrom('accounts')
    .select(['credits', 'held', 'closed_at'])
    .where('id', '=', account_id)
    .executeTakeFirst()
  if (!account || account.closed_at || account.credits + account.held >= (payer.below ?? 0)) return undefined

  const pause = (reason: PauseReason) => change(trx, account_id, { state: 'paused', reason })
  const { pack_slug, credits, price, currency } = payer as Payer & Pack & { pack_slug: string }
  const pack = await trx.selectFrom('packs').selectAll().where('slug', '=', pack_slug).executeTakeFirst()
  // The owner consented to these terms and no others.
  if (pack?.credits !== credits || pack.price !== price || pack.currency !== currency) {
    await pause('pack_changed')
    return undefined
  }
  if (payer.payment_method_id === null) {
    await pause('card_missing')
    return undefined
  }
  const [month] = await spentThisMonth(trx, { account_id, currency })
  if (Number(month?.spent) + price > (payer.monthly_cap ?? 0)) {
    await change(trx, account_id, { reason: 'monthly_cap', retry_at: month?.next_month ?? null })
    return undefined
  }
  const purchase = await trx
    .insertInto('purchases')
    .values({
      ...{ account_id, id: uuidv7(), pack_slug, pack_name: pack.name, credits, price, currency },
      ...{ provider: provider.kind, origin: 'auto' },
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const attempt = payer.attempt + 1
  await change(trx, account_id, { attempt, purchase_id: purchase.id })
  return { payer: { ...payer, attempt }, purchase, again: false }
}

const change = (
  db: Db,
  account_id: string,
  values: Partial<Pick<Payer, 'state' | 'attempt' | 'purchase_id' | 'retry_at'>> & { reason?: PauseReason | null },
) =>
  db
    .updateTable('payers')
    .set({ ...values, updated_at: new Date() })
    .where('account_id', '=', account_id)
    .execute()

const takeOver = statement<{ account_id: string; id: string }, PurchaseRow>(
  'take_over_charge',
  `update purchases set looked_at = now() where account_id = $account_id::uuid and id = $id::uuid
    and looked_at < now() - interval '${LEASE}' returning *`,
)

const spentThisMonth = statement<{ account_id: string; currency: string }, { spent: string; next_month: Date }>(
  'auto_topups_this_month',
  `select coalesce(sum(coalesce(amount, price)) filter (where created_at >= began), 0)::text as spent,
    (began at time zone 'UTC' + interval '1 month') at time zone 'UTC' as next_month
  from (select date_trunc('month', now(), 'UTC') as began) as month
    left join purchases on account_id = $account_id::uuid and currency = $currency and origin = 'auto' and status in ('open', 'processing', 'paid')
  group by began`,
)

const fail = statement<{ account_id: string; id: string; reason: string }, never>(
  'fail_charge',
  `update purchases set status = 'failed', failure_reason = $reason, version = version + 1, updated_at = now(), looked_at = now()
  where account_id = $account_id::uuid and id = $id::uuid and status in ('open', 'processing')`,
)
