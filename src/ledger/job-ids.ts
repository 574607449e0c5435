/**
 * Job ids by time. A job's id is a UUIDv7: its first 48 bits are the ms at which an instance of the service made it. `created_at` is the
 * database's time a moment later. So a range of ids holds the jobs of a period, where it is wider than the clocks may differ; the
 * statement then compares `created_at` itself. An index on `created_at` would cost each posting what this saves.
 */

/** How much the clocks of the database and of any instance may differ, in ms; what waits for its account's lock is in it. */
const CLOCKS_MS = 300_000

/** 48 bits. */
const LAST_MS = 2 ** 48 - 1

function idOf(ms: number, rest: string): string {
  const hex = Math.min(Math.max(ms, 0), LAST_MS).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-${rest}`
}

/** Before the id of every job that was created at this time or later. */
export const firstJobId = (time: Date): string => idOf(time.getTime() - CLOCKS_MS, '0000-0000-000000000000')

/** After the id of every job that was created before this time. */
export const lastJobId = (time: Date): string => idOf(time.getTime() + CLOCKS_MS, 'ffff-ffff-ffffffffffff')
