import { statement } from '../db/statement.ts'
import type { Db, EntryKind, JobStatus } from '../db/tables.ts'
import { accountClosed, jobAlreadyEnded, jobNotFound, settleKeyRequired } from '../http/catalogue.ts'
import { announce, announcing } from '../webhooks/outbox.ts'
import type { Ledger } from './posting.ts'
import { refuseRange, retried } from './retry.ts'
import { type Ending, EXPIRY, isRepeat, LATE_DAYS, type Movement, refundKind, settlement } from './rules.ts'
import { type Balance, JOB, type JobRow } from './statements.ts'

export interface Settled {
  job: JobRow
  balance: Balance
  movement: Movement | null
  /** The given metadata would have made the job's too large; the job keeps what it had */
  metadata_kept: boolean
}

export type JobKey = {
  account_id: string
  job_id: string
}

/** A job that a caller speaks of. */
export type Claim = JobKey & {
  /** The app whose settle key was shown; null: a person's token, which is not enough where the job's app has a key */
  key_of: string | null
}

/** How a job is to end. */
export type EndWish = Claim & {
  status: JobStatus
  /** Credits; null: what was reserved */
  actual_cost: number | null
  /** The kind of the entry that gives back what is left of the hold */
  refund_kind: EntryKind
  failure_reason: string | null
  /** A JSON object, as text; null leaves the job's alone */
  metadata: string | null
}

/** A job that a statement has ended, and its account's balance after it. */
export type Ended = JobRow & Balance & { metadata_kept: boolean }

/**
 * Ends a job and settles its hold. Repeating the same ending answers the same and moves nothing. A job whose hold has
 * expired is charged for its completion, once.
 * @param metadata a JSON object as text, merged into the job's; null leaves that alone
 * @throws {ApiError} 403 settle_key_required, 404 job_not_found, 409 job_already_ended, 409 balance_out_of_range,
 *   403 account_closed
 */
export async function settle(
  { db, post }: Ledger,
  { account_id, job_id, key_of }: Claim,
  ending: Ending,
  metadata: string | null = null,
): Promise<Settled> {
  const wish = {
    account_id,
    job_id,
    key_of,
    ...ending,
    failure_reason: null,
    refund_kind: refundKind(ending),
    metadata,
  }
  const [ended] = await post.end(wish).catch(refuseRange)
  if (ended) return settled(ended)

  let [found] = await retried(() => findEnded(db, wish))
  if (found?.chargeable && ending.status === 'completed') {
    const charge = { account_id, job_id, key_of, actual_cost: ending.actual_cost ?? found.reserved, metadata }
    const [charged] = await retried(() => chargeLate(db, charge)).catch(refuseRange)
    if (charged) return settled(charged)
    // Somebody else was faster.
    found = (await retried(() => findEnded(db, wish)))[0]
  }
  if (!found) throw jobNotFound()
  const open = found.status === 'started' || (found.chargeable && ending.status === 'completed')
  if (found.keyed && key_of === null) throw settleKeyRequired()
  // A key that was removed since the statement looked: it was required when it did.
  if (open) throw found.closed ? accountClosed() : settleKeyRequired()
  if (isRepeat(found, ending) && found.metadata_same) return settled(found)
  throw jobAlreadyEnded(found, isRepeat(found, ending))
}

/**
 * Gives an overdue hold back, by the same guarded statement as every other ending.
 * @returns whether it did; false where the job has ended or its hold was extended in the meantime
 */
export async function expire(db: Db, job: JobKey): Promise<boolean> {
  const { account_id, job_id } = job
  const wish = { account_id, job_id, key_of: null, ...EXPIRY, refund_kind: refundKind(EXPIRY), metadata: null }
  return (await retried(() => end(db, wish))).length > 0
}

/**
 * Extends the hold of a job that is alive; never shortens it.
 * @param ttlSeconds from now; null: as long as the job was created with
 * @param defaultSeconds for a job of a release that did not keep that
 * @throws {ApiError} 403 settle_key_required, 404 job_not_found, 409 job_already_ended, 403 account_closed
 */
export async function heartbeat(
  db: Db,
  { account_id, job_id, key_of }: Claim,
  ttlSeconds: number | null,
  defaultSeconds: number,
): Promise<JobRow> {
  const wish = { account_id, job_id, key_of, ttl_seconds: ttlSeconds, default_seconds: defaultSeconds }
  const [extended] = await retried(() => extend(db, wish))
  if (extended) return extended
  const [found] = await retried(() => findEnded(db, { account_id, job_id, key_of, metadata: null }))
  if (!found) throw jobNotFound()
  if (found.keyed && key_of === null) throw settleKeyRequired()
  if (found.status === 'started') throw found.closed ? accountClosed() : settleKeyRequired()
  throw jobAlreadyEnded(found, false)
}

const settled = ({ credits, held, metadata_kept, ...job }: Ended): Settled => ({
  job,
  balance: { credits, held },
  movement: settlement(job),
  metadata_kept,
})

/** Whether the app of a job has a settle key. Here, it costs no query of its own, and no replica is behind. */
const KEYED = `exists (select from apps where apps.slug = jobs.app_slug and apps.settle_key_hash is not null)`
/** SQL: whether a caller with this settle key (SQL; null: a person) may end the job. */
export const maySettle = (keyOf: string): string =>
  `case when ${keyOf}::text is null then not ${KEYED} else jobs.app_slug = ${keyOf} end`
const MAY_SETTLE = maySettle('$key_of')

