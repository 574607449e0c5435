import type { Db } from './tables.ts'

/**
 * Reads a secret from the table `settings`, where the first replica that needs it stores it. All replicas get the same value.
 * @param generate called when no value is stored; its result is discarded when another replica stores one first
 */
export async function storedSetting(db: Db, name: string, generate: () => string | Promise<string>): Promise<string> {
  const query = db.selectFrom('settings').select('value').where('name', '=', name)
  const stored = await query.executeTakeFirst()
  if (stored) return stored.value
  await db
    .insertInto('settings')
    .values({ name, value: await generate() })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return (await query.executeTakeFirstOrThrow()).value
}
