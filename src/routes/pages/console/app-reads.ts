import { sql } from 'kysely'
import type { Db } from '../../../db/tables.ts'
import { appNotFound } from '../../../http/catalogue.ts'

/** Counting stops here: more is shown as "at least". */
export const MAX_PEOPLE = 100_000

const COLUMNS = [
  ...(['slug', 'name', 'starter_credits', 'max_overage', 'max_overage_percent', 'origins', 'return_paths'] as const),
  ...(['redirect_uris', 'resources', 'created_at'] as const),
  sql<Date | null>`case when previous_settle_key_hash is not null then previous_settle_key_until end`.as(
    'previous_settle_key_until',
  ),
  sql<boolean>`settle_key_hash is not null`.as('has_settle_key'),
  // Says whether it is still the key that a page has shown the state of, and nothing about the key.
  sql<string | null>`left(settle_key_hash, 8)`.as('key_mark'),
] as const

/** The registered apps by slug, with how many webhook endpoints each has. */
export const listApps = (db: Db) =>
  db
    .selectFrom('apps')
    .select(COLUMNS)
    .select(sql<number>`(select count(*)::int from webhook_endpoints where app_slug = apps.slug)`.as('endpoints'))
    .orderBy('slug')
    .execute()

export type AppRow = Awaited<ReturnType<typeof findApp>>

/** @throws {ApiError} 404 app_not_found */
export async function findApp(db: Db, slug: string) {
  const app = await db.selectFrom('apps').select(COLUMNS).where('slug', '=', slug).executeTakeFirst()
  if (!app) throw appNotFound()
  return app
}

/** How many people have had an app's starter credits. */
export async function countGranted(db: Db, slug: string): Promise<number> {
  const granted = db
    .selectFrom('app_grants')
    .select(sql`1`.as('one'))
    .where('app_slug', '=', slug)
    .where('granted_at', 'is not', null)
    .limit(MAX_PEOPLE)
  const { count } = await db
    .selectFrom(granted.as('granted'))
    .select(sql<number>`count(*)::int`.as('count'))
    .executeTakeFirstOrThrow()
  return count
}

/** A few apps whose slug or name contains a text. There are not many apps, so it needs no index. */
export async function findApps(db: Db, text: string) {
  if (!text) return []
  const part = `%${text.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`
  return db
    .selectFrom('apps')
    .select(['slug', 'name', 'starter_credits', 'created_at'])
    .where(({ or, eb }) => or([eb('slug', 'like', part), eb(sql`lower(name)`, 'like', part)]))
    .orderBy('slug')
    .limit(20)
    .execute()
}
