import type { Kysely } from 'kysely'
import { statement } from './db/statement.ts'
import type { Tables } from './db/tables.ts'
import { repeat } from './repeat.ts'

/**
 * Old rows are deleted in the background. Each is kept for as long as it has something to say: a device code for a
 * day ("expired"), a token for 30 days after its end ("expired, log in again").
 */
const OLD = {
  device_codes: { key: 'device_code_hash', old: `expires_at < now() - interval '1 day'` },
  tokens: { key: 'id', old: `least(expires_at, revoked_at) < now() - interval '30 days'` },
  sessions: { key: 'session_hash', old: 'expires_at < now()' },
  attempts: { key: '(kind, subject)', old: 'expires_at < now()' },
} as const

type Table = keyof typeof OLD

const EVERY_MS = 600_000
/** Rows per statement, so that none holds its locks for long; and statements per table and pass. */
const BATCH = 500
const MAX_BATCHES = 100

const deletions = Object.entries(OLD).map(([table, { key, old }]) => {
  const columns = key.replace(/[()]/g, '')
  return {
    table: table as Table,
    // Rows that another replica is deleting are passed over, not waited for.
    run: statement<Record<never, never>, { deleted: number }>(
      `clean_${table}`,
      `with old as materialized (
        select ${columns} from ${table} where ${old} limit ${BATCH} for update skip locked
      ), deleted as (
        delete from ${table} where ${key} in (select ${columns} from old) returning 1
      )
      select count(*) as deleted from deleted`,
    ),
  }
})

/**
 * One pass over all tables, in bounded batches; replicas may run it at the same time.
 * @param signal ends the pass between two batches
 * @returns how many rows were deleted, by table
 */
export async function clean(db: Kysely<Tables>, signal?: AbortSignal): Promise<Record<Table, number>> {
  const counts = { device_codes: 0, tokens: 0, sessions: 0, attempts: 0 }
  for (const { table, run } of deletions) {
    for (let batch = 0; batch < MAX_BATCHES && !signal?.aborted; batch++) {
      const [row] = await run(db, {})
      const deleted = row?.deleted ?? 0
      counts[table] += deleted
      if (deleted < BATCH) break
    }
  }
  return counts
}

/**
 * Cleans from time to time, without keeping the process alive.
 * @returns stops it, and resolves when no pass is under way any more
 */
export function startCleaning(db: Kysely<Tables>, onFailure: (error: Error) => void): () => Promise<void> {
  return repeat(EVERY_MS, (signal) => clean(db, signal), onFailure)
}
