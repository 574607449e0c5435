import type { Kysely, Transaction } from 'kysely'
import { DatabaseUnavailable } from '../db/postgres.ts'
import type { Tables } from '../db/tables.ts'
import { ApiError } from '../errors.ts'
import {
  type Ending,
  type EntryKind,
  isRepeat,
  MAX_UNREGISTERED_APPS,
  type Movement,
  refundKind,
  STARTER_REFERENCE,
  settlement,
} from './rules.ts'
import type { Balance, EntryRow, JobRow } from './statements.ts'
import * as sql from './statements.ts'

/** The only writer of balances. Every function is safe to call twice: keys and guards make the second call move nothing. */

export type Db = Kysely<Tables>

export interface Reservation {
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
  ttl_seconds: number
}

export interface Reserved {
  job_id: string
  expires_at: Date
  replayed: boolean
}

/**
 * Reserves credits for a new job.
 * @throws {ApiError} 402 insufficient_credits with `required` and `available`, 403 account_closed,
 *   422 idempotency_key_reused
 */
export async function reserve(db: Db, clerkId: string, wish: Reservation): Promise<Reserved> {
  for (let attempt = 1; ; attempt++) {
    const held = await retried(() => sql.reserve(db, wish)).catch((error) => {
      if (isDuplicate(error, 'jobs_idempotency_key', 'jobs_pkey')) return []
      throw error
    })
    if (held[0]) return { job_id: wish.job_id, expires_at: held[0].expires_at, replayed: false }

    // Only a new statement sees what a racing request has committed. It comes before any 402: the hold of the very
    // request that is repeated may be what emptied the wallet.
    const [earlier] = await retried(() => sql.findReserved(db, wish))
    if (earlier) {
      const ours = earlier.id === wish.job_id
      if (!ours && earlier.request_hash !== wish.request_hash) {
        throw new ApiError(422, 'idempotency_key_reused', 'This Idempotency-Key belongs to a different request.')
      }
      return { job_id: earlier.id, expires_at: earlier.expires_at, replayed: !ours }
    }

    const [balance] = await sql.readBalance(db, wish)
    if (balance?.closed) throw accountClosed()
    const available = balance?.credits ?? 0
    if (attempt === 3 || available < wish.cost) {
      throw new ApiError(402, 'insufficient_credits', `This needs ${wish.cost} credits; ${available} are available.`, {
        required: wish.cost,
        available,
      })
    }
    // Credits arrived in between, or a person's first request is a job that costs nothing.
    if (!balance) await openAccount(db, wish.account_id, clerkId)
  }
}

export interface Settled {
  job: JobRow
  balance: Balance
  movement: Movement | null
  /** The given metadata would have made the job's too large; the job keeps what it had */
  metadata_kept: boolean
}

/**
 * Ends a job and settles its hold. Repeating the same ending answers the same and moves nothing.
 * @param metadata a JSON object as text, merged into the job's; null leaves that alone
 * @throws {ApiError} 404 job_not_found, 409 job_already_ended, 409 balance_out_of_range, 403 account_closed
 */
export async function settle(
  db: Db,
  { account_id, job_id }: { account_id: string; job_id: string },
  ending: Ending,
  metadata: string | null = null,
): Promise<Settled> {
  const wish = { account_id, job_id, ...ending, refund_kind: refundKind(ending), metadata }
  const [ended] = await retried(() => sql.end(db, wish)).catch(refuseRange)
  if (ended) return settled(ended)

  const [found] = await retried(() => sql.findEnded(db, wish))
  if (!found) throw new ApiError(404, 'job_not_found', 'You have no job with this job_id.')
  if (found.status === 'started') throw accountClosed()
  if (isRepeat(found, ending) && found.metadata_same) return settled(found)
  throw new ApiError(
    409,
    'job_already_ended',
    `This job is ${found.status} already, at a cost of ${found.actual_cost}. Nothing was changed.`,
    { status: found.status, actual_cost: found.actual_cost },
  )
}

const settled = ({ credits, held, metadata_kept, ...job }: JobRow & Balance & { metadata_kept: boolean }): Settled => ({
  job,
  balance: { credits, held },
  movement: settlement(job),
  metadata_kept,
})

/** Creates the account of a Clerk user; nothing happens where it exists. */
export async function openAccount(db: Db, accountId: string, clerkId: string): Promise<void> {
  await retried(() => sql.openAccount(db, { account_id: accountId, clerk_id: clerkId }))
}

