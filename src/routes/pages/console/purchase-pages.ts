import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { oneOf, Uuid } from '../../../schemas/primitives.ts'
import { id as idCell } from './cells.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { PURCHASE_COLUMNS, purchaseCells } from './purchase-rows.ts'
import { choice, table } from './table.ts'

const ON_A_PAGE = 50
const SHOWN = ['open', 'processing', 'paid', 'failed', 'expired', 'disputed'] as const

/** What people have bought, of all accounts. */
export const purchasePages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/purchases',
    {
      schema: {
        hide: true,
        querystring: Type.Object({ status: Type.Optional(oneOf(SHOWN)), cursor: Type.Optional(Uuid) }),
      },
    },
    async (request, reply) => {
      const { status, cursor } = request.query
      const rows = await app.db
        .selectFrom('purchases')
        .selectAll()
        .$if(status === 'disputed', (all) => all.where('disputed', '=', true))
        .$if(status !== undefined && status !== 'disputed', (all) => all.where('status', '=', status as 'paid'))
        .$if(cursor !== undefined, (all) => all.where('id', '<', cursor ?? ''))
        .orderBy('id', 'desc')
        .limit(ON_A_PAGE + 1)
        .execute()
      const purchases = rows.slice(0, ON_A_PAGE)
      return consolePage(request, reply, 'list', {
        title: 'Purchases',
        section: 'purchases',
        help: HELP.purchases,
        choices: [
          choice(request, 'Status', 'status', {
            ...{ '': 'All', paid: 'Paid', open: 'Not paid', processing: 'With the bank', failed: 'Failed' },
            ...{ expired: 'Expired', disputed: 'Disputed' },
          }),
        ],
        table: table(request, {
          caption: 'Purchases',
          columns: PURCHASE_COLUMNS,
          empty: 'Purchases appear here when people buy packs at /buy, or automatically.',
          rows: purchases.map((purchase) => [
            ...purchaseCells(purchase),
            idCell(purchase.account_id, `/console/accounts/${purchase.account_id}`),
          ]),
          next_cursor: rows.length > purchases.length ? (purchases.at(-1)?.id ?? null) : null,
        }),
      })
    },
  )
}
