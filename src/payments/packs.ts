import type { Db } from '../db/tables.ts'
import { badField, packNotFound } from '../http/catalogue.ts'
import { amountFault } from './money.ts'
import type { Pack, Payments } from './types.ts'

/** The packs on sale, the smallest first. */
export const listPacks = (db: Db) => db.selectFrom('packs').selectAll().orderBy('credits').orderBy('slug').execute()

/** @throws {ApiError} 404 pack_not_found */
export async function findPack(db: Db, slug: string): Promise<Pack> {
  const pack = await db.selectFrom('packs').selectAll().where('slug', '=', slug).executeTakeFirst()
  if (!pack) throw packNotFound()
  return pack
}

/** Registers two packs if there are none, so that buying can be tried after `npm start`. */
export async function registerExamplePacks(db: Db): Promise<void> {
  const { count } = await db
    .selectFrom('packs')
    .select((packs) => packs.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) > 0) return
  await db
    .insertInto('packs')
    .values([
      { slug: 'small', name: '100 credits', credits: 100, price: 500, currency: 'usd', stripe_price_id: null },
      { slug: 'large', name: '500 credits', credits: 500, price: 2000, currency: 'usd', stripe_price_id: null },
    ])
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/**
 * Checks that a pack's price is one that Stripe charges, and that it equals the Stripe price that the pack names.
 * @param terms `price` in minor units; `stripe_price_id` null: it names none
 * @throws {ApiError} 400 when it is not; 503 payments_unavailable
 */
export async function checkPrice(
  payments: Payments | undefined,
  terms: { price: number; currency: string; stripe_price_id: string | null },
): Promise<void> {
  const { price, currency, stripe_price_id } = terms
  const fault = amountFault(price, currency)
  if (fault) throw badField('price', fault)
  if (stripe_price_id === null) return
  if (!payments?.provider.price) throw badField('stripe_price_id', 'needs STRIPE_SECRET_KEY')
  const theirs = await payments.provider.price(stripe_price_id)
  if (!theirs) throw badField('stripe_price_id', 'is not a one-time price of a fixed amount at Stripe')
  if (price !== theirs.price) throw badField('price', `is ${theirs.price} at Stripe`)
  if (currency !== theirs.currency) throw badField('currency', `is ${theirs.currency} at Stripe`)
}
