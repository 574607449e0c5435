import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/**
 * Changes many rows in batches, each of which holds its locks briefly. Keys are read first, without locks, and the rows are changed by
 * key, so that Citus can route each row to its node.
 */

export const BATCH = 500

export type Key = { account_id: string; id: string }
type Keys = { account_ids: string[]; ids: string[] }
export type Change = (db: Db, keys: Keys) => Promise<{ id: string }[]>

/** SQL condition that selects the rows of a batch. */
export const NAMED = `account_id = any($account_ids::uuid[])
  and (account_id, id) in (select * from unnest($account_ids::uuid[], $ids::uuid[]))`

export const dropMessages = statement<Keys, { id: string }>(
  'webhooks_drop',
  `delete from webhook_messages where ${NAMED} returning id`,
)

export interface Done {
  count: number
  /** Whether rows are left; call it again to continue */
  more: boolean
}

interface Limits {
  maxBatches?: number
  /** Stops between two batches */
  signal?: AbortSignal | undefined
}

/**
 * Repeats `read` and `change` until `read` finds less than a full batch.
 * @param read returns at most `BATCH` keys of rows that are still to be changed
 */
export async function inBatches(
  db: Db,
  read: () => Promise<Key[]>,
  change: Change,
  { maxBatches = 20, signal }: Limits = {},
): Promise<Done> {
  let count = 0
  for (let batch = 0; batch < maxBatches && !signal?.aborted; batch++) {
    const keys = await read()
    if (keys.length === 0) return { count, more: false }
    const account_ids = keys.map(({ account_id }) => account_id)
    count += (await change(db, { account_ids, ids: keys.map(({ id }) => id) })).length
    if (keys.length < BATCH) return { count, more: false }
  }
  return { count, more: true }
}
