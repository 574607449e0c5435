import type { Db } from './tables.ts'

/**
 * A secret that the service makes for itself and keeps in its database; whichever replica comes first makes it.
 * @param make called only where there is none yet; what it makes is dropped where another replica was faster
 */
export async function keptSetting(db: Db, name: string, make: () => string | Promise<string>): Promise<string> {
  const stored = db.selectFrom('settings').select('value').where('name', '=', name)
  const known = await stored.executeTakeFirst()
  if (known) return known.value
  await db
    .insertInto('settings')
    .values({ name, value: await make() })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return (await stored.executeTakeFirstOrThrow()).value
}
