import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf, requireAccount, requireAdmin } from '../access/caller.ts'
import { tooManyAtOnce } from '../http/catalogue.ts'
import { CSV_TYPE, csvOf, wantsCsv } from '../http/csv.ts'
import { dayOf, type Period, periodOfDays } from '../http/periods.ts'
import { administrator, refusals, signedIn } from '../http/refusals.ts'
import { ListQuery, ref } from '../schemas/primitives.ts'
import { UsageResponse, usageQuery } from '../schemas/usage.ts'
import { ADMIN_GROUPS, GROUPS, type Group, readAllUsage, readNames, readUsage, type Usage } from '../usage/sums.ts'
import { inTurn } from '../usage/turns.ts'

const SUMS = ['jobs', 'completed', 'failed', 'credits', 'held']

const response = (groups: readonly Group[]) => ({
  200: {
    description: 'OK. The total counts every job of the period once',
    content: {
      'application/json': { schema: ref(UsageResponse), example: UsageResponse.examples[0] },
      'text/csv': { schema: Type.String(), example: `${[groups[0], ...SUMS].join(',')}\n` },
    },
  },
})

/** Where credits went: of one account, and of all. */
export const usageRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/usage',
    {
      config: { large: true },
      onRequest: requireAccount,
      schema: {
        tags: ['Wallet'],
        operationId: 'getUsage',
        summary: 'Sum up what your jobs cost, by app, action, token or day; as CSV with Accept: text/csv',
        description:
          'A job counts on the day on which it was created (UTC), with what it has cost by now; while it runs, with what it holds. The sums agree with the ledger.',
        querystring: ListQuery(usageQuery(GROUPS)),
        response: { ...response(GROUPS), ...refusals(signedIn, tooManyAtOnce) },
      },
    },
    async (request, reply) => {
      const { id } = callerOf(request)
      const period = periodOfDays(request.query)
      const groups = groupsOf(request.query.group_by)
      const usage = await inTurn(id, () => readUsage(app.db, id, period, groups))
      const names = await readNames(app.db, id, usage.rows)
      return answer(request, reply, { period, groups, usage, names })
    },
  )

  app.get(
    '/api/admin/usage',
    {
      config: { large: true },
      onRequest: requireAdmin,
      schema: {
        tags: ['Admin'],
        operationId: 'getTotalUsage',
        summary: "Sum up what all accounts' jobs cost, by app, day or plan; as CSV with Accept: text/csv",
        description:
          'As GET /api/usage. It reads the jobs of all accounts: where that takes more than 4.5 s, it is answered 503; ask for fewer days.',
        querystring: ListQuery(usageQuery(ADMIN_GROUPS)),
        response: { ...response(ADMIN_GROUPS), ...refusals(administrator, tooManyAtOnce) },
      },
    },
    async (request, reply) => {
      const period = periodOfDays(request.query)
      const groups = groupsOf(request.query.group_by)
      // One for all administrators.
      const usage = await inTurn('all accounts', () => readAllUsage(app.db, period, groups))
      return answer(request, reply, { period, groups, usage })
    },
  )
}

const groupsOf = (group_by = 'app'): Group[] => [...new Set(group_by.split(','))] as Group[]

interface Answer {
  period: Period
  groups: Group[]
  usage: Usage
  /** Of tokens */
  names?: Map<string, string>
}

function answer(request: FastifyRequest, reply: FastifyReply, { period, groups, usage, names }: Answer) {
  const isByToken = groups.includes('token')
  const rows = usage.rows.map((row) => {
    const [only] = groups
    const key = groups.length === 1 && only ? (row[only] ?? null) : groups.map((group) => row[group] ?? '').join('/')
    return { key, ...row, ...(isByToken && { name: names?.get(row.token ?? '') ?? null }) }
  })
  if (wantsCsv(request, reply)) {
    return reply.type(CSV_TYPE).send(csvOf([...groups, ...(isByToken ? ['name'] : []), ...SUMS], rows))
  }
  const { total, more } = usage
  return reply.send({ from: dayOf(period.from), to: dayOf(period.to), rows, total, more })
}