const announceJob = (creditsBefore: string) =>
  announce(
    'job, balance',
    'endpoint.app_slug = job.app_slug',
    { after: 'balance.credits', before: creditsBefore },
    { json: `to_jsonb(job) - 'metadata_kept'`, status: 'job.status' },
  )

/** A job that has expired, while its completion is still charged. */
const CHARGEABLE = `(jobs.status = 'failed' and jobs.failure_reason = 'expired'
  and jobs.expires_at > now() - interval '${LATE_DAYS} days')`

/** SQL: whether the job, as it is after the UPDATE, has not taken this patch (SQL) in. */
export const metadataKept = (patch: string): string => `${patch}::jsonb is not null
  and coalesce(jobs.metadata, '{}') || ${patch}::jsonb is distinct from jobs.metadata as metadata_kept`
const METADATA_KEPT = metadataKept('$metadata')

/**
 * Ends a started job: complete, fail and expire are this one statement, so no two of them can both give back.
 * No row: the job is unknown, has ended or is not the caller's to settle, or its account is closed; or it should expire,
 * and a heartbeat was faster.
 */
export const end = announcing<EndWish, Ended>(
  'end_job',
  (told) => `with account as (
    select id from accounts where id = $account_id::uuid and closed_at is null for no key update
  ), job as (
    update jobs
    set status = $status, actual_cost = coalesce($actual_cost::bigint, jobs.reserved),
      failure_reason = $failure_reason, updated_at = now(),
      metadata = case when $metadata::jsonb is null then jobs.metadata
        else merge_metadata(jobs.metadata, $metadata::jsonb) end
    from account
    where jobs.account_id = $account_id::uuid and jobs.id = $job_id::uuid and jobs.status = 'started'
      and case when $failure_reason::text = 'expired' then jobs.expires_at <= now() else ${MAY_SETTLE} end
    returning ${JOB}, ${METADATA_KEPT}
  ), balance as (
    update accounts
    set credits = credits + job.reserved - job.actual_cost, held = held - job.reserved,
      seq = seq + (job.reserved <> job.actual_cost)::int
    from job where accounts.id = $account_id::uuid
    returning credits, held, seq
  ), entry as (
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
    select $account_id::uuid, seq, id, case when reserved > actual_cost then $refund_kind else 'job_overage' end,
      reserved - actual_cost, credits
    from job, balance where reserved <> actual_cost
  )${told}
  select job.*, credits, held from job, balance`,
  announceJob('(balance.credits - job.reserved + job.actual_cost)'),
)

/**
 * Completes a job whose hold has expired and charges what it cost, below zero if need be: once, because it is failed no
 * more. No row: the job is something else by now, its time is over, or its account is closed.
 */
const chargeLate = announcing<
  { account_id: string; job_id: string; key_of: string | null; actual_cost: number; metadata: string | null },
  Ended
>(
  'charge_late',
  (told) => `with account as (
    select id from accounts where id = $account_id::uuid and closed_at is null for no key update
  ), job as (
    update jobs
    set status = 'completed', actual_cost = $actual_cost::bigint, updated_at = now(),
      metadata = case when $metadata::jsonb is null then jobs.metadata
        else merge_metadata(jobs.metadata, $metadata::jsonb) end
    from account
    where jobs.account_id = $account_id::uuid and jobs.id = $job_id::uuid and ${CHARGEABLE}
      and ${MAY_SETTLE}
    returning ${JOB}, ${METADATA_KEPT}
  ), balance as (
    update accounts set credits = credits - job.actual_cost, seq = seq + (job.actual_cost > 0)::int
    from job where accounts.id = $account_id::uuid
    returning credits, held, seq
  ), entry as (
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
    select $account_id::uuid, seq, id, 'job_late_charge', -actual_cost, credits
    from job, balance where actual_cost > 0
  )${told}
  select job.*, credits, held from job, balance`,
  announceJob('(balance.credits + job.actual_cost)'),
)

/** No row: the job is unknown or has ended, or its account is closed. It locks nothing but the job, and so needs no order. */
const extend = statement<
  { account_id: string; job_id: string; key_of: string | null; ttl_seconds: number | null; default_seconds: number },
  JobRow
>(
  'extend_hold',
  `update jobs
  set updated_at = now(), expires_at = greatest(jobs.expires_at,
    now() + make_interval(secs => coalesce($ttl_seconds::int, jobs.ttl_seconds, $default_seconds::int)))
  from accounts
  where accounts.id = $account_id::uuid and accounts.closed_at is null
    and jobs.account_id = $account_id::uuid and jobs.id = $job_id::uuid and jobs.status = 'started' and ${MAY_SETTLE}
  returning ${JOB}`,
)

/** A job that a call could not end (with a key: of that app alone), and whether the call's metadata is in it already (or was too much for it). */
const findEnded = statement<
  { account_id: string; job_id: string; key_of: string | null; metadata: string | null },
  JobRow &
    Balance & { closed: boolean; keyed: boolean; chargeable: boolean; metadata_same: boolean; metadata_kept: boolean }
>(
  'find_ended',
  `select ${JOB}, accounts.credits, accounts.held, accounts.closed_at is not null as closed, ${KEYED} as keyed,
    ${CHARGEABLE} as chargeable,
    merge_metadata(jobs.metadata, $metadata::jsonb) is not distinct from jobs.metadata as metadata_same,
    ${METADATA_KEPT}
  from jobs join accounts on accounts.id = jobs.account_id
  where jobs.account_id = $account_id::uuid and jobs.id = $job_id::uuid
    and ($key_of::text is null or jobs.app_slug = $key_of)`,
)
