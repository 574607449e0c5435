import { statement } from '../db/statement.ts'
import { accountClosed, busy, idempotencyKeyReused, insufficientCredits, settleKeyRequired } from '../http/catalogue.ts'
import { announce, announcing } from '../webhooks/outbox.ts'
import { releaseOverdue } from './expire.ts'
import { openAccount } from './post.ts'
import type { Ledger } from './posting.ts'
import { isDuplicate, retried } from './retry.ts'
import { type Balance, readBalance } from './statements.ts'

export type Reservation = {
  account_id: string
  /** Made once per request and kept in its retries, so that a commit whose answer was lost is found again */
  job_id: string
  app: string
  action: string
  /** Credits */
  cost: number
  /** A JSON object, as text */
  metadata: string | null
  idempotency_key: string | null
  /** Of what was asked for; null without a key */
  request_hash: string | null
  /** How long the hold lives unless the job ends or says that it is alive */
  ttl_seconds: number
  /** The caller asks for a life of the hold without a settle key: where the app has one, that is not theirs to say */
  ttl_without_key: boolean
}

/** A hold that a statement has taken, and its account's balance after it. */
export type Held = Balance & { expires_at: Date }

export interface Reserved {
  job_id: string
  expires_at: Date
  replayed: boolean
}

/**
 * Reserves credits for a new job. Where they are short, the account's own overdue holds are given back before that is
 * said, and the reserve is tried once more.
 * @throws {ApiError} 402 insufficient_credits with `required` and `available`, 403 settle_key_required, 403 account_closed,
 *   422 idempotency_key_reused
 */
export async function reserve({ db, post }: Ledger, clerkId: string, wish: Reservation): Promise<Reserved> {
  let released = false
  for (let attempt = 1; ; attempt++) {
    const held = await post.reserve(wish).catch((error) => {
      if (isDuplicate(error, 'jobs_idempotency_key', 'jobs_pkey')) return []
      throw error
    })
    if (held[0]) return { job_id: wish.job_id, expires_at: held[0].expires_at, replayed: false }

    if (wish.ttl_without_key && (await keyed(db, wish)).length > 0) throw settleKeyRequired()

    // Only a new statement sees what a racing request has committed. It comes before any 402: the hold of the very
    // request that is repeated may be what emptied the wallet.
    const [earlier] = await retried(() => findReserved(db, wish))
    if (earlier) {
      const ours = earlier.id === wish.job_id
      if (!ours && earlier.request_hash !== wish.request_hash) {
        throw idempotencyKeyReused()
      }
      return { job_id: earlier.id, expires_at: earlier.expires_at, replayed: !ours }
    }

    let [balance] = await readBalance(db, wish)
    if (balance && balance.credits < wish.cost && !released) {
      released = true
      await releaseOverdue(db, wish.account_id, wish.cost - balance.credits)
      // Read again whoever gave them back: a sweeper may have been faster.
      balance = (await readBalance(db, wish))[0]
    }
    if (balance?.closed) throw accountClosed()
    const available = balance?.credits ?? 0
    if (available < wish.cost) throw insufficientCredits({ required: wish.cost, available })
    // Credits that come and go with every look: the client's next attempt is as good as ours.
    if (attempt >= 3) throw busy()
    // Credits arrived in between, or a person's first request is a job that costs nothing.
    if (!balance) await openAccount(db, wish.account_id, clerkId)
  }
}

/** No row: short of credits, unknown or closed account. A repeated key raises 23505 and rolls all of it back. */
export const reserveHold = announcing<Reservation, Held>(
  'reserve',
  (told) => `with debit as (
    update accounts
    set credits = credits - $cost::bigint, held = held + $cost::bigint, seq = seq + ($cost::bigint > 0)::int
    where id = $account_id::uuid and credits >= $cost::bigint and closed_at is null
      and not ($ttl_without_key::boolean and exists (select from apps where slug = $app and settle_key_hash is not null))
    returning credits, held, seq
  ), job as (
    insert into jobs (account_id, id, app_slug, action, reserved, metadata, idempotency_key, request_hash, ttl_seconds,
      expires_at)
    select $account_id::uuid, $job_id::uuid, $app, $action, $cost::bigint, $metadata::jsonb, $idempotency_key,
      $request_hash, $ttl_seconds::int, now() + make_interval(secs => $ttl_seconds::int)
    from debit
    returning expires_at
  ), entry as (
    insert into ledger_entries (account_id, seq, job_id, kind, amount, balance_after)
    select $account_id::uuid, seq, $job_id::uuid, 'job_reserve', -$cost::bigint, credits
    from debit where $cost::bigint > 0
  )${told}
  select credits, held, expires_at from debit, job`,
  announce('debit', 'endpoint.app_slug = $app', { after: 'debit.credits', before: '(debit.credits + $cost::bigint)' }),
)

const keyed = statement<{ app: string }, { slug: string }>(
  'keyed_app',
  `select slug from apps where slug = $app and settle_key_hash is not null`,
)

/** The job that an earlier request made: by its idempotency key, or by its id where a commit's answer was lost. */
const findReserved = statement<
  { account_id: string; job_id: string; idempotency_key: string | null },
  { id: string; request_hash: string | null; expires_at: Date }
>(
  'find_reserved',
  `select id, request_hash, expires_at from jobs
  where account_id = $account_id::uuid and (id = $job_id::uuid or idempotency_key = $idempotency_key)`,
)
