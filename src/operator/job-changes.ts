import type { FastifyInstance } from 'fastify'
import { accountIdOf } from '../accounts/account-id.ts'
import { findAccount } from '../accounts/find.ts'
import { badField, noSuchJob } from '../http/catalogue.ts'
import { adjust, endForOperator, type Rows, refund } from '../ledger/operations.ts'
import { type JobRow, readJob } from '../ledger/read.ts'
import { OWN_REFERENCES } from '../ledger/rules.ts'
import type { EntryRow } from '../ledger/selection.ts'
import type { Account, Adjust } from '../ledger/state.ts'
import { type Action, type Actor, actionQuery } from './actions.ts'

/** Movements of credits by an administrator. Each is one posting, committed together with its line of the audit log. */

type Service = Pick<FastifyInstance, 'db' | 'ledger'>
type Balance = Awaited<ReturnType<typeof findAccount>>

const balanceOf = ({ credits, held }: Account) => ({ credits, held })

/** The audit line of an operation, with the balance before and after it. @param more further fields of `after` */
const lineOf =
  (actor: Actor, action: Action, more: (outcome: Parameters<Rows>[1]) => object = () => ({})): Rows =>
  (before, outcome) => [
    actionQuery(actor, {
      ...action,
      before: { ...balanceOf(before), ...action.before },
      after: { ...balanceOf(outcome.account), ...more(outcome) },
    }),
  ]

/** A service key as the actor. The ledger entry names it; the audit log has no line for it. */
interface KeyActor {
  service_key: string
}

/**
 * Gives or takes credits. Opens the account if it does not exist; for a service key only with `create`.
 * @param adjustment `amount` in credits, negative to take; `reference` makes it idempotent
 * @throws {ApiError} 400 for an amount of 0, a kind that a service key may not use, or a reference with a prefix of the service's own;
 * 404 account_not_found; and what `adjust` throws
 */
export async function adjustCredits(
  { db, ledger }: Service,
  actor: Actor | KeyActor,
  clerk_id: string,
  { create = false, ...adjustment }: Omit<Adjust, 'type' | 'actor'> & { create?: boolean },
): Promise<{ account: Balance; entry: EntryRow }> {
  if (adjustment.amount === 0) throw badField('amount', 'must not be 0')
  refuseOwnReference(adjustment.reference)
  const owner = { id: accountIdOf(clerk_id), clerk_id }
  const isKey = 'service_key' in actor
  if (isKey && adjustment.kind !== 'topup') throw badField('kind', 'must be topup with a service key')
  // A person sees whose account it is. A server with a wrong id would credit an account that no one uses.
  if (isKey && !create) await findAccount(db, owner.id)
  const { amount, kind, reference, reason } = adjustment
  const action = { action: 'adjustCredits', target: `account ${owner.id}`, account_id: owner.id, reason }
  const rows = isKey ? undefined : lineOf(actor, action, () => ({ amount, kind, reference }))
  const name = isKey ? `service key ${actor.service_key}` : actor.id
  const entry = await adjust(ledger, owner, { ...adjustment, actor: name }, rows)
  return { account: await findAccount(db, owner.id), entry }
}

/** The most characters of a reference from outside */
export const MAX_REFERENCE = 255

/** @throws {ApiError} 400 for a reference with a prefix of the service's own */
export function refuseOwnReference(reference: string): void {
  const own = OWN_REFERENCES.find((prefix) => reference.startsWith(prefix))
  if (own !== undefined) throw badField('reference', `must not begin with ${own}, which the service itself uses`)
}

/** Refunds the cost of a job, or a part of it. @throws what `refund` of the ledger throws */
export async function refundJob(
  { db, ledger }: Service,
  actor: Actor,
  { account_id, job_id }: { account_id: string; job_id: string },
  part: { amount: number | null; part: number; reason: string },
): Promise<{ account: Balance; entry: EntryRow; refunded: number }> {
  const job = { account_id: account_id.toLowerCase(), job_id: job_id.toLowerCase() }
  const action = { action: 'refundJob', target: `job ${job.job_id}`, account_id: job.account_id, reason: part.reason }
  const rows = lineOf(actor, action, ({ entry, job }) => ({ amount: entry?.amount, refunded: job?.refunded }))
  const { entry, refunded } = await refund(ledger, job, { ...part, actor: actor.id }, rows)
  return { account: await findAccount(db, job.account_id), entry, refunded }
}

/**
 * Ends a job as failed, instead of its app.
 * @param refund true: its hold is released; false: the job costs what it reserved
 * @throws {ApiError} 404 job_not_found, 409 job_already_ended, 403 account_closed
 */
export async function endJob(
  { db, ledger }: Service,
  actor: Actor,
  { account_id, job_id }: { account_id: string; job_id: string },
  { refund, reason }: { refund: boolean; reason: string },
): Promise<{ account: Balance; job: JobRow }> {
  const found = await readJob(db, account_id, job_id)
  if (!found) throw noSuchJob()
  const named = { account_id: account_id.toLowerCase(), job_id: found.id, app_slug: found.app_slug }
  const { status, reserved } = found
  const action = { action: 'endJob', target: `job ${found.id}`, account_id: named.account_id, reason }
  const rows = lineOf(actor, { ...action, before: { status, reserved } }, ({ job }) => ({
    status: job?.status,
    actual_cost: job?.actual_cost,
  }))
  await endForOperator(ledger, named, refund, rows)
  const job = (await readJob(db, named.account_id, found.id)) ?? found
  return { account: await findAccount(db, named.account_id), job }
}
