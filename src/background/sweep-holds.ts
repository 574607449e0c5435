import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { expire, type JobKey } from '../ledger/settle.ts'

const BATCH = 100

export interface SweepOptions {
  /** Called for each hold that could not be released; the sweep goes on, and the next one retries it */
  onFailure?: (error: Error, job: JobKey) => void
  signal?: AbortSignal
}

/**
 * Releases every overdue hold. Job ids are read in batches without locks, and each job expires in its own transaction: any
 * number of replicas may sweep at once, and no transaction touches two accounts.
 * @returns how many holds this call released
 * @throws {DatabaseUnavailable}
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

/** Keyset cursor in order of expiry. The time is text, because a Date would lose its microseconds. */
type OverdueKey = { account_id: string; job_id: string; expires_at: string }
const NIL = '00000000-0000-0000-0000-000000000000'

// Holds of closed accounts are excluded: they cannot be released and would fill every batch.
const overdue = statement<OverdueKey & { limit: number }, OverdueKey>(
  'overdue',
  `select jobs.account_id, jobs.id as job_id, jobs.expires_at::text as expires_at
  from jobs join accounts on accounts.id = jobs.account_id and accounts.closed_at is null
  where jobs.status = 'started' and jobs.actual_cost = 0 and jobs.expires_at <= now()
    and (jobs.expires_at, jobs.account_id, jobs.id) > ($expires_at::timestamptz, $account_id::uuid, $job_id::uuid)
  order by jobs.expires_at, jobs.account_id, jobs.id
  limit $limit::int`,
)
