import { sql } from 'kysely'
import type { Db } from '../../db/tables.ts'
import { refundedJobOf } from '../../ledger/history.ts'
import { readable } from '../../ledger/metadata.ts'
import { MAX_REFUND_PARTS, refundReference } from '../../ledger/rules.ts'

/** Entries with the jobs that they belong to or refund, newest first. */
export const readEntries = (db: Db, accountId: string) =>
  db
    .selectFrom('ledger_entries as entry')
    .leftJoin('jobs as job', (join) =>
      join
        .onRef('job.account_id', '=', 'entry.account_id')
        .on('job.id', '=', sql<string>`coalesce(entry.job_id, ${sql.raw(refundedJobOf('entry'))})`),
    )
    .select(['entry.seq', 'entry.kind', 'entry.amount', 'entry.balance_after', 'entry.reason', 'entry.created_at'])
    .select(['entry.job_id as own_job_id', 'job.id as job_id', 'job.app_slug', 'job.action'])
    .select(['entry.reference', 'entry.actor'])
    .select(sql.raw<Record<string, unknown> | null>(readable('job.metadata')).as('metadata'))
    .where('entry.account_id', '=', accountId)
    .orderBy('entry.seq', 'desc')

/**
 * The entries of a job, its refunds included. One condition for each partial unique index of a job's entries, and one for its refunds:
 * there is no index on job_id alone.
 */
export const readEntriesOf = (db: Db, accountId: string, { id, refunded }: { id: string; refunded: number }) =>
  readEntries(db, accountId)
    .where(({ and, or, eb }) => {
      const ofJob = eb('entry.job_id', '=', id)
      return or([
        ...(refunded > 0 ? [eb('entry.reference', 'in', refundReferences(id))] : []),
        and([ofJob, eb('entry.kind', '=', 'job_reserve')]),
        and([ofJob, eb('entry.kind', 'in', ['job_refund', 'job_overage', 'job_release', 'job_expire'])]),
        and([ofJob, eb('entry.kind', '=', 'job_late_charge')]),
      ])
    })
    .execute()

const refundReferences = (jobId: string) =>
  Array.from({ length: MAX_REFUND_PARTS }, (_, n) => refundReference(jobId, n + 1))
