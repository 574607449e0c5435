import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { expire, type JobKey } from '../ledger/settle.ts'

const BATCH = 100

export interface SweepOptions {
  /** Told of each hold that could not be given back; the others are, and this one at the next sweep */
  onFailure?: (error: Error, job: JobKey) => void
  signal?: AbortSignal
}

/**
 * Gives every overdue hold back. Job ids are read without a lock, a batch at a time, and each is ended by itself: any
 * number of replicas may sweep at once, and no transaction touches two accounts.
 * @returns how many holds this call gave back
 */
export async function sweepHolds(db: Db, { onFailure, signal }: SweepOptions = {}): Promise<number> {
  let released = 0
  let after: OverdueKey = { expires_at: '-infinity', account_id: NIL, job_id: NIL }
  for (;;) {
    const batch = await overdue(db, { ...after, limit: BATCH })
    for (const job of batch) {
      if (signal?.aborted) return released
      try {
        if (await expire(db, job)) released++
      } catch (error) {
        if (!onFailure || error instanceof DatabaseUnavailable) throw error
        onFailure(error as Error, job)
      }
    }
    const last = batch.at(-1)
    if (!last || batch.length < BATCH) return released
    after = last
  }
}

/** The place of a hold in the order of expiry; the time is text, because a Date would lose its microseconds. */
type OverdueKey = { account_id: string; job_id: string; expires_at: string }
const NIL = '00000000-0000-0000-0000-000000000000'

// A closed account posts nothing: its holds would stand at the front of every batch for ever.
const overdue = statement<OverdueKey & { limit: number }, OverdueKey>(
  'overdue',
  `select jobs.account_id, jobs.id as job_id, jobs.expires_at::text as expires_at
  from jobs join accounts on accounts.id = jobs.account_id and accounts.closed_at is null
  where jobs.status = 'started' and jobs.actual_cost = 0 and jobs.expires_at <= now()
    and (jobs.expires_at, jobs.account_id, jobs.id) > ($expires_at::timestamptz, $account_id::uuid, $job_id::uuid)
  order by jobs.expires_at, jobs.account_id, jobs.id
  limit $limit::int`,
)
