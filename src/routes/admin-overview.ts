import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { tooManyAtOnce } from '../http/catalogue.ts'
import { optionalTime } from '../http/periods.ts'
import { administrator, refusals } from '../http/refusals.ts'
import { listActions } from '../operator/actions.ts'
import { readOverview } from '../operator/overview.ts'
import { AdminAction, Overview } from '../schemas/operator.ts'
import { ListQuery, NextCursor, PageLimit, periodFilter, ref, Uuid } from '../schemas/primitives.ts'

/** What an operator looks at first, and what administrators have changed. */
export const adminOverviewRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdminOrKey)

  app.get(
    '/api/admin/overview',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'getOverview',
        summary: 'Show credits and holds of all accounts, what needs attention, and the last thirty days',
        description:
          'Sums over all accounts are gathered every minute, on a large database less often; `gathered_at` says when.',
        response: {
          200: Type.Object(
            { overview: ref(Overview) },
            { description: 'OK', examples: [{ overview: Overview.examples[0] }] },
          ),
          ...refusals(administrator),
        },
      },
    },
    async () => ({ overview: await readOverview(app.db) }),
  )

  app.get(
    '/api/admin/audit',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listActions',
        summary: 'List what administrators have changed, newest first',
        description: 'Every change by the API, the command line or the console has a line, which never changes.',
        querystring: ListQuery({
          account_id: Type.Optional({ ...Uuid, description: 'Only what concerns this account' }),
          administrator: Type.Optional({ ...Uuid, description: 'Only what the administrator with this account did' }),
          action: Type.Optional(Type.String({ maxLength: 100, description: 'Only this operation id' })),
          target: Type.Optional(Type.String({ maxLength: 200, description: 'Only this target, such as `app video`' })),
          ...periodFilter('Only changes'),
          limit: PageLimit(50),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { actions: Type.Array(ref(AdminAction)), next_cursor: NextCursor },
            {
              description: 'OK. A page ends at 1 MiB',
              examples: [{ actions: AdminAction.examples, next_cursor: null }],
            },
          ),
          ...refusals(administrator, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { limit, cursor, from, to, ...filter } = request.query
      const period = { from: optionalTime('from', from), to: optionalTime('to', to) }
      return listActions(app.db, { ...filter, ...period }, { limit, cursor })
    },
  )
}
