import { dayOf, type Period } from '../../http/periods.ts'
import type { Sums, Usage } from '../../usage/sums.ts'
import { barChart } from './bar-chart.ts'
import { amountText, creditsText, daysText, dayText, shortText } from './words.ts'

const DAY_MS = 86_400_000
/** Rows of a table. What follows is one row. */
const ROWS = 10

/**
 * The credits of each day of a period as bars of an SVG and as a sentence that says the same.
 * @returns undefined where nothing was used
 */
export function usageBars({ from, to }: Period, { rows, total }: Pick<Usage, 'rows' | 'total'>) {
  if (total.credits === 0) return undefined
  const used = new Map(rows.map(({ day, credits }) => [day, credits]))
  const days = Array.from({ length: (to.getTime() - from.getTime()) / DAY_MS }, (_, n) => {
    const time = new Date(from.getTime() + n * DAY_MS)
    return { time, credits: used.get(dayOf(time)) ?? 0 }
  })
  const most = days.reduce((a, b) => (b.credits > a.credits ? b : a))
  const sentence =
    `${creditsText(total.credits)} in ${daysText(days.length)}, ` +
    `most on ${dayText(most.time)}: ${amountText(most.credits)}. ${usedOn(days.filter(({ credits }) => credits > 0).length)}`
  return barChart(
    days.map(({ time }) => time),
    [{ name: 'Credits', style: '', values: days.map(({ credits }) => credits) }],
    { id: 'usage', caption: 'Credits used each day, UTC', summary: 'Days with use', sentence },
  )
}

const usedOn = (days: number) => `Credits were used on ${daysText(days)}.`

/** The rows of a table with a bar for each; the smallest ones as one. @param nameOf what a row is called */
export function usageTable({ rows, total }: Usage, nameOf: (row: Usage['rows'][number]) => string) {
  const most = Math.max(1, ...rows.map(({ credits }) => credits))
  const shown = rows.slice(0, rows.length > ROWS + 1 ? ROWS : rows.length)
  const lines = shown.map((row) => ({ name: shortText(nameOf(row), 60) ?? '–', ...row }))
  const rest = (sum: keyof Sums) => total[sum] - shown.reduce((all, row) => all + row[sum], 0)
  if (rest('jobs') > 0) {
    const others = { jobs: rest('jobs'), completed: 0, failed: 0, credits: rest('credits'), held: rest('held') }
    lines.push({ name: 'All others', ...others })
  }
  return lines.map(({ name, jobs, credits, held }) => ({
    ...{ name, jobs: amountText(jobs), credits: amountText(credits), held: held > 0 ? amountText(held) : '' },
    bar: Math.round(Math.min(1, credits / most) * 1000) / 10,
  }))
}
