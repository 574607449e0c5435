import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/**
 * Which rows are old. A row is kept for as long as an answer refers to it: a device code for a day ("expired"), a token
 * for 30 days after its end ("expired, log in again").
 */
const OLD = {
  device_codes: { key: { device_code_hash: 'text' }, old: `expires_at < now() - interval '1 day'` },
  tokens: { key: { id: 'uuid' }, old: `least(expires_at, revoked_at) < now() - interval '30 days'` },
  sessions: { key: { session_hash: 'text' }, old: 'expires_at < now()' },
  handed_out_tokens: { key: { token_hash: 'text' }, old: 'expires_at < now()' },
  attempts: { key: { kind: 'text', subject: 'text' }, old: 'expires_at < now()' },
} as const

type Table = keyof typeof OLD

/** Rows per statement, so that none holds its locks for long; and statements per table and pass. */
const BATCH = 500
const MAX_BATCHES = 100

const deletions = Object.entries(OLD).map(([table, { key, old }]) => {
  const columns = Object.keys(key)
  const params = Object.entries(key).map(([column, type]) => `$${column}::${type}[]`)
  return {
    table: table as Table,
    columns,
    // Skips rows that another replica is deleting.
    lock: statement<Record<never, never>, Record<string, string>>(
      `find_old_${table}`,
      `select ${columns} from ${table} where ${old} limit ${BATCH} for update skip locked`,
    ),
    // By key: a reference table of a Citus cluster has a copy on every node, and each must delete the same rows.
    remove: statement<Record<string, unknown>, never>(
      `delete_old_${table}`,
      `delete from ${table} where (${columns}) in (select * from unnest(${params}))`,
    ),
  }
})

/** @returns how many rows were deleted */
async function deleteBatch(db: Db, { columns, lock, remove }: (typeof deletions)[number]): Promise<number> {
  return db.transaction().execute(async (trx) => {
    const rows = await lock(trx, {})
    const keys = columns.map((column) => [column, rows.map((row) => row[column])])
    if (rows.length) await remove(trx, Object.fromEntries(keys))
    return rows.length
  })
}

/**
 * One pass over all tables, in bounded batches; replicas may run it at the same time.
 * @param signal ends the pass between two batches
 * @returns how many rows were deleted, by table
 */
export async function cleanUp(db: Db, signal?: AbortSignal): Promise<Record<Table, number>> {
  const counts = { device_codes: 0, tokens: 0, sessions: 0, handed_out_tokens: 0, attempts: 0 }
  for (const deletion of deletions) {
    for (let batch = 0; batch < MAX_BATCHES && !signal?.aborted; batch++) {
      const deleted = await deleteBatch(db, deletion)
      counts[deletion.table] += deleted
      if (deleted < BATCH) break
    }
  }
  return counts
}
