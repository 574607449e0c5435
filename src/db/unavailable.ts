/** The database did not answer. What it did with the statement is unknown unless `cause` is an error of its own. */
export class DatabaseUnavailable extends Error {
  /** We waited the whole time-out: trying again would double it. */
  readonly timedOut: boolean
  constructor(cause: Error, timedOut = false) {
    super(`database unavailable: ${cause.message || (cause as NodeJS.ErrnoException).code}`, { cause })
    this.timedOut = timedOut
  }
}
