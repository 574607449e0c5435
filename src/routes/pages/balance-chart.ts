import type { Db } from '../../db/tables.ts'
import { balancesBefore } from '../../ledger/history.ts'
import { amountText, creditsText, dayText } from './words.ts'

const DAYS = 30
const DAY_MS = 86_400_000

/** A balance at the end of a day. */
export interface DayBalance {
  /** When the day begins, UTC */
  day: Date
  credits: number
}

/**
 * An account's balance at the end of each day (UTC), today's so far last: 30 days at most, and none before the account's
 * first entry.
 */
export async function readDays(db: Db, accountId: string, now = new Date()): Promise<DayBalance[]> {
  const today = Math.floor(now.getTime() / DAY_MS) * DAY_MS
  const ends = Array.from({ length: DAYS }, (_, n) => new Date(today - (DAYS - 2 - n) * DAY_MS))
  const rows = await balancesBefore(db, accountId, ends)
  return rows.map(({ moment, balance }) => ({ day: new Date(moment.getTime() - DAY_MS), credits: balance }))
}

/** The size of the SVG view box; the page stretches it. */
const [WIDTH, HEIGHT] = [300, 100]

/**
 * The days as an SVG (step paths in a box of 300 by 100, with labels) and as a sentence that says the same.
 * @returns undefined for fewer than two days, and where every balance is 0: neither makes a chart
 */
export function balanceChart(days: DayBalance[]) {
  const highest = best(days, (a, b) => a > b)
  const lowest = best(days, (a, b) => a < b)
  const [first, last] = [days[0], days.at(-1)]
  if (!highest || !lowest || !first || !last || first === last) return undefined
  if (!highest.credits && !lowest.credits) return undefined
  const top = Math.max(highest.credits, 0)
  const bottom = Math.min(lowest.credits, 0)
  const y = (credits: number) => round(HEIGHT - ((credits - bottom) / (top - bottom)) * HEIGHT)
  const x = (i: number) => round((i / days.length) * WIDTH)

  const on = (day: DayBalance) => (day === last ? 'today' : `on ${dayText(day.day)}`)
  const line = days.map(({ credits }, i) => `${i ? 'V' : 'M0 '}${y(credits)}H${x(i + 1)}`).join('')
  return {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    line,
    area: `${line}V${y(0)}H0Z`,
    zero: `M0 ${y(0)}H${WIDTH}`,
    top: amountText(top),
    bottom: amountText(bottom),
    from: dayText(first.day),
    sentence:
      highest.credits === lowest.credits
        ? `${creditsText(last.credits)} on each of the last ${days.length} days.`
        : `From ${amountText(first.credits)} on ${dayText(first.day)} to ${creditsText(last.credits)} today. ` +
          `Highest: ${amountText(highest.credits)} ${on(highest)}; lowest: ${amountText(lowest.credits)} ${on(lowest)}.`,
    days: days.map(({ day, credits }) => ({ day: dayText(day), credits: amountText(credits) })).reverse(),
  }
}

const best = (days: DayBalance[], better: (a: number, b: number) => boolean) =>
  days.reduce<DayBalance | undefined>(
    (found, day) => (!found || better(day.credits, found.credits) ? day : found),
    undefined,
  )

const round = (value: number) => Math.round(value * 100) / 100
