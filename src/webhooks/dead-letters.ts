import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** What becomes of many messages at once, in batches that hold their locks briefly. */

const BATCH = 500
/** Batches that one call does at most. */
const MAX_BATCHES = 20

type Key = { account_id: string; id: string }
type Keys = { account_ids: string[]; ids: string[] }

// In index order, so that each batch reads only its own rows. Locks are taken by the statement that changes them.
const deadOf = statement<{ endpoint_id: string; message_id: string | null; limit: number }, Key>(
  'webhooks_dead',
  `select account_id, id from webhook_messages
  where endpoint_id = $endpoint_id::uuid and status = 'dead' and ($message_id::uuid is null or id = $message_id::uuid)
  order by created_at limit $limit::int`,
)

const allOf = statement<{ endpoint_id: string; limit: number }, Key>(
  'webhooks_of_endpoint',
  'select account_id, id from webhook_messages where endpoint_id = $endpoint_id::uuid limit $limit::int',
)

const NAMED = `account_id = any($account_ids::uuid[])
  and (account_id, id) in (select * from unnest($account_ids::uuid[], $ids::uuid[]))`

const revive = statement<Keys, { id: string }>(
  'webhooks_replay',
  `update webhook_messages set status = 'pending', attempts = 0, last_error = null, next_attempt_at = now(),
    give_up_at = now() + interval '3 days'
  where status = 'dead' and ${NAMED} returning id`,
)

const dropDead = statement<Keys, { id: string }>(
  'webhooks_dismiss',
  `delete from webhook_messages where status = 'dead' and ${NAMED} returning id`,
)

const drop = statement<Keys, { id: string }>(
  'webhooks_remove',
  `delete from webhook_messages where ${NAMED} returning id`,
)

interface Done {
  count: number
  /** There are more; another call goes on */
  more: boolean
}

/** Changes what `read` finds until it finds nothing. */
async function inBatches(db: Db, read: () => Promise<Key[]>, change: typeof drop): Promise<Done> {
  let count = 0
  for (let batch = 0; batch < MAX_BATCHES; batch++) {
    const keys = await read()
    if (keys.length === 0) return { count, more: false }
    const account_ids = keys.map(({ account_id }) => account_id)
    count += (await change(db, { account_ids, ids: keys.map(({ id }) => id) })).length
    if (keys.length < BATCH) return { count, more: false }
  }
  return { count, more: true }
}

/** Tries an endpoint's dead messages for another three days. @param message_id only this one */
export const replayDead = (db: Db, endpoint_id: string, message_id: string | null = null): Promise<Done> =>
  inBatches(db, () => deadOf(db, { endpoint_id, message_id, limit: BATCH }), revive)

/** Deletes an endpoint's dead messages. @param message_id only this one */
export const dismissDead = (db: Db, endpoint_id: string, message_id: string | null = null): Promise<Done> =>
  inBatches(db, () => deadOf(db, { endpoint_id, message_id, limit: BATCH }), dropDead)

/** Deletes the messages of an endpoint that was removed. What is left after many batches, the clean-up deletes. */
export const removeMessagesOf = (db: Db, endpoint_id: string): Promise<Done> =>
  inBatches(db, () => allOf(db, { endpoint_id, limit: BATCH }), drop)
