import { NIL_ID } from '../accounts/account-id.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { expire, type Ledger } from '../ledger/operations.ts'

const BATCH = 100

export type JobKey = {
  account_id: string
  job_id: string
}

export interface SweepOptions {
  /** Called for each hold that could not be given back; the others are, and this one at the next sweep */
  onFailure?: (error: Error, job: JobKey) => void
  signal?: AbortSignal
}

/**
 * Gives every overdue hold back. Job ids are read without a lock, a hundred at a time, and expire as one posting. Any number of
 * replicas may sweep at once: under the account's lock each hold is looked at again.
 * @returns how many holds this call gave back
 */
export async function sweepHolds(db: Db, ledger: Ledger, { onFailure, signal }: SweepOptions = {}): Promise<number> {
  let released = 0
  let after: OverdueKey = { expiry: '-infinity', account_id: NIL_ID, job_id: NIL_ID }
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

/** The place of a hold in the order of expiry; the time is text, because a Date would lose its microseconds. */
type OverdueKey = JobKey & { expiry: string }

// The time has another name than its column: in what Citus sends to a shard, ORDER BY would mean the text and not the column.
// Of closed accounts too: an earlier release left their holds behind when it closed them.
const overdue = statement<OverdueKey & { limit: number }, OverdueKey>(
  'overdue',
  `select jobs.account_id, jobs.id as job_id, jobs.expires_at::text as expiry
  from jobs
  where jobs.status = 'started' and jobs.actual_cost = 0 and jobs.expires_at <= now()
    and (jobs.expires_at, jobs.account_id, jobs.id) > ($expiry::timestamptz, $account_id::uuid, $job_id::uuid)
  order by jobs.expires_at, jobs.account_id, jobs.id
  limit $limit::int`,
)
