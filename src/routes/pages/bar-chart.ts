import { amountText, dayText } from './words.ts'

/** Amounts by day. views/bars.eta renders a chart of them. */
export interface Series {
  name: string
  /** CSS class of its bars; there is a second and a third colour */
  style: '' | 'second' | 'third'
  /** One for each day, 0 or more */
  values: number[]
}

/** The height of the view box. Each day is ten units wide; the page stretches them. */
const [WIDTH, GAP, HEIGHT] = [10, 2, 100]

/**
 * Bars of an SVG, a table and a sentence that say the same.
 * @param how `id` differs from other charts of the page; several series of a day stand on each other
 * @returns undefined where every value is 0
 */
export function barChart(
  days: Date[],
  series: Series[],
  how: { id: string; caption: string; summary: string; sentence: string },
) {
  const totals = days.map((_, n) => series.reduce((sum, { values }) => sum + (values[n] ?? 0), 0))
  const most = Math.max(...totals)
  const [first, last] = [days[0], days.at(-1)]
  if (!first || !last || most === 0) return undefined
  const height = (value: number) => Math.max(1, Math.round((value / most) * HEIGHT * 100) / 100)
  const bars = days.flatMap((_, n) => {
    let top = HEIGHT
    return series.flatMap(({ style, values }) => {
      const value = values[n] ?? 0
      if (value === 0) return []
      const bar = { x: n * WIDTH + GAP / 2, width: WIDTH - GAP, height: height(value), style }
      top = Math.max(0, top - bar.height)
      return [{ ...bar, y: top }]
    })
  })
  return {
    ...how,
    viewBox: `0 0 ${days.length * WIDTH} ${HEIGHT}`,
    zero: `M0 ${HEIGHT}H${days.length * WIDTH}`,
    bars,
    legend: series.length > 1 ? series.map(({ name, style }) => ({ name, style })) : [],
    top: amountText(most),
    from: dayText(first),
    to: dayText(last),
    columns: series.map(({ name }) => name),
    rows: days
      .map((day, n) => ({ day: dayText(day), values: series.map(({ values }) => amountText(values[n] ?? 0)) }))
      .filter((_, n) => totals[n] !== 0)
      .reverse(),
  }
}
