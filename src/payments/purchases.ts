import { v7 as uuidv7 } from 'uuid'
import { openAccount } from '../accounts/open.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { accountClosed, tooManyPurchases } from '../http/catalogue.ts'
import { ApiError } from '../http/errors.ts'
import { type Page, pageById } from '../http/pages.ts'
import { settlePurchase } from '../ledger/operations.ts'
import { afterCharge, pauseForDispute } from './charges.ts'
import { customerOf } from './payers.ts'
import type { Bought, Hint, Pack, Payments } from './types.ts'

/** The most purchases of one account that may be open. */
const MAX_OPEN = 20
/** The same purchase, begun again within this time, leads to the same payment page. */
const SAME_CLICK = '10 minutes'
/** How often a purchase that changes meanwhile is reconciled before giving up. */
const MAX_ROUNDS = 5

export type PurchaseRow = Awaited<ReturnType<typeof findPurchase>> & object

/**
 * Begins a purchase and creates its payment page. Name, credits and price are taken from the pack.
 * @param return_to where the person continues after paying; an address that was checked before
 * @returns the purchase, with `checkout_url`; a purchase of the last 10 minutes that is the same and still open is returned again
 * @throws {ApiError} 403 account_closed, 429 too_many_purchases, 503 payments_unavailable
 */
