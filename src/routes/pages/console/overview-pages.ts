import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readOverview } from '../../../operator/overview.ts'
import { moneyText } from '../../../payments/money.ts'
import { amountText, creditsText } from '../words.ts'
import { durationText, sinceText } from './cells.ts'
import { countText } from './console-words.ts'
import { TROUBLED_COLUMNS, troubledCells } from './endpoint-rows.ts'
import { firstSteps } from './first-steps.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { overviewCharts } from './overview-charts.ts'
import { table } from './table.ts'
import { isUndelivered, listEndpoints, needsAttention } from './webhook-reads.ts'

/** A number that somebody may want to act on. */
interface Tile {
  name: string
  value: string
  note?: string | undefined
  href?: string
  wrong?: boolean
}

/** The first page: how things stand, and what needs attention. */
export const overviewPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/console', { schema: { hide: true } }, async (request, reply) => {
    const [steps, overview, endpoints] = await Promise.all([
      firstSteps(app),
      readOverview(app.db),
      listEndpoints(app.db),
    ])
    const troubled = endpoints.filter(needsAttention)
    return consolePage(request, reply, 'overview', {
      title: 'Overview',
      section: 'overview',
      help: HELP.overview,
      steps,
      tiles: tilesOf(overview, endpoints.filter(isUndelivered).length),
      troubled: troubled.length
        ? table(request, {
            caption: 'Endpoints that need attention',
            columns: TROUBLED_COLUMNS,
            empty: '',
            rows: troubled.map(troubledCells),
          })
        : undefined,
      charts: overviewCharts(overview.days),
      gathered: sinceText(new Date(overview.gathered_at)),
    })
  })
}

type Overview = Awaited<ReturnType<typeof readOverview>>

/** @param undelivered how many endpoints fail or are late */
function tilesOf(overview: Overview, undelivered: number): Tile[] {
  const { accounts, closed_accounts, credits, owed, closed_credits, held, negative_accounts } = overview
  const { overdue_holds, webhooks, purchases } = overview
  const { last_verify: verified } = overview
  return [
    {
      name: 'Credits to spend',
      value: amountText(credits),
      note: [
        `${amountText(held)} more are held by jobs`,
        ...(closed_credits ? [`${amountText(closed_credits)} are on closed accounts`] : []),
      ].join('; '),
    },
    {
      name: 'Accounts',
      value: amountText(accounts),
      note: closed_accounts ? `${amountText(closed_accounts)} of them closed` : undefined,
      href: '/console/accounts',
    },
    {
      name: 'Below zero',
      value: amountText(negative_accounts),
      note: negative_accounts ? `open accounts; they owe ${amountText(owed)}` : 'no account',
      href: '/console/accounts?show=negative',
    },
    {
      name: 'Overdue holds',
      value: amountText(overdue_holds),
      note: overdue_holds ? `the oldest for ${durationText(overview.overdue_seconds)}` : 'none',
      href: '/console/jobs?show=overdue',
      wrong: overview.overdue_seconds > 300,
    },
    {
      name: 'Endpoints failing or late',
      value: amountText(undelivered),
      note: webhooks.waiting ? countText(webhooks.waiting, 'message waits', 'messages wait') : 'no message waits',
      href: '/console/webhooks',
      wrong: undelivered > 0,
    },
    {
      name: 'Webhooks lost',
      value: amountText(webhooks.dead),
      note: webhooks.dead ? 'can be sent again' : 'none',
      href: '/console/webhooks',
      wrong: webhooks.dead > 0,
    },
    purchases.length
      ? {
          name: 'Purchases, 30 days',
          value: purchases.map(({ amount, currency }) => moneyText(amount, currency)).join(' + '),
          note: `${purchases.map(({ count, credits }) => `${amountText(count)}, of ${creditsText(credits)}`).join('; ')}; before refunds`,
          href: '/console/purchases?status=paid',
        }
      : { name: 'Purchases, 30 days', value: '0', href: '/console/purchases' },
    {
      name: 'Ledger verified',
      value: !verified ? 'Never' : verified.ok ? 'Holds' : 'Broken',
      note: verified ? sinceText(new Date(verified.at)) : 'check it once a day',
      href: '/console/verify',
      wrong: verified?.ok === false,
    },
  ]
}
