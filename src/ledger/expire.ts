import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { expire } from './settle.ts'

/** The most holds that one request gives back for its account. */
const OWN_BATCH = 200

/**
 * Gives an account's own overdue holds back, the largest first, until so many credits have come back.
 * @param credits above 0
 */
export async function releaseOverdue(db: Db, accountId: string, credits: number): Promise<void> {
  const jobs = await overdueOf(db, { account_id: accountId, limit: OWN_BATCH })
  let missing = credits
  for (const { job_id, reserved } of jobs) {
    if (missing <= 0) break
    await expire(db, { account_id: accountId, job_id })
    missing -= reserved
  }
}

const overdueOf = statement<{ account_id: string; limit: number }, { job_id: string; reserved: number }>(
  'overdue_of',
  `select id as job_id, reserved from jobs
  where account_id = $account_id::uuid and status = 'started' and expires_at <= now() and reserved > 0
  order by reserved desc, id limit $limit::int`,
)
