import { v7 as uuidv7 } from 'uuid'
import { mintServiceKey } from '../access/service-keys.ts'
import type { Db } from '../db/tables.ts'
import { packNotFound, serviceKeyNotFound } from '../http/catalogue.ts'
import type { Pack } from '../payments/types.ts'
import { type Actor, differing, recordAction } from './actions.ts'

/** Changes of packs and service keys by an administrator. */

/** Registers or changes a pack. Call `checkPrice` first. @returns the pack */
export async function setPack(db: Db, actor: Actor, slug: string, terms: Omit<Pack, 'slug'>) {
  const values = { ...terms, updated_at: new Date() }
  return db.transaction().execute(async (trx) => {
    const before = await packs(trx).where('slug', '=', slug).forUpdate().executeTakeFirst()
    const pack = await trx
      .insertInto('packs')
      .values({ slug, ...values })
      .onConflict((conflict) => conflict.column('slug').doUpdateSet(values))
      .returningAll()
      .executeTakeFirstOrThrow()
    const states = differing(before, terms)
    if (Object.keys(states.after).length)
      await recordAction(trx, actor, { action: 'setPack', target: `pack ${slug}`, ...states })
    return pack
  })
}

/** Stops selling a pack. @throws {ApiError} 404 pack_not_found */
export async function removePack(db: Db, actor: Actor, slug: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const before = await packs(trx).where('slug', '=', slug).executeTakeFirst()
    const gone = await trx.deleteFrom('packs').where('slug', '=', slug).returning('slug').executeTakeFirst()
    if (!gone || !before) throw packNotFound()
    await recordAction(trx, actor, { action: 'removePack', target: `pack ${slug}`, before })
  })
}

const packs = (db: Db) => db.selectFrom('packs').select(['name', 'credits', 'price', 'currency', 'stripe_price_id'])

const KEY_COLUMNS = ['id', 'name', 'scopes', 'last_four', 'created_at', 'last_used_at'] as const

/** The service keys that are not revoked. */
export const listServiceKeys = (db: Db) =>
  db.selectFrom('service_keys').select(KEY_COLUMNS).where('revoked_at', 'is', null).orderBy('id').execute()

/** Creates a service key. @returns its row, with `key`, which is not stored (only its hash is) */
export async function createServiceKey(db: Db, actor: Actor, { name, scopes }: { name: string; scopes: string[] }) {
  const { key, ...stored } = mintServiceKey()
  const saved = await db.transaction().execute(async (trx) => {
    const saved = await trx
      .insertInto('service_keys')
      .values({ id: uuidv7(), name, scopes, created_by: actor.clerk_id, ...stored })
      .returning(KEY_COLUMNS)
      .executeTakeFirstOrThrow()
    const after = { name, scopes, last_four: stored.last_four }
    await recordAction(trx, actor, { action: 'createServiceKey', target: `service key ${saved.id}`, after })
    return saved
  })
  return { ...saved, key }
}

/** Revokes a service key, effective immediately on every replica. @throws {ApiError} 404 service_key_not_found */
export async function revokeServiceKey(db: Db, actor: Actor, id: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const before = await trx
      .updateTable('service_keys')
      .set({ revoked_at: new Date() })
      .where('id', '=', id)
      .where('revoked_at', 'is', null)
      .returning(['name', 'scopes', 'last_four'])
      .executeTakeFirst()
    if (!before) throw serviceKeyNotFound()
    await recordAction(trx, actor, { action: 'revokeServiceKey', target: `service key ${id}`, before })
  })
}
