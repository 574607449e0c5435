import type { Db } from '../db/tables.ts'
import { packNotFound } from '../http/catalogue.ts'
import type { Pack } from './types.ts'

/** The packs on sale, the smallest first. */
export const listPacks = (db: Db) => db.selectFrom('packs').selectAll().orderBy('credits').orderBy('slug').execute()

/** @throws {ApiError} 404 pack_not_found */
export async function findPack(db: Db, slug: string): Promise<Pack> {
  const pack = await db.selectFrom('packs').selectAll().where('slug', '=', slug).executeTakeFirst()
  if (!pack) throw packNotFound()
  return pack
}

/** Something to buy after `npm start`, unless there is. */
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
