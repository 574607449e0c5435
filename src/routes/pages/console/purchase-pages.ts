import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { PURCHASE_STATUSES } from '../../../ledger/reconcile.ts'
import { listAllPurchases } from '../../../operator/all-purchases.ts'
import { oneOf, Uuid } from '../../../schemas/primitives.ts'
import { titlesOf } from './account-reads.ts'
import { personCell } from './account-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { PURCHASE_COLUMNS, purchaseCells } from './purchase-rows.ts'
import { choice, table } from './table.ts'

const SHOWN = [...PURCHASE_STATUSES, 'disputed'] as const

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
      const filter = status === 'disputed' ? { disputed: true } : { status }
      const { purchases, next_cursor } = await listAllPurchases(app.db, filter, { cursor })
      const titles = await titlesOf(
        app.db,
        purchases.map(({ account_id }) => account_id),
      )
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
          rows: purchases.map((purchase) => [...purchaseCells(purchase), personCell(purchase.account_id, titles)]),
          next_cursor,
        }),
      })
    },
  )
}
