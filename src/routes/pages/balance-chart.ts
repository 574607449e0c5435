import { statement } from '../../db/statement.ts'
import type { Db } from '../../db/tables.ts'
import { amountText, creditsText, dayText } from './words.ts'

const DAYS = 30
const DAY_MS = 86_400_000

// For each day, a binary search over seq, which has no gaps and grows with created_at. It reads about 20 rows per day
// for any number of entries, and created_at needs no index, which every posting would have to update.
const closingBalances = statement<
  { account_id: string; first_end: Date; days: number },
  { day_end: Date; balance: number; begun: boolean }
>(
  'closing_balances',
  `with recursive search (day_end, before, past) as (
    select $first_end::timestamptz + make_interval(hours => 24 * n), 0::bigint, seq + 1
    from accounts, generate_series(0, $days::int - 1) as n
    where id = $account_id::uuid
    union all
    select day_end, case when created_at < day_end then seq else before end,
      case when created_at < day_end then past else seq end
    from search join ledger_entries on account_id = $account_id::uuid and seq = (before + past) / 2
    where before + 1 < past
  )
  select day_end, coalesce(balance_after, 0) as balance, before > 0 as begun
  from search left join ledger_entries on account_id = $account_id::uuid and seq = before
  where before + 1 = past
  order by day_end`,
)

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
  const first_end = new Date(today - (DAYS - 2) * DAY_MS)
  const rows = await closingBalances(db, { account_id: accountId, first_end, days: DAYS })
  return rows
    .filter(({ begun }) => begun)
    .map(({ day_end, balance }) => ({ day: new Date(day_end.getTime() - DAY_MS), credits: balance }))
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
