import type { DayTotals } from '../../../operator/totals.ts'
import { barChart, type Series } from '../bar-chart.ts'
import { amountText, creditsText } from '../words.ts'

/** The charts of thirty days. Those without anything to show are left out. */
export function overviewCharts(totals: DayTotals[]) {
  const days = totals.map(({ day }) => new Date(day))
  type Sum = Exclude<keyof DayTotals, 'day'>
  const sum = (name: Sum) => totals.reduce((all, day) => all + day[name], 0)
  const series = (name: string, sum: Sum, style: Series['style'] = ''): Series => ({
    ...{ name, style, values: totals.map((day) => day[sum]) },
  })
  const summary = 'Day by day'
  return [
    barChart(
      days,
      [
        series('Bought', 'bought'),
        series('Given without payment', 'granted', 'third'),
        series('Refunds of jobs', 'refunded', 'second'),
      ],
      {
        ...{ id: 'given', caption: 'Credits that people got', summary },
        sentence:
          `In 30 days ${amountText(sum('bought'))} were bought or paid outside of this service, ` +
          `${amountText(sum('granted'))} given without payment (starter credits, grants, adjustments), and ` +
          `${amountText(sum('refunded'))} given back for jobs. ${amountText(sum('taken'))} were taken back.`,
      },
    ),
    barChart(days, [series('Spent', 'spent'), { ...heldBeyond(totals), style: 'third' }], {
      ...{ id: 'spent', caption: 'Credits spent by jobs, and held beyond that', summary },
      sentence:
        `Jobs of 30 days have cost ${creditsText(sum('spent'))} so far, before refunds, and reserved ${amountText(sum('held'))}. ` +
        'A job counts on the day on which it began.',
    }),
    barChart(
      days,
      [
        series('Completed', 'completed'),
        series('Running', 'started', 'third'),
        { name: 'Failed or expired', style: 'second', values: totals.map(({ failed, expired }) => failed + expired) },
      ],
      {
        ...{ id: 'jobs', caption: 'Jobs by outcome', summary },
        sentence:
          `In 30 days ${amountText(sum('completed'))} were completed, ${amountText(sum('failed'))} failed, ` +
          `${amountText(sum('expired'))} expired; ${amountText(sum('started'))} run.`,
      },
    ),
    barChart(days, [series('Purchases', 'purchases')], {
      ...{ id: 'purchases', caption: 'Purchases', summary },
      sentence: `${amountText(sum('purchases'))} in 30 days, of ${creditsText(sum('credits_bought'))}, before refunds.`,
    }),
  ].filter((chart) => chart !== undefined)
}

/** What jobs reserved and have not cost: given back, or still held. */
const heldBeyond = (totals: DayTotals[]) => ({
  name: 'Reserved beyond that',
  values: totals.map(({ held, spent }) => Math.max(0, held - spent)),
})
