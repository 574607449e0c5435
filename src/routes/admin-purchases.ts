import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdmin } from '../access/caller.ts'
import { tooManyAtOnce } from '../http/catalogue.ts'
import { administrator, refusals } from '../http/refusals.ts'
import { PURCHASE_STATUSES } from '../ledger/reconcile.ts'
import { listAllPurchases } from '../operator/all-purchases.ts'
import { purchaseOf } from '../payments/texts.ts'
import { AdminPurchase } from '../schemas/operator.ts'
import { ListQuery, NextCursor, oneOf, PageLimit, ref, Uuid } from '../schemas/primitives.ts'

/** Purchases of all accounts. */
export const adminPurchaseRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  app.get(
    '/api/admin/purchases',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAllPurchases',
        summary: 'List purchases of all accounts, newest first',
        description: 'With the account of each, and its payment at the provider.',
        querystring: ListQuery({
          status: Type.Optional(oneOf(PURCHASE_STATUSES)),
          disputed: Type.Optional(
            Type.Boolean({ description: 'true: only those whose payment is disputed; not together with `status`' }),
          ),
          limit: PageLimit(50),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { purchases: Type.Array(ref(AdminPurchase)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ purchases: AdminPurchase.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { limit, cursor, ...filter } = request.query
      const { purchases, next_cursor } = await listAllPurchases(app.db, filter, { limit, cursor })
      return {
        purchases: purchases.map((row) => ({
          ...{ account_id: row.account_id, payment_id: row.payment_id },
          ...purchaseOf(row),
        })),
        next_cursor,
      }
    },
  )
}
