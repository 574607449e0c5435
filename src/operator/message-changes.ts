import type { Db } from '../db/tables.ts'
import type { Done } from '../webhooks/batches.ts'
import { dismissDead, replayDead } from '../webhooks/dead-letters.ts'
import { TEST_EVENT } from '../webhooks/queue.ts'
import { type Actor, recordAction } from './actions.ts'
import { readEndpoint } from './endpoint-changes.ts'

/** Changes of a webhook endpoint's messages by an administrator. */

/** Queues a test message, which is attempted once. @returns its id @throws {ApiError} 404 webhook_endpoint_not_found */
export async function sendTest(db: Db, actor: Actor, endpoint_id: string): Promise<string> {
  await readEndpoint(db, endpoint_id)
  const payload = { type: TEST_EVENT, timestamp: new Date().toISOString(), data: { endpoint_id } }
  return db.transaction().execute(async (trx) => {
    const { id } = await trx
      .insertInto('webhook_messages')
      .values({
        ...{ account_id: actor.id, endpoint_id, event: TEST_EVENT, status: 'test' },
        payload: JSON.stringify(payload),
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const action = { action: 'sendTestWebhook', target: `webhook ${endpoint_id}`, after: { message_id: id } }
    await recordAction(trx, actor, action)
    return id
  })
}

/**
 * Delivers an endpoint's dead messages again, for another three days, or deletes them. The messages and the line of the audit log are
 * changed in one transaction.
 * @param message_id only this one; absent: all
 * @throws {ApiError} 404 webhook_endpoint_not_found
 */
export async function settleDead(
  db: Db,
  actor: Actor,
  what: 'replay' | 'dismiss',
  endpoint_id: string,
  message_id?: string,
): Promise<Done> {
  await readEndpoint(db, endpoint_id)
  const [action, change] =
    what === 'replay' ? ['replayWebhookMessages', replayDead] : (['dismissDeadWebhookMessages', dismissDead] as const)
  return db.transaction().execute(async (trx) => {
    const done = await change(trx, endpoint_id, message_id)
    if (done.count > 0) {
      const after = { messages: done.count, ...(message_id && { message_id }) }
      await recordAction(trx, actor, { action, target: `webhook ${endpoint_id}`, after })
    }
    return done
  })
}
