import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { FIRST_ID } from '../http/pages.ts'
import { expire, type Ledger } from '../ledger/operations.ts'

const BATCH = 100

export type JobKey = {
  account_id: string
  job_id: string
}

export interface SweepOptions {
  /** Called for each hold that could not be released. The sweep continues; the next sweep tries the hold again */
  onFailure?: (error: Error, job: JobKey) => void
  signal?: AbortSignal
}

/**
 * Releases every overdue hold. Job ids are read without locks, 100 at a time, and posted together. Any number of replicas may sweep
 * concurrently: each hold is checked again under its account's lock.
 * @returns how many holds this call released
 * @throws {DatabaseUnavailable}; without `onFailure` also what posting throws
 */
export async function sweepHolds(db: Db, ledger: Ledger, { onFailure, signal }: SweepOptions = {}): Promise<number> {
  let released = 0
  let after: OverdueKey = { expiry: '-infinity', account_id: FIRST_ID, job_id: FIRST_ID }
  for (;;) {
    const batch = await overdue(db, { ...after, limit: BATCH })
    if (signal?.aborted) return released
    const results = await Promise.allSettled(
      batch.map(({ account_id, job_id }) => expire(ledger, { account_id, job_id })),
    )
    for (const [n, result] of results.entries()) {
      if (result.status === 'fulfilled') {
        if (result.value) released++
      } else {
        if (!onFailure || result.reason instanceof DatabaseUnavailable) throw result.reason
        onFailure(result.reason, batch[n] as JobKey)
      }
    }
    const last = batch.at(-1)
    if (!last || batch.length < BATCH) return released
    after = last
  }
}

/** A cursor in the order of expiry. The time is text, because a Date would lose its microseconds. */
type OverdueKey = JobKey & { expiry: string }

// Closed accounts are included: an earlier release did not release the holds of an account when it closed it.
// The text of the time must not be named expires_at: in the query that Citus sends to a shard, ORDER BY expires_at would refer to the text.
const overdue = statement<OverdueKey & { limit: number }, OverdueKey>(
  'overdue',
  `select jobs.account_id, jobs.id as job_id, jobs.expires_at::text as expiry
  from jobs
  where jobs.status = 'started' and jobs.actual_cost = 0 and jobs.expires_at <= now()
    and (jobs.expires_at, jobs.account_id, jobs.id) > ($expiry::timestamptz, $account_id::uuid, $job_id::uuid)
  order by jobs.expires_at, jobs.account_id, jobs.id
  limit $limit::int`,
)
