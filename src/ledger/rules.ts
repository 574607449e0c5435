/**
 * The rules of the ledger as plain arithmetic: integers in, entries out. Nothing here knows of a database; the
 * statements move the amounts, the table constraints say the same rules again, and the tests hold both against these.
 */

import type { EntryKind, JobStatus } from '../db/tables.ts'

/** The largest amount or balance: beyond it a JSON number would lie. */
export const MAX_CREDITS = Number.MAX_SAFE_INTEGER

/** The most metadata a job may carry, in bytes of compact JSON. */
export const MAX_METADATA_BYTES = 16_384

/** Unregistered app slugs that are remembered per account; beyond that they are answered, not stored. */
export const MAX_UNREGISTERED_APPS = 50

/** What one entry does to the spendable balance; negative takes credits away. */
export interface Movement {
  kind: EntryKind
  amount: number
}

/** Why a hold ended without the job being completed by its app; null: its app said so. */
export type FailureReason = 'expired' | null

/** How a caller wants a job to end. `actual_cost` null keeps the whole hold, whatever it is. */
export interface Ending {
  status: 'completed' | 'failed'
  actual_cost: number | null
  failure_reason: FailureReason
}

export const completion = (actualCost: number): Ending => ({
  status: 'completed',
  actual_cost: actualCost,
  failure_reason: null,
})

export const failure = (refund: boolean): Ending => ({
  status: 'failed',
  actual_cost: refund ? 0 : null,
  failure_reason: null,
})

/** The hold's time is over and nobody has said how the job ended: everything comes back. */
export const EXPIRY: Ending = { status: 'failed', actual_cost: 0, failure_reason: 'expired' }

/** How long a hold may live, in seconds. */
export const TTL_SECONDS = { min: 60, max: 604_800 } as const

/** How long after its expiry a job may still be completed, and is charged for it, in days. */
export const LATE_DAYS = 7

/** The kind of entry by which an ending gives back what the hold has left. */
export function refundKind(ending: { status: JobStatus; failure_reason: string | null }): EntryKind {
  if (ending.status === 'completed') return 'job_refund'
  return ending.failure_reason === 'expired' ? 'job_expire' : 'job_release'
}

/**
 * What ending a job moves: what is left of the hold comes back, what it lacks is charged, below zero if need be
 * (the work is done). After its expiry a job has no hold: its completion is a charge of all that it cost.
 * Null where nothing moves: zero amounts write no entry.
 */
export function settlement(job: {
  status: JobStatus
  failure_reason: string | null
  reserved: number
  actual_cost: number
}): Movement | null {
  const late = job.status === 'completed' && job.failure_reason === 'expired'
  const amount = (late ? 0 : job.reserved) - job.actual_cost
  if (job.status === 'started' || amount === 0) return null
  if (late) return { kind: 'job_late_charge', amount }
  return { kind: amount > 0 ? refundKind(job) : 'job_overage', amount }
}

/**
 * Whether an ended job ended just so: then the call is a repeat, and moves nothing. A hold that has expired was given
 * back; to keep it is another ending, even where it was worth nothing.
 */
export function isRepeat(
  job: { status: JobStatus; failure_reason: string | null; reserved: number; actual_cost: number },
  ending: Ending,
): boolean {
  if (job.failure_reason === 'expired' && ending.actual_cost === null) return false
  return job.status === ending.status && job.actual_cost === (ending.actual_cost ?? job.reserved)
}

/** The reference under which an app's starter grant stands in an account; no other entry may use the prefix. */
export const STARTER_REFERENCE = 'starter_grant:'
