/** The database did not answer, or failed. Whether the statement took effect is unknown, unless `cause` is a pg.DatabaseError. */
export class DatabaseUnavailable extends Error {
  /** The full time limit was spent, so a retry would double the wait */
  readonly timedOut: boolean
  constructor(cause: Error, timedOut = false) {
    super(`database unavailable: ${cause.message || (cause as NodeJS.ErrnoException).code}`, { cause })
    this.timedOut = timedOut
  }
}
