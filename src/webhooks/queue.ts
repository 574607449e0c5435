import { v7 as uuidv7 } from 'uuid'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import type { Attempt } from './delivery.ts'

/** The statements of the dispatcher: leases of endpoints, claims of messages, the log of attempts. */

/** When a lease or a claim expires if its replica has died. Longer than a turn with its last delivery. */
const LEASE_SECONDS = 45
const CLAIM_SECONDS = 60

/** An endpoint as the dispatcher sees it. */
export interface Candidate {
  id: string
  app_slug: string
  /** Consecutive failed attempts */
  failures: number
  /** It is not paused, and its wait after failures is over */
  ready: boolean
  /** A replica is delivering to it */
  leased: boolean
}

export const candidates = statement<Record<never, never>, Candidate>(
  'webhook_candidates',
  `select endpoint.id, endpoint.app_slug, coalesce(state.failures, 0) as failures,
    endpoint.paused_at is null and coalesce(state.retry_at <= now(), true) as ready,
    coalesce(state.leased_until > now(), false) as leased
  from webhook_endpoints endpoint left join webhook_delivery_state state on state.endpoint_id = endpoint.id
  order by random()`,
)

/** A message's key, and the number of its attempts when it was read. */
export type MessageKey = { account_id: string; id: string; attempts: number }

/** An endpoint's due messages, read without locks. */
export const dueMessages = statement<{ endpoint_id: string; limit: number }, MessageKey>(
  'webhooks_due',
  `select account_id, id, attempts from webhook_messages
  where endpoint_id = $endpoint_id::uuid and status = 'pending' and next_attempt_at <= now()
  order by next_attempt_at limit $limit::int`,
)

/** Due test messages of all endpoints. They are also sent to endpoints that are paused or must not be tried yet. */
export const dueTests = statement<{ limit: number }, MessageKey & { endpoint_id: string }>(
  'webhook_tests_due',
  `select account_id, id, attempts, endpoint_id from webhook_messages
  where status = 'test' and next_attempt_at <= now() order by next_attempt_at limit $limit::int`,
)

/** Leases an endpoint. No row: another replica has the lease, or the endpoint must not be tried yet (which does not stop a test). */
export const lease = statement<
  { endpoint_id: string; replica: string; test: boolean; seconds: number },
  { failures: number }
>(
  'webhook_lease',
  `insert into webhook_delivery_state as state (endpoint_id, leased_by, leased_until)
  values ($endpoint_id::uuid, $replica::uuid, now() + make_interval(secs => $seconds::int))
  on conflict (endpoint_id) do update set leased_by = excluded.leased_by, leased_until = excluded.leased_until
  where state.leased_until <= now() and ($test::bool or state.retry_at <= now())
  returning failures`,
)

export const takeLease = (db: Db, endpoint_id: string, replica: string, test = false) =>
  lease(db, { endpoint_id, replica, test, seconds: LEASE_SECONDS })

export const release = statement<{ endpoint_id: string; replica: string }, never>(
  'webhook_release',
  `update webhook_delivery_state set leased_until = now()
  where endpoint_id = $endpoint_id::uuid and leased_by = $replica::uuid`,
)

/** Counts a failed attempt of an endpoint. `seconds`: how long it must not be tried */
export const noteFailure = statement<{ endpoint_id: string; seconds: number; error: string }, { failures: number }>(
  'webhook_failing',
  `update webhook_delivery_state set failures = failures + 1, failing_since = coalesce(failing_since, now()),
    retry_at = now() + make_interval(secs => $seconds::int), last_error = $error
  where endpoint_id = $endpoint_id::uuid returning failures`,
)

export const noteRecovery = statement<{ endpoint_id: string }, never>(
  'webhook_recovered',
  `update webhook_delivery_state set failures = 0, failing_since = null, retry_at = '-infinity', last_error = null
  where endpoint_id = $endpoint_id::uuid`,
)

/** Pauses an endpoint that answered 410 Gone. */
export const pauseGone = statement<{ endpoint_id: string }, { id: string }>(
  'webhook_gone',
  `update webhook_endpoints set paused_at = now(), pause_reason = 'gone'
  where id = $endpoint_id::uuid and paused_at is null returning id`,
)

