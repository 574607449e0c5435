import { sql } from 'kysely'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/**
 * Which rows to delete, as SQL conditions. Expired rows stay for a while, so that a late request gets a specific error: a device code
 * for a day (`expired_token`), a PAT for 30 days (`token_expired` or `token_revoked`), an OAuth access token for a day.
 */
const OLD = {
  device_codes: { key: { device_code_hash: 'text' }, old: `expires_at < now() - interval '1 day'` },
  tokens: {
    key: { id: 'uuid' },
    old: `least(expires_at, revoked_at) < now() - interval '1 day'
      and (authorization_id is not null or least(expires_at, revoked_at) < now() - interval '30 days')`,
  },
  refresh_tokens: { key: { token_hash: 'text' }, old: 'expires_at < now()' },
  authorizations: { key: { id: 'uuid' }, old: `least(expires_at, revoked_at) < now() - interval '1 day'` },
  grants: { key: { id: 'uuid' }, old: `revoked_at < now() - interval '30 days'` },
  sessions: { key: { session_hash: 'text' }, old: 'expires_at < now()' },
  handed_out_tokens: { key: { token_hash: 'text' }, old: 'expires_at < now()' },
  // Needed when a ban is delivered, which Clerk retries for a few days at most.
  app_additions: {
    key: { app_slug: 'text', field: 'text', value: 'text' },
    old: `added_at < now() - interval '30 days'`,
  },
  attempts: { key: { kind: 'text', subject: 'text' }, old: 'expires_at < now()' },
} as const

type Table = keyof typeof OLD

/** Rows per transaction, which bounds how long it holds its locks. */
const BATCH = 500
/** Batches per table and pass. */
const MAX_BATCHES = 100

const deletions = Object.entries(OLD).map(([table, { key, old }]) => {
  const columns = Object.keys(key)
  const params = Object.entries(key).map(([column, type]) => `$${column}::${type}[]`)
  return {
    table: table as Table,
    columns,
    // `skip locked` leaves out rows that another replica is deleting.
    lock: statement<Record<never, never>, Record<string, string>>(
      `find_old_${table}`,
      `select ${columns} from ${table} where ${old} limit ${BATCH} for update skip locked`,
    ),
    // By key: each node of a Citus cluster holds a copy of these tables and must delete the same rows.
    remove: statement<Record<string, unknown>, never>(
      `delete_old_${table}`,
      `delete from ${table} where (${columns}) in (select * from unnest(${params}))`,
    ),
  }
})

/**
 * On a Citus cluster a row lock in a reference table also locks the table against other row locks and writes, on the
 * coordinator and on a worker, and `skip locked` does not skip that lock: a batch waits for `lock_timeout` and then leaves the table to
 * the next pass. Postgres without Citus accepts the `citus.` setting and ignores it.
 */
const LOCK_WAIT = [sql`set local citus.propagate_set_commands = 'local'`, sql`set local lock_timeout = '100ms'`]
const LOCK_NOT_AVAILABLE = '55P03'

/** @returns how many rows were deleted */
async function deleteBatch(db: Db, { columns, lock, remove }: (typeof deletions)[number]): Promise<number> {
  try {
    return await db.transaction().execute(async (trx) => {
      for (const setting of LOCK_WAIT) await setting.execute(trx)
      const rows = await lock(trx, {})
      const keys = columns.map((column) => [column, rows.map((row) => row[column])])
      if (rows.length) await remove(trx, Object.fromEntries(keys))
      return rows.length
    })
  } catch (error) {
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return 0
    throw error
  }
}

/**
 * Deletes budgets whose token or grant has been deleted, which happens long after its last job ended. A budget is written before its
 * token, so budgets younger than a day are left alone.
 */
const dropBudgets = statement<Record<never, never>, { id: string }>(
  'drop_old_budgets',
  `delete from budgets where created_at < now() - interval '1 day'
    and not exists (select from tokens where tokens.id = budgets.id)
    and not exists (select from grants where grants.id = budgets.id)
  returning id`,
)

/** @returns how many budgets were deleted */
export const cleanUpBudgets = async (db: Db): Promise<number> => (await dropBudgets(db, {})).length

/**
 * Deletes old rows from all tables, in bounded batches. Several replicas may run it at the same time.
 * @param signal stops it between two batches
 * @returns how many rows were deleted, by table
 */
export async function cleanUp(db: Db, signal?: AbortSignal): Promise<Record<Table, number>> {
  const counts = Object.fromEntries(deletions.map(({ table }) => [table, 0])) as Record<Table, number>
  for (const deletion of deletions) {
    for (let batch = 0; batch < MAX_BATCHES && !signal?.aborted; batch++) {
      const deleted = await deleteBatch(db, deletion)
      counts[deletion.table] += deleted
      if (deleted < BATCH) break
    }
  }
  return counts
}
