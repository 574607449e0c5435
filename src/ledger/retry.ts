import { DatabaseUnavailable } from '../db/unavailable.ts'
import { balanceOutOfRange } from '../http/catalogue.ts'

/**
 * Runs a ledger operation again where the database rolled it back for a reason that passes: 40001 and 40P01, up to
 * three times; and once where a connection was lost, when its outcome is unknown. After a time-out it gives up: the
 * caller has waited.
 *
 * Why that is safe: every operation is one statement (or a transaction that only remembers an app), and finds its own
 * first effect, whether that was committed before we were told, while we try again, or never. A reserve keeps its job
 * id, so its second INSERT meets the primary key; an ending is guarded by `status = 'started'`; an adjustment and a grant
 * meet their reference. A first attempt that still runs on the server holds the account's row, so the second waits
 * for it. What follows an attempt without effect is looked up in a new statement, which sees what was committed.
 */
export async function retried<T>(operation: () => Promise<T>): Promise<T> {
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

/** Whether a unique index refused the statement. Names are compared by prefix: the shards of a table carry a suffix. */
export const isDuplicate = (error: unknown, ...constraints: string[]): boolean =>
  error instanceof Error &&
  sqlState(error) === '23505' &&
  constraints.some((name) => constraintOf(error).startsWith(name))

/** Whether a balance would have left the safe integers. */
export const isOutOfRange = (error: unknown): boolean =>
  error instanceof Error && sqlState(error) === '23514' && /^(accounts|ledger_entries)_range/.test(constraintOf(error))

/** Whether the statement gave up waiting for somebody's lock, as its connection's lock_timeout says. */
export const isLockTimeout = (error: unknown): boolean => error instanceof Error && sqlState(error) === '55P03'

/** Whether the database cannot do such a statement at all: a sharded one, row locks over many shards. */
export const isUnsupported = (error: unknown): boolean =>
  error instanceof Error && sqlState(error) === '0A000' && !/cached plan/.test(error.message)

/** Whether the time of a statement is over: on the server, which goes on, or because nothing came from there. */
export const isTimeOut = (error: unknown): error is DatabaseUnavailable =>
  error instanceof DatabaseUnavailable && error.timedOut

/** Whether nothing came from the server in the time of a statement. */
export const isSilence = (error: unknown): boolean => isTimeOut(error) && sqlState(error.cause as Error) !== '57014'

/** Rethrows, a balance beyond the safe integers as what it means to the caller. @throws {ApiError} 409 balance_out_of_range */
export function refuseRange(error: unknown): never {
  throw isOutOfRange(error) ? balanceOutOfRange() : error
}

const sqlState = (error: Error & { code?: unknown }): string => String(error.code ?? '')
/** From a node of a sharded database the name comes in the message alone. */
const constraintOf = (error: Error & { constraint?: unknown }): string =>
  String(error.constraint ?? /constraint "([^"]+)"/.exec(error.message)?.[1] ?? '')