export async function beginPurchase(
  payments: Payments,
  account: { id: string; clerk_id: string },
  pack: Pack,
  return_to: string | null,
): Promise<PurchaseRow> {
  const { db, provider, publicUrl } = payments
  const account_id = account.id
  await refuseClosed(db, account_id)
  const { slug: pack_slug, name: pack_name, credits, price, currency, stripe_price_id } = pack
  await openAccount(db, account_id, account.clerk_id)
  const [same] = await findSame(db, { account_id, pack_slug, pack_name, credits, price, currency, return_to })
  if (same) return (await findPurchase(db, account_id, same.id)) as PurchaseRow
  const [open] = await countOpen(db, { account_id })
  if (open && open.count >= MAX_OPEN) throw tooManyPurchases(MAX_OPEN)

  const id = uuidv7()
  const purchase = await db
    .insertInto('purchases')
    .values({
      ...{ account_id, id, pack_slug, pack_name, credits, price, currency, return_to },
      ...{ provider: provider.kind, origin: 'checkout' },
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  const customer = await customerOf(payments, account_id)
  const back_to = `${publicUrl}/buy?purchase=${id}`
  const { checkout_id, url } = await provider.checkout({ ...bought(purchase), stripe_price_id, back_to }, customer)
  // `version` stays: this change does not conflict with a concurrent reconciliation.
  return await db
    .updateTable('purchases')
    .set({ checkout_id, checkout_url: url })
    .where('account_id', '=', account_id)
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/**
 * Asks the provider for the state of a purchase's payment, and posts the difference to what the ledger has. Idempotent and safe to call
 * concurrently: events of the provider, sweeps and the local payment page all end here.
 * @param hint ids that the purchase may not have yet
 * @returns the purchase afterwards; undefined: there is none
 * @throws {ApiError} 503 payments_unavailable; {DatabaseUnavailable}
 */
export async function reconcilePurchase(
  payments: Payments,
  { account_id, id }: { account_id: string; id: string },
  hint: Hint = {},
): Promise<PurchaseRow | undefined> {
  const { db, ledger, log, provider } = payments
  for (let round = 1; ; round++) {
    const purchase = await findPurchase(db, account_id, id)
    if (!purchase) return undefined
    // A purchase made through another provider, before the configuration changed, cannot be looked up at this one.
    const payment =
      purchase.provider === provider.kind
        ? await provider.look(
            bought(purchase),
            hint.payment_id ? hint : { ...hint, ...(await lostCharge(payments, purchase)) },
          )
        : undefined
    if (!payment) {
      await touch(db, { account_id, id })
      return purchase
    }
    try {
      const result = await settlePurchase(ledger, account_id, { purchase_id: id, version: purchase.version, payment })
      if (result === 'changed_meanwhile' && round < MAX_ROUNDS) continue
      if (result === 'changed_meanwhile') throw new Error(`purchase ${id} kept changing in ${MAX_ROUNDS} rounds`)
      if (result === 'nothing_new') await touch(db, { account_id, id })
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'account_closed') throw error
      // A closed account gets no credits. The operator must refund the payment.
      if (payment.status === 'paid' && purchase.status !== 'paid') {
        log.error(
          { account_id, purchase_id: id, payment_id: payment.payment_id },
          'a closed account has paid: refund it',
        )
        await refuse(db, { account_id, id, payment_id: payment.payment_id })
      }
      return findPurchase(db, account_id, id)
    }
    const after = await findPurchase(db, account_id, id)
    if (after?.disputed) await pauseForDispute(db, account_id)
    if (after?.origin === 'auto') await afterCharge(db, after)
    return after
  }
}

/** @throws {ApiError} 403 account_closed */
async function refuseClosed(db: Db, id: string): Promise<void> {
  const row = await db.selectFrom('accounts').select('closed_at').where('id', '=', id).executeTakeFirst()
  if (row?.closed_at) throw accountClosed()
}

export const findPurchase = (db: Db, account_id: string, id: string) =>
  db.selectFrom('purchases').selectAll().where('account_id', '=', account_id).where('id', '=', id).executeTakeFirst()

/** A page of an account's purchases, newest first. */
export async function purchasesPage(
  db: Db,
  account_id: string,
  { limit = 50, cursor }: Page,
): Promise<{ purchases: PurchaseRow[]; next_cursor: string | null }> {
  const rows = await db
    .selectFrom('purchases')
    .selectAll()
    .where('account_id', '=', account_id)
    .$if(cursor !== undefined, (purchases) => purchases.where('id', '<', cursor ?? ''))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const { page, next_cursor } = pageById(rows, limit)
  return { purchases: page, next_cursor }
}

export const bought = (row: PurchaseRow): Bought => ({ ...row, refunds: row.refunds as { id: string }[] })

const findSame = statement<
  Pick<Bought, 'account_id' | 'pack_name' | 'credits' | 'price' | 'currency'> & {
    pack_slug: string
    return_to: string | null
  },
  { id: string }
>(
  'find_same_purchase',
  `select id from purchases
  where account_id = $account_id::uuid and status = 'open' and origin = 'checkout' and checkout_url is not null
    and pack_slug = $pack_slug and pack_name = $pack_name and credits = $credits::bigint and price = $price::bigint
    and currency = $currency and return_to is not distinct from $return_to::text
    and created_at > now() - interval '${SAME_CLICK}'
  order by id desc limit 1`,
)

const countOpen = statement<{ account_id: string }, { count: number }>(
  'count_open_purchases',
  `select count(*) from purchases where account_id = $account_id::uuid and status = 'open' and origin = 'checkout'`,
)

/**
 * The payment of an automatic charge whose answer was lost. Needed when automatic top-ups were turned off since: then the charge is not
 * repeated, and its answer would stay unknown.
 */
async function lostCharge({ db, provider }: Payments, purchase: PurchaseRow): Promise<Hint> {
  if (purchase.origin !== 'auto' || purchase.payment_id !== null || purchase.status !== 'open') return {}
  const payer = await db
    .selectFrom('payers')
    .select('customer_id')
    .where('account_id', '=', purchase.account_id)
    .executeTakeFirst()
  const payment_id = payer?.customer_id && (await provider.findCharge(payer.customer_id, bought(purchase)))
  return payment_id ? { payment_id } : {}
}

/** Notes when the provider was asked, where nothing else changes. */
const touch = statement<{ account_id: string; id: string }, never>(
  'touch_purchase',
  'update purchases set looked_at = now() where account_id = $account_id::uuid and id = $id::uuid',
)

const refuse = statement<{ account_id: string; id: string; payment_id: string | null }, never>(
  'refuse_purchase',
  `update purchases set status = 'failed', failure_reason = 'account_closed', payment_id = $payment_id, version = version + 1,
    updated_at = now(), looked_at = now()
  where account_id = $account_id::uuid and id = $id::uuid and status <> 'paid'`,
)
