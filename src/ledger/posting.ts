import type { Db } from '../db/tables.ts'
import { type Held, type Reservation, reserveHold } from './reserve.ts'
import { retried } from './retry.ts'
import { type Ended, type EndWish, end } from './settle.ts'

/**
 * How a hold is taken and a job is ended: both resolve to one row, or to none where the operation's guard says no.
 * They may be called again after a failure, as retry.ts says.
 */
export interface Posting {
  /** @throws {ApiError} 503 overloaded; {DatabaseUnavailable}; a database error such as 23505 */
  reserve(wish: Reservation): Promise<Held[]>
  /** Not for expiry, which asks the clock once more. @throws as reserve */
  end(wish: EndWish & { failure_reason: null }): Promise<Ended[]>
  /** How many operations wait for others, but not behind somebody's lock; and how many had their turn */
  waiting(): number
  served(): number
  /** Resolves when everything that was asked for has ended, well or not. */
  close(): Promise<void>
}

/** Where the ledger is, and how operations are posted to it. */
export interface Ledger {
  db: Db
  post: Posting
}

/** Every operation by a statement and a commit of its own. */
export const postingSingly = (db: Db): Posting => ({
  reserve: (wish) => retried(() => reserveHold(db, wish)),
  end: (wish) => retried(() => end(db, wish)),
  waiting: () => 0,
  served: () => 0,
  close: async () => {},
})
