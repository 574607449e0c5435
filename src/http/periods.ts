import { badField } from './catalogue.ts'

/** Periods of time that a request asks for. They are half-open: `from` belongs to them, `to` does not. */

export interface Period {
  from: Date
  to: Date
}

const DAY_MS = 86_400_000
/** The days of a period that is not given. */
const DEFAULT_DAYS = 30
/** The most days of one answer about usage. */
export const MAX_DAYS = 400

/** The day of a time, UTC, such as `2026-11-21`. */
export const dayOf = (time: Date): string => time.toISOString().slice(0, 10)

/**
 * The period between two days in UTC. Without `to` it ends with today; without `from` it has thirty days.
 * @param from, to dates such as `2026-11-21`
 * @throws {ApiError} 400 for an empty period, and for one of more than 400 days
 */
export function periodOfDays({ from, to }: { from?: string; to?: string }, now = new Date()): Period {
  const end = to === undefined ? new Date(Math.floor(now.getTime() / DAY_MS) * DAY_MS + DAY_MS) : timeOf('to', to)
  const begin = from === undefined ? new Date(end.getTime() - DEFAULT_DAYS * DAY_MS) : timeOf('from', from)
  if (begin >= end) {
    throw to === undefined ? badField('from', 'must not be in the future') : badField('to', 'must be after `from`')
  }
  if (end.getTime() - begin.getTime() > MAX_DAYS * DAY_MS) {
    throw badField('from', `must be at most ${MAX_DAYS} days before \`to\``)
  }
  return { from: begin, to: end }
}

/** @throws {ApiError} 400 for a time that its format allows and Date does not, such as a leap second */
export function timeOf(field: string, text: string): Date {
  const time = new Date(text)
  // Postgres has no year 0.
  if (!(time.getUTCFullYear() >= 1)) throw badField(field, 'must be a time such as 2026-11-21T12:00:00Z')
  return time
}

/** The same for filters, which may be absent. */
export const optionalTime = (field: string, text: string | undefined): Date | undefined =>
  text === undefined ? undefined : timeOf(field, text)
