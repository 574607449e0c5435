import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { BATCH, dropMessages, inBatches, type Key, NAMED } from './batches.ts'

/** Deletes old messages and attempts, and clears those of erased accounts. */

/** Batches per kind and clean-up. */
const MAX_BATCHES = 100

const endpointIds = statement<Record<never, never>, { id: string }>(
  'webhook_endpoint_ids',
  'select id from webhook_endpoints',
)

// A claimed message has a later `next_attempt_at`: its attempt will schedule it again or mark it as dead.
const overdue = statement<{ endpoint_id: string; limit: number }, Key>(
  'webhooks_overdue',
  `select account_id, id from webhook_messages
  where endpoint_id = $endpoint_id::uuid and status = 'pending' and give_up_at < now() and next_attempt_at <= now()
  order by give_up_at limit $limit::int`,
)

const giveUp = statement<{ account_ids: string[]; ids: string[] }, { id: string }>(
  'webhooks_give_up',
  `update webhook_messages
  set status = 'dead', last_error = coalesce(last_error, 'Not tried: the endpoint was paused or failed.')
  where status = 'pending' and next_attempt_at <= now() and ${NAMED} returning id`,
)

const oldDead = statement<{ limit: number }, Key>(
  'webhooks_old',
  `select account_id, id from webhook_messages
  where status = 'dead' and give_up_at < now() - interval '30 days' order by give_up_at limit $limit::int`,
)

const orphans = statement<{ limit: number }, Key>(
  'webhook_orphans',
  `select account_id, id from webhook_messages
  where not exists (select from webhook_endpoints where webhook_endpoints.id = webhook_messages.endpoint_id)
  limit $limit::int`,
)

const oldAttempts = statement<{ limit: number }, Key>(
  'webhook_attempts_old',
  `select account_id, id from webhook_attempts
  where attempted_at < now() - interval '7 days' order by attempted_at limit $limit::int`,
)

/** Exported for the test that checks their query plans. */
export const RETENTION_READS = [overdue, oldDead, oldAttempts]

const dropAttempts = statement<{ account_ids: string[]; ids: string[] }, { id: string }>(
  'webhook_attempts_drop',
  `delete from webhook_attempts where ${NAMED} returning id`,
)

// Read and deleted apart: on a cluster the states are on the coordinator and the endpoints on every node, and a DELETE does not join them.
const stateOrphans = statement<Record<never, never>, { id: string }>(
  'webhook_state_orphans',
  `select endpoint_id as id from webhook_delivery_state
  where endpoint_id not in (select id from webhook_endpoints) and leased_until < now()`,
)

const dropStates = statement<{ ids: string[] }, never>(
  'webhook_states_drop',
  'delete from webhook_delivery_state where endpoint_id = any($ids::uuid[]) and leased_until < now()',
)

/**
 * Marks messages as dead after three days, whether they were tried or not. Deletes dead messages after 30 more days, logged attempts after
 * seven days, and everything of removed endpoints. Several replicas may run it at the same time.
 */
export async function cleanUpWebhooks(db: Db, signal?: AbortSignal): Promise<void> {
  const limits = { maxBatches: MAX_BATCHES, signal }
  const limit = BATCH
  for (const { id: endpoint_id } of await endpointIds(db, {}))
    await inBatches(db, () => overdue(db, { endpoint_id, limit }), giveUp, limits)
  await inBatches(db, () => oldDead(db, { limit }), dropMessages, limits)
  await inBatches(db, () => orphans(db, { limit }), dropMessages, limits)
  await dropStates(db, { ids: (await stateOrphans(db, {})).map(({ id }) => id) })
  await inBatches(db, () => oldAttempts(db, { limit }), dropAttempts, limits)
}

const PAGE = 1_000

const clearPayloads = statement<{ account_id: string; limit: number }, { id: string }>(
  'webhooks_clear',
  `update webhook_messages set payload = jsonb_set(payload, '{data,job,metadata}', 'null')
  where account_id = $account_id::uuid and id in (select id from webhook_messages
    where account_id = $account_id::uuid and jsonb_typeof(payload #> '{data,job,metadata}') = 'object' limit $limit::int)
  returning id`,
)

const clearAnswers = statement<{ account_id: string; limit: number }, { id: string }>(
  'webhook_attempts_clear',
  `update webhook_attempts set answer = null
  where account_id = $account_id::uuid and id in (select id from webhook_attempts
    where account_id = $account_id::uuid and answer is not null limit $limit::int)
  returning id`,
)

/**
 * Clears the job metadata in an account's messages, and the logged answers of receivers, which may repeat it. Waiting messages are still
 * delivered, with amounts and ids. The account must be closed, because answers are logged for open accounts only.
 */
export async function eraseMessages(db: Db, account_id: string): Promise<void> {
  for (const clear of [clearPayloads, clearAnswers])
    while ((await clear(db, { account_id, limit: PAGE })).length === PAGE);
}