/** Grants a registered app's starter credits, once per account and app; nothing happens where there is nothing to grant. */
export async function grantStarter(db: Db, accountId: string, app: string): Promise<void> {
  const wish = { account_id: accountId, app, reference: `${STARTER_REFERENCE}${app}` }
  await retried(() => sql.grantStarter(db, wish)).catch(refuseRange)
}

/**
 * Remembers that an account uses an app, without a grant; unregistered ones up to a limit per account. Counting and
 * inserting race, so the account is locked first, in a statement of its own: the count must see who was faster.
 */
export async function rememberApp(db: Db, accountId: string, app: string): Promise<void> {
  await retried(() =>
    db.transaction().execute(async (trx: Transaction<Tables>) => {
      await sql.lockAccount(trx, { account_id: accountId })
      await sql.rememberApp(trx, { account_id: accountId, app, limit: MAX_UNREGISTERED_APPS })
    }),
  )
}

export interface Adjustment {
  account_id: string
  /** Credits, not 0; negative takes */
  amount: number
  kind: Extract<EntryKind, 'topup' | 'admin_grant' | 'adjustment'>
  /** Unique per account: the same again is a repeat and moves nothing */
  reference: string
  reason: string
  actor: string
  allow_negative: boolean
}

/**
 * Gives or takes credits by an administrator's hand; the account exists.
 * @throws {ApiError} 409 reference_reused, 409 would_go_negative, 409 balance_out_of_range, 403 account_closed
 */
export async function adjust(db: Db, wish: Adjustment): Promise<EntryRow> {
  let outOfRange = false
  const [entry] = await retried(() => sql.adjust(db, wish)).catch((error) => {
    // A repeat of what filled the account meets its limit before it meets its own reference.
    outOfRange = isOutOfRange(error)
    if (outOfRange || isDuplicate(error, 'ledger_entries_reference')) return []
    throw error
  })
  if (entry) return entry

  const [earlier] = await retried(() => sql.findEntry(db, wish))
  if (earlier) {
    const same = earlier.kind === wish.kind && earlier.amount === wish.amount && earlier.reason === wish.reason
    if (same) return earlier
    throw new ApiError(409, 'reference_reused', 'This reference stands for another entry of the account.', {
      entry: earlier,
    })
  }
  if (outOfRange) throw balanceOutOfRange()
  const [balance] = await sql.readBalance(db, wish)
  if (!balance || balance.closed) throw accountClosed()
  throw new ApiError(409, 'would_go_negative', `The account has ${balance.credits} credits; nothing was moved.`, {
    available: balance.credits,
  })
}

const accountClosed = () => new ApiError(403, 'account_closed', 'This account is closed; nothing is posted to it.')

const balanceOutOfRange = () =>
  new ApiError(409, 'balance_out_of_range', 'The balance would leave the range of ±(2^53 - 1); nothing was moved.')

const isOutOfRange = (error: unknown): boolean =>
  error instanceof Error && sqlState(error) === '23514' && constraintOf(error).startsWith('accounts_range')

function refuseRange(error: unknown): never {
  throw isOutOfRange(error) ? balanceOutOfRange() : error
}

/**
 * Runs a ledger operation again where the database rolled it back for a reason that passes: 40001 and 40P01, up to
 * three times; and once where a connection was lost, when its outcome is unknown, which is safe because the
 * operation finds its own first effect by job, key or reference. After a time-out it gives up: the caller has waited.
 */
async function retried<T>(operation: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation()
    } catch (error) {
      const lost = error instanceof DatabaseUnavailable && !error.timedOut
      const passing = error instanceof Error && ['40001', '40P01'].includes(sqlState(error))
      if (!(lost && attempt < 2) && !(passing && attempt < 4)) throw error
    }
  }
}

// Constraint names are compared by prefix: the shards of a distributed table carry a suffix.
const isDuplicate = (error: unknown, ...constraints: string[]): boolean =>
  error instanceof Error &&
  sqlState(error) === '23505' &&
  constraints.some((name) => constraintOf(error).startsWith(name))

const sqlState = (error: Error & { code?: unknown }): string => String(error.code ?? '')
const constraintOf = (error: Error & { constraint?: unknown }): string => String(error.constraint ?? '')
