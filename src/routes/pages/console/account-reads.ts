import { ERASED } from '../../../accounts/erase.ts'
import type { Db } from '../../../db/tables.ts'
import { jobNotFound } from '../../../http/catalogue.ts'

/** What people are called, such as an e-mail address, by their account: as they last signed in here. */
export async function namesOf(db: Db, ids: string[]): Promise<Map<string, string>> {
  if (!ids.length) return new Map()
  const rows = await db
    .selectFrom('sessions')
    .distinctOn('account_id')
    .select(['account_id', 'name'])
    .where('account_id', 'in', [...new Set(ids)])
    .where('name', 'is not', null)
    .orderBy('account_id')
    .orderBy('created_at', 'desc')
    .execute()
  return new Map(rows.map(({ account_id, name }) => [account_id, name ?? '']))
}

/** What an account is called on pages: the person's e-mail address where it is known. */
export const titleOf = ({ clerk_id, id }: { clerk_id: string; id: string }, name: string | undefined): string =>
  clerk_id === ERASED ? `Erased account ${id.slice(0, 8)}` : (name ?? clerk_id)

/** A job with the name of its app. @throws {ApiError} 404 job_not_found */
export async function findJob(db: Db, account_id: string, id: string) {
  const job = await db
    .selectFrom('jobs as job')
    .leftJoin('apps', 'apps.slug', 'job.app_slug')
    .selectAll('job')
    .select(['apps.name as app_name', 'apps.slug as registered_slug'])
    .where('job.account_id', '=', account_id)
    .where('job.id', '=', id)
    .executeTakeFirst()
  if (!job) throw jobNotFound()
  return job
}
