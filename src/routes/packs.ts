import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdmin } from '../access/caller.ts'
import { packNotFound, paymentsUnavailable } from '../http/catalogue.ts'
import { administrator, anyRequest, jsonBody, refusals } from '../http/refusals.ts'
import { actorOf } from '../operator/actions.ts'
import { removePack, setPack } from '../operator/packs-and-keys.ts'
import { moneyText } from '../payments/money.ts'
import { checkPrice, listPacks } from '../payments/packs.ts'
import type { Pack as Terms } from '../payments/types.ts'
import { AdminPack } from '../schemas/operator.ts'
import { PACK_BODY, Pack } from '../schemas/payments.ts'
import { ListQuery, ref, Slug } from '../schemas/primitives.ts'

const answer = ({ slug, name, credits, price, currency }: Omit<Terms, 'stripe_price_id'>) => ({
  ...{ slug, name, credits, price, currency },
  price_text: moneyText(price, currency),
})

export const packRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/packs',
    {
      schema: {
        operationId: 'listPacks',
        tags: ['Purchases'],
        summary: 'List what can be bought; empty where this service sells nothing',
        description: 'Needs no sign-in. Prices are integers of the minor unit of the currency.',
        security: [],
        response: {
          200: Type.Object(
            { packs: Type.Array(ref(Pack)) },
            { description: 'OK', examples: [{ packs: Pack.examples }] },
          ),
          ...refusals(anyRequest),
        },
      },
    },
    async () => ({ packs: app.payments ? (await listPacks(app.db)).map(answer) : [] }),
  )

  app.get(
    '/api/admin/packs',
    {
      onRequest: requireAdmin,
      schema: {
        operationId: 'listAllPacks',
        tags: ['Admin'],
        summary: 'List the packs, also where this service sells nothing',
        description: 'The smallest first.',
        querystring: ListQuery({}),
        response: {
          200: Type.Object(
            { packs: Type.Array(ref(AdminPack)) },
            { description: 'OK', examples: [{ packs: AdminPack.examples }] },
          ),
          ...refusals(administrator),
        },
      },
    },
    async () => {
      const packs = await listPacks(app.db)
      return {
        packs: packs.map(({ stripe_price_id, updated_at, ...pack }) => ({
          ...answer(pack),
          stripe_price_id,
          updated_at,
        })),
      }
    },
  )

  app.put(
    '/api/admin/packs/:slug',
    {
      onRequest: requireAdmin,
      schema: {
        operationId: 'setPack',
        tags: ['Admin'],
        summary: 'Sell a pack of credits, or change it; purchases that have begun keep their terms',
        description:
          'With `stripe_price_id`, which must have the same price and currency, Stripe shows its own product. An automatic top-up for a pack whose terms change is paused until the person agrees again.',
        params: Type.Object({ slug: Slug }),
        body: PACK_BODY,
        response: {
          200: Type.Object({ pack: ref(Pack) }, { description: 'OK', examples: [{ pack: Pack.examples[0] }] }),
          ...refusals(administrator, jsonBody, paymentsUnavailable),
        },
      },
    },
    async (request) => {
      const { name, credits, price, currency, stripe_price_id = null } = request.body
      await checkPrice(app.payments, { price, currency, stripe_price_id })
      const terms = { name, credits, price, currency, stripe_price_id }
      const pack = await setPack(app.db, actorOf(request), request.params.slug, terms)
      return { pack: answer(pack) }
    },
  )

  app.delete(
    '/api/admin/packs/:slug',
    {
      onRequest: requireAdmin,
      schema: {
        operationId: 'removePack',
        tags: ['Admin'],
        summary: 'Stop selling a pack; purchases that have begun can still be paid',
        description: 'Automatic top-ups for it are paused when they are due.',
        params: Type.Object({ slug: Slug }),
        response: {
          204: Type.Null({ description: 'Not sold any more' }),
          ...refusals(administrator, packNotFound),
        },
      },
    },
    async (request, reply) => {
      await removePack(app.db, actorOf(request), request.params.slug)
      return reply.code(204).send(null)
    },
  )
}
