import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** The outbox: what apps are to be told, written by the very statement that makes it true. */

export const EVENTS = ['job.completed', 'job.failed', 'account.negative', 'account.low'] as const
export type Event = (typeof EVENTS)[number]

/**
 * SQL of an INSERT for a CTE of a ledger statement: one message for each event that happened and each endpoint that
 * subscribes to it; no row where none does.
 * @param from the statement's CTEs that it reads
 * @param endpoints SQL condition: which endpoints hear of it
 * @param credits SQL: spendable credits, after and before
 * @param job SQL of the job as JSON, and its status; absent: an account's event without a job
 * @param account SQL of the account's id
 */
export const announce = (
  from: string,
  endpoints: string,
  credits: { after: string; before: string },
  job?: { json: string; status: string },
  account = '$account_id::uuid',
): string => `
    insert into webhook_messages (account_id, endpoint_id, event, payload)
    select ${account}, endpoint.id, happened.event, jsonb_build_object(
      'type', happened.event, 'timestamp', now(),
      'data', jsonb_build_object('account_id', ${account}, 'credits', ${credits.after}
        ${job ? `, 'job', ${job.json}` : ''}))
    from ${from}, webhook_endpoints endpoint cross join lateral (values
      ${job ? `('job.' || ${job.status}, true),` : ''}
      ('account.negative', ${credits.after} < 0 and ${credits.before} >= 0),
      ('account.low', ${credits.after} < endpoint.low_credits and ${credits.before} >= endpoint.low_credits)
    ) as happened (event, yes)
    where ${endpoints} and happened.yes and happened.event = any(endpoint.events)`

/** Whether anybody listens, per database, as it was last read. */
const heard = new WeakMap<Db, boolean>()

const anyEndpoint = statement<Record<never, never>, { id: string }>(
  'webhook_any',
  'select id from webhook_endpoints limit 1',
)

/** Reads whether anybody listens; every replica does so every two seconds. */
export async function readEndpoints(db: Db): Promise<void> {
  heard.set(db, (await anyEndpoint(db, {})).length > 0)
}

/**
 * A ledger statement that writes the outbox too: but not while nobody listens, because looking for endpoints costs a
 * sixth of the statement. Before it is known, somebody may listen.
 * @param text its SQL, with the place where the outbox's CTE goes
 * @param announcements SQL of `announce`
 */
export function announcing<Params extends Record<string, unknown>, Row>(
  name: string,
  text: (told: string) => string,
  ...announcements: string[]
) {
  const quiet = statement<Params, Row>(name, text(''))
  const told = announcements.map((announcement, i) => `, told_${i} as (${announcement}\n  )`)
  const telling = statement<Params, Row>(`${name}_told`, text(told.join('')))
  /** @param home whose endpoints are meant, where `db` is but a connection of it */
  const run = (db: Db, params: Params, home = db) => (heard.get(home) === false ? quiet : telling)(db, params)
  return Object.assign(run, { sql: quiet.sql, order: quiet.order })
}

export interface Claimed {
  account_id: string
  id: string
  attempts: number
  url: string
  secret: string
  payload: Record<string, unknown>
}

type Due = { account_id: string; id: string; attempts: number }

/** Messages whose time has come, read without a lock: whoever claims one first has it. */
export const dueMessages = statement<{ limit: number }, Due>(
  'webhooks_due',
  `select account_id, id, attempts from webhook_messages
  where status = 'pending' and next_attempt_at <= now() order by next_attempt_at limit $limit::int`,
)

/** Takes a message for so many seconds; after them, it is due again: the process that has it may be gone. */
export const claim = statement<Due & { seconds: number }, Claimed>(
  'webhook_claim',
  `update webhook_messages message
  set attempts = message.attempts + 1, next_attempt_at = now() + make_interval(secs => $seconds::int)
  from webhook_endpoints endpoint
  where message.account_id = $account_id::uuid and message.id = $id::uuid and message.attempts = $attempts::int
    and message.status = 'pending' and message.next_attempt_at <= now() and endpoint.id = message.endpoint_id
  returning message.account_id, message.id, message.attempts, message.payload, endpoint.url, endpoint.secret`,
)

export const arrived = statement<Due, { id: string }>(
  'webhook_arrived',
  `delete from webhook_messages
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int returning id`,
)

/** Later again, or dead when its days are over. */
export const failed = statement<Due & { seconds: number; error: string }, { status: string }>(
  'webhook_failed',
  `update webhook_messages
  set last_error = $error, next_attempt_at = later.at, status = case when later.at > give_up_at then 'dead' else 'pending' end
  from (select now() + make_interval(secs => $seconds::int) as at) as later
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int and status = 'pending'
  returning status`,
)

/** A message to an endpoint that was removed while the message was written: there is nobody to tell. */
export const dropOrphan = statement<Due, { id: string }>(
  'webhook_orphan',
  `delete from webhook_messages message where account_id = $account_id::uuid and id = $id::uuid
    and not exists (select from webhook_endpoints where id = message.endpoint_id) returning id`,
)
