import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { listActions } from '../../../operator/actions.ts'
import { Uuid } from '../../../schemas/primitives.ts'
import { namesOf } from './account-reads.ts'
import { ACTION_COLUMNS, actionCells } from './audit-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table, withQuery } from './table.ts'

/** What administrators have changed. */
export const auditPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/audit',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          account_id: Type.Optional(Uuid),
          administrator: Type.Optional(Uuid),
          target: Type.Optional(Type.String({ maxLength: 300 })),
          action: Type.Optional(Type.String({ maxLength: 100 })),
          cursor: Type.Optional(Uuid),
        }),
      },
    },
    async (request, reply) => {
      const { cursor, ...filter } = request.query
      const { actions, next_cursor } = await listActions(app.db, filter, { cursor })
      const administrators = actions.map(({ administrator }) => administrator.id)
      const names = await namesOf(app.db, administrators)
      const filters = Object.entries(filter).map(([name, value]) => ({
        text: `${FILTERS[name as keyof typeof filter]} ${value}`,
        href: withQuery(request, { [name]: undefined, cursor: undefined }),
      }))
      return consolePage(request, reply, 'audit', {
        title: 'Audit log',
        section: 'audit',
        help: HELP.audit,
        filters,
        table: table(request, {
          caption: 'What administrators have changed',
          columns: ACTION_COLUMNS,
          empty:
            'Nothing yet. Every change by an administrator appears here, be it by this console, the API or the command line.',
          rows: actions.map((line) => actionCells(line, names)),
          next_cursor,
        }),
      })
    },
  )
}

const FILTERS = { account_id: 'Account', administrator: 'By', target: 'To', action: 'What:' }
