import { sql } from 'kysely'
import { ERASED } from '../../../accounts/erase.ts'
import type { Db, JobStatus } from '../../../db/tables.ts'
import { noSuchJob } from '../../../http/catalogue.ts'
import { readable } from '../../../ledger/metadata.ts'
import type { EntryRow } from '../../../ledger/selection.ts'
import { readAccounts } from '../../../operator/find-accounts.ts'

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

/** What accounts are called on pages, by id: `titleOf` of each. */
export async function titlesOf(db: Db, ids: string[]): Promise<Map<string, string>> {
  const all = [...new Set(ids)]
  const [accounts, names] = await Promise.all([readAccounts(db, all), namesOf(db, all)])
  return new Map(accounts.map((account) => [account.id, titleOf(account, names.get(account.id))]))
}

interface Titled {
  id: string
  clerk_id: string
  closed_at: string | null
}

/**
 * What an account is called on pages: the person's e-mail address where it is known. It is known of sessions, which end with the account.
 */
export function titleOf({ clerk_id, id, closed_at }: Titled, name: string | undefined): string {
  if (clerk_id === ERASED) return `Erased account ${id.slice(0, 8)}`
  if (name !== undefined) return name
  return closed_at === null ? clerk_id : `${clerk_id.slice(0, 8)}…${clerk_id.slice(-4)}, closed`
}

/** The jobs of an account with these ids, as entries show them. */
export async function jobsOfEntries(db: Db, account_id: string, entries: EntryRow[]): Promise<Map<string, EntryJob>> {
  const ids = entries.flatMap(({ job_id, corrects_job_id }) => job_id ?? corrects_job_id ?? [])
  if (!ids.length) return new Map()
  const jobs = await db
    .selectFrom('jobs')
    .select(['id', 'app_slug', 'action', 'status', 'reserved', 'actual_cost', 'failure_reason', 'expires_at'])
    .select(sql.raw<Record<string, unknown> | null>(readable('metadata')).as('metadata'))
    .where('account_id', '=', account_id)
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(jobs.map((job) => [job.id, job]))
}

export interface EntryJob {
  id: string
  app_slug: string
  action: string
  status: JobStatus
  reserved: number
  actual_cost: number
  failure_reason: string | null
  expires_at: Date
  metadata: Record<string, unknown> | null
}

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
  if (!job) throw noSuchJob()
  return job
}