export interface Claimed extends MessageKey {
  endpoint_id: string
  event: string
  /** JSON, with the digits of numbers as they were written */
  payload: string
  url: string
  secret: string
  previous_secret: string | null
  previous_secret_until: Date | null
}

/** Claims a message for `seconds`. No row: another replica claimed it, its endpoint is paused, or it was deleted. */
const claim = statement<MessageKey & { seconds: number }, Claimed>(
  'webhook_claim',
  `update webhook_messages message
  set attempts = message.attempts + 1, next_attempt_at = now() + make_interval(secs => $seconds::int)
  from webhook_endpoints endpoint
  where message.account_id = $account_id::uuid and message.id = $id::uuid and message.attempts = $attempts::int
    and message.status in ('pending', 'test') and message.next_attempt_at <= now() and endpoint.id = message.endpoint_id
    and (endpoint.paused_at is null or message.status = 'test')
  returning message.account_id, message.id, message.attempts, message.endpoint_id, message.event, message.payload::text as payload,
    endpoint.url, endpoint.secret, endpoint.previous_secret, endpoint.previous_secret_until`,
)

export async function claimMessage(db: Db, { account_id, id, attempts }: MessageKey): Promise<Claimed | undefined> {
  const [claimed] = await claim(db, { account_id, id, attempts, seconds: CLAIM_SECONDS })
  return claimed
}

/** Releases the claim of a message whose attempt was aborted. */
export const unclaim = statement<MessageKey, never>(
  'webhook_unclaim',
  `update webhook_messages set next_attempt_at = now(), attempts = attempts - 1
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int`,
)

const removeMessage = statement<MessageKey, never>(
  'webhook_arrived',
  `delete from webhook_messages
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int`,
)

/** Schedules the next attempt. When that would be after `give_up_at`, marks the message as dead. */
const postpone = statement<MessageKey & { seconds: number; error: string }, { status: string; next_attempt_at: Date }>(
  'webhook_failed',
  `update webhook_messages
  set last_error = $error, next_attempt_at = later.at, status = case when later.at > give_up_at then 'dead' else 'pending' end
  from (select now() + make_interval(secs => $seconds::int) as at) as later
  where account_id = $account_id::uuid and id = $id::uuid and attempts = $attempts::int and status = 'pending'
  returning status, next_attempt_at`,
)

const closed = statement<{ account_id: string }, { id: string }>(
  'webhook_account_closed',
  'select id from accounts where id = $account_id::uuid and closed_at is not null',
)

type Logged = Omit<Attempt, 'retry_after'> & {
  account_id: string
  id: string
  endpoint_id: string
  message_id: string
  event: string
  attempt: number
  next_attempt_at: Date | null
}

const insertAttempt = statement<Logged, never>(
  'webhook_attempt',
  `insert into webhook_attempts
    (account_id, id, endpoint_id, message_id, event, attempt, ms, status, answer, error, next_attempt_at)
  values ($account_id::uuid, $id::uuid, $endpoint_id::uuid, $message_id::uuid, $event, $attempt::int, $ms::int,
    $status::int, $answer, $error, $next_attempt_at::timestamptz)`,
)

/**
 * Logs an attempt, and deletes the message if it was delivered or is a test; otherwise schedules its next attempt or marks it as dead.
 * @param seconds until the next attempt
 */
export async function record(db: Db, claimed: Claimed, attempt: Attempt, seconds: number): Promise<void> {
  const { account_id, id, attempts, endpoint_id, event } = claimed
  const key = { account_id, id, attempts }
  const { error, status, ms } = attempt
  await db.transaction().execute(async (trx) => {
    let next_attempt_at: Date | null = null
    if (error === null || event === TEST_EVENT) await removeMessage(trx, key)
    else {
      const [message] = await postpone(trx, { ...key, seconds, error })
      if (message?.status === 'pending') next_attempt_at = message.next_attempt_at
    }
    // Erasing an account closes it and then clears the logged answers. An answer logged after that would stay.
    const [gone] = await closed(trx, { account_id })
    const answer = gone ? null : attempt.answer
    const logged = { endpoint_id, message_id: id, event, attempt: attempts, next_attempt_at }
    await insertAttempt(trx, { account_id, id: uuidv7(), ...logged, error, status, answer, ms })
  })
}

/** The event of a message that an administrator sends to test an endpoint. */
export const TEST_EVENT = 'test'
