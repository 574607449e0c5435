import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { BATCH, type Done, dropMessages, inBatches, type Key, NAMED } from './batches.ts'

/** Replays and deletes messages that were given up, and deletes the messages of removed endpoints. */

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

/** Exported for the test that checks their query plans. */
export const DEAD_LETTER_READS = [deadOf, allOf]

const revive = statement<{ account_ids: string[]; ids: string[] }, { id: string }>(
  'webhooks_replay',
  `update webhook_messages set status = 'pending', attempts = 0, last_error = null, next_attempt_at = now(),
    give_up_at = now() + interval '3 days'
  where status = 'dead' and ${NAMED} returning id`,
)

const dropDead = statement<{ account_ids: string[]; ids: string[] }, { id: string }>(
  'webhooks_dismiss',
  `delete from webhook_messages where status = 'dead' and ${NAMED} returning id`,
)

/** Delivers an endpoint's dead messages again, for another three days. @param message_id only this one; null: all */
export const replayDead = (db: Db, endpoint_id: string, message_id: string | null = null): Promise<Done> =>
  inBatches(db, () => deadOf(db, { endpoint_id, message_id, limit: BATCH }), revive)

/** Deletes an endpoint's dead messages. @param message_id only this one; null: all */
export const dismissDead = (db: Db, endpoint_id: string, message_id: string | null = null): Promise<Done> =>
  inBatches(db, () => deadOf(db, { endpoint_id, message_id, limit: BATCH }), dropDead)

/** Deletes the messages of an endpoint that was removed. The clean-up deletes what is left after 20 batches. */
export const removeMessagesOf = (db: Db, endpoint_id: string): Promise<Done> =>
  inBatches(db, () => allOf(db, { endpoint_id, limit: BATCH }), dropMessages)
