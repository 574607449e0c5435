import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Db } from '../../db/tables.ts'
import { badField, overloaded } from '../../http/catalogue.ts'
import { ApiError } from '../../http/errors.ts'
import { dayOf, MAX_DAYS, type Period, periodOfDays, timeOf } from '../../http/periods.ts'
import { readNames, readUsage } from '../../usage/sums.ts'
import { inTurn } from '../../usage/turns.ts'
import { page, signedIn } from './page.ts'
import { returnLink } from './return-link.ts'
import { usageBars, usageTable } from './usage-chart.ts'

const DAY_MS = 86_400_000

/**
 * What an account used in the last thirty days, for its page.
 * @returns undefined where it cannot be computed at the moment: the page has more to show
 */
export async function recentUsage(db: Db, accountId: string) {
  const period = periodOfDays({})
  try {
    return await inTurn(accountId, async () => {
      const byDay = await readUsage(db, accountId, period, ['day'])
      const byApp = await readUsage(db, accountId, period, ['app'])
      return { chart: usageBars(period, byDay), apps: usageTable(byApp, ({ app }) => app ?? '') }
    })
  } catch (error) {
    if (error instanceof ApiError && error.code === overloaded.code) return undefined
    throw error
  }
}

/** Where credits went: a period by day, app, action and token. */
export const usagePages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/account/usage',
    {
      schema: {
        hide: true,
        querystring: Type.Object({ from: Type.Optional(Type.String()), to: Type.Optional(Type.String()) }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const period = readPeriod(request.query)
      const { byDay, byApp, byAction, byToken } = await inTurn(person.id, async () => ({
        byDay: await readUsage(app.db, person.id, period, ['day']),
        byApp: await readUsage(app.db, person.id, period, ['app']),
        byAction: await readUsage(app.db, person.id, period, ['action']),
        byToken: await readUsage(app.db, person.id, period, ['token']),
      }))
      const names = await readNames(app.db, person.id, byToken.rows)
      return page(reply, 'usage', {
        title: 'Where your credits went',
        wide: true,
        back: returnLink(request),
        shown_as: person.shown_as,
        from: dayOf(period.from),
        to: dayOf(new Date(period.to.getTime() - DAY_MS)),
        max_days: MAX_DAYS,
        none: byDay.total.jobs === 0,
        chart: usageBars(period, byDay),
        tables: [
          { title: 'By app', head: 'App', rows: usageTable(byApp, (row) => row.app ?? '') },
          { title: 'By action', head: 'Action', rows: usageTable(byAction, (row) => row.action ?? '') },
          {
            title: 'By token',
            head: 'Token or app',
            rows: usageTable(byToken, ({ token }) =>
              token ? (names.get(token) ?? `Deleted token ${token.slice(-4)}`) : 'Signed in, without a token',
            ),
          },
        ],
      })
    },
  )
}

/** The period of the form, whose last day belongs to it. @throws {ApiError} 400 */
function readPeriod({ from, to }: { from?: string; to?: string }): Period {
  const day = (field: string, text: string) => {
    const time = timeOf(field, text)
    if (dayOf(time) !== text) throw badField(field, 'must be a date such as 2026-11-21')
    return time
  }
  return periodOfDays({
    ...(from && { from: dayOf(day('from', from)) }),
    ...(to && { to: dayOf(new Date(day('to', to).getTime() + DAY_MS)) }),
  })
}
