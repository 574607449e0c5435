import type { Kysely } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import type { EntryKind, Tables } from '../../src/db/tables.ts'

type Db = Kysely<Tables>

interface Movement {
  at: Date
  amount: number
  kind?: EntryKind
  job_id?: string
  reference?: string
}

/**
 * Inserts entries dated in the past (gifts and corrections, oldest first), as the ledger would have written them.
 */
export async function past(db: Db, account_id: string, movements: Movement[]) {
  for (const { at: created_at, amount, kind = 'adjustment', job_id = null, reference = null } of movements) {
    const { seq, credits } = await db
      .updateTable('accounts')
      .set((row) => ({ credits: row('credits', '+', amount), seq: row('seq', '+', 1) }))
      .where('id', '=', account_id)
      .returning(['seq', 'credits'])
      .executeTakeFirstOrThrow()
    await db
      .insertInto('ledger_entries')
      .values({ account_id, seq, kind, amount, balance_after: credits, created_at, job_id, reference })
      .execute()
  }
}

export const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000)

export interface PastJob {
  at: Date
  app?: string
  action?: string
  reserved: number
  /** How it ended; `late`: completed after it had expired. Absent: it has not */
  end?: 'completed' | 'released' | 'kept' | 'late' | undefined
  cost?: number
  token_id?: string | null
  grant_id?: string | null
}

/** Inserts jobs of the past with their entries, oldest first, as the ledger would have written them. @returns their ids */
export async function pastJobs(db: Db, account_id: string, jobs: PastJob[]): Promise<string[]> {
  const ids: string[] = []
  for (const job of jobs) {
    const { at, app: app_slug = 'clips', action = 'render', reserved, end, cost = 0 } = job
    const { token_id = null, grant_id = null } = job
    const id = uuidv7({ msecs: at.getTime() })
    ids.push(id)
    const isCompleted = end === 'completed' || end === 'late'
    const status = end === undefined ? 'started' : isCompleted ? 'completed' : 'failed'
    const actual_cost = isCompleted ? cost : end === 'kept' ? reserved : 0
    const times = { created_at: at, updated_at: at, expires_at: new Date(at.getTime() + 86_400_000) }
    await db
      .insertInto('jobs')
      .values({ ...{ account_id, id, app_slug, action, reserved, actual_cost, status, token_id, grant_id }, ...times })
      .execute()
    const entries: [kind: EntryKind, amount: number][] = [['job_reserve', -reserved]]
    if (end === 'released') entries.push(['job_release', reserved])
    if (end === 'completed') entries.push([cost < reserved ? 'job_refund' : 'job_overage', reserved - cost])
    if (end === 'late') entries.push(['job_expire', reserved], ['job_late_charge', -cost])
    const movements = entries
      .filter(([, amount]) => amount !== 0)
      .map(([kind, amount]) => ({ at, kind, amount, job_id: id }))
    await past(db, account_id, movements)
    if (end !== undefined) continue
    await db
      .updateTable('accounts')
      .set((row) => ({ held: row('held', '+', reserved) }))
      .where('id', '=', account_id)
      .execute()
  }
  return ids
}
