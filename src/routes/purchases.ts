import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { callerOf, requireAccount, requireOpenAccount, requireSession } from '../access/caller.ts'
import {
  accountClosed,
  autoTopupNotFound,
  badField,
  notSelling,
  packNotFound,
  paymentsUnavailable,
  purchaseNotFound,
  sessionRequired,
  tooManyPurchases,
} from '../http/catalogue.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { enable, resume, turnOff } from '../payments/auto-topup.ts'
import { findPack } from '../payments/packs.ts'
import { findPayer } from '../payments/payers.ts'
import { beginPurchase, findPurchase, purchasesPage } from '../payments/purchases.ts'
import { autoTopupOf, purchaseOf } from '../payments/texts.ts'
import { AutoTopup, Money, Purchase } from '../schemas/payments.ts'
import { Credits, ListQuery, nullable, ref, Slug, Uuid } from '../schemas/primitives.ts'
import { purchaseReturn } from './pages/return-link.ts'

export const purchaseRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/api/purchases',
    {
      onRequest: requireOpenAccount,
      schema: {
        operationId: 'createPurchase',
        tags: ['Purchases'],
        summary: 'Begin to buy a pack: send the person to checkout_url. The credits come when it is paid',
        description:
          'Credits and price are those of the pack. The credits are posted when the payment provider says that the payment has succeeded, and not because the person comes back.',
        body: Type.Object(
          {
            pack: Slug,
            return_to: Type.Optional(
              Type.String({
                maxLength: 2048,
                description:
                  'Where the person goes on when it is paid: an address of an allowed origin, or a page of this service',
              }),
            ),
          },
          { examples: [{ pack: 'small', return_to: 'https://video.example.com/' }] },
        ),
        response: {
          201: Type.Object(
            { purchase: ref(Purchase), checkout_url: Type.String() },
            {
              description: 'Begun. Repeated within ten minutes, and not paid yet: the same purchase',
              examples: [
                {
                  purchase: { ...Purchase.examples[0], status: 'open', amount: null, paid_at: null, receipt_url: null },
                  checkout_url: 'https://checkout.stripe.com/c/pay/cs_…',
                },
              ],
            },
          ),
          ...refusals(
            signedIn,
            jsonBody,
            accountClosed,
            notSelling,
            packNotFound,
            tooManyPurchases,
            paymentsUnavailable,
          ),
        },
      },
    },
    async (request, reply) => {
      if (!app.payments) throw notSelling()
      const { pack: slug, return_to } = request.body
      const account = callerOf(request)
      const target = return_to === undefined ? null : purchaseReturn(request, return_to)
      if (target === undefined) throw badField('return_to', 'is not an address that this service may send people to')
      const purchase = await beginPurchase(app.payments, account, await findPack(app.db, slug), target?.href ?? null)
      return reply
        .code(201)
        .send({ purchase: purchaseOf(purchase), checkout_url: purchase.checkout_url ?? app.config.publicUrl })
    },
  )

  app.get(
    '/api/purchases',
    {
      onRequest: requireAccount,
      schema: {
        operationId: 'listPurchases',
        tags: ['Purchases'],
        summary: 'List purchases, newest first',
        description: 'With state, amount and receipt.',
        querystring: ListQuery({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { purchases: Type.Array(ref(Purchase)), next_cursor: nullable(Type.String()) },
            { description: 'A page', examples: [{ purchases: Purchase.examples, next_cursor: null }] },
          ),
          ...refusals(signedIn),
        },
      },
    },
    async (request) => {
      const { purchases, next_cursor } = await purchasesPage(app.db, callerOf(request).id, request.query)
      return { purchases: purchases.map(purchaseOf), next_cursor }
    },
  )

  app.get(
    '/api/purchases/:id',
    {
      onRequest: requireAccount,
      schema: {
        operationId: 'getPurchase',
        tags: ['Purchases'],
        summary: 'Get one purchase',
        description: 'To look whether a payment has arrived.',
        params: Type.Object({ id: Uuid }),
        response: {
          200: Type.Object(
            { purchase: ref(Purchase) },
            { description: 'OK', examples: [{ purchase: Purchase.examples[0] }] },
          ),
          ...refusals(signedIn, purchaseNotFound),
        },
      },
    },
    async (request) => {
      const purchase = await findPurchase(app.db, callerOf(request).id, request.params.id)
      if (!purchase) throw purchaseNotFound()
      return { purchase: purchaseOf(purchase) }
    },
  )

  const personOnly = [...signedIn, sessionRequired, accountClosed, notSelling]

  app.put(
    '/api/wallet/auto-topup',
    {
      onRequest: requireSession,
      schema: {
        operationId: 'setAutoTopup',
        tags: ['Purchases'],
        summary:
          'Buy a pack automatically when credits fall below a mark; only a person on our own page may agree to that',
        description:
          'Needs our session cookie from our own page, `/buy`: an app holds tokens of a person, and must not spend their money. Charged at most once at a time; after three declines it is paused.',
        body: Type.Object(
          { pack: Slug, below: Credits(), monthly_cap: Money({ minimum: 1, maximum: 999_999_999_999 }) },
          { examples: [{ pack: 'small', below: 20, monthly_cap: 5000 }] },
        ),
        response: {
          200: Type.Object(
            {
              auto_topup: ref(AutoTopup),
              card_url: nullable(Type.String({ description: 'Where to give a card; null: one is saved' })),
            },
            { description: 'OK', examples: [{ auto_topup: AutoTopup.examples[0], card_url: null }] },
          ),
          ...refusals(personOnly, jsonBody, packNotFound, paymentsUnavailable),
        },
      },
    },
    async (request) => {
      if (!app.payments) throw notSelling()
      const { pack, ...terms } = request.body
      const account = callerOf(request)
      const back_to = `${app.config.publicUrl}/buy`
      const card_url = await enable(app.payments, account, await findPack(app.db, pack), terms, back_to)
      return { auto_topup: await shown(account.id), card_url }
    },
  )

  app.post(
    '/api/wallet/auto-topup/resume',
    {
      onRequest: requireSession,
      schema: {
        operationId: 'resumeAutoTopup',
        tags: ['Purchases'],
        summary: 'Go on with automatic top-ups that are paused',
        description: 'The person says that the card may be charged again.',
        response: {
          200: Type.Object(
            { auto_topup: ref(AutoTopup) },
            { description: 'OK', examples: [{ auto_topup: AutoTopup.examples[0] }] },
          ),
          ...refusals(personOnly, autoTopupNotFound, paymentsUnavailable),
        },
      },
    },
    async (request) => {
      if (!app.payments) throw notSelling()
      const { id } = callerOf(request)
      await resume(app.payments, id)
      return { auto_topup: await shown(id) }
    },
  )

  app.delete(
    '/api/wallet/auto-topup',
    {
      onRequest: requireOpenAccount,
      schema: {
        operationId: 'removeAutoTopup',
        tags: ['Purchases'],
        summary: 'Turn automatic top-ups off',
        description: 'A charge that is under way still ends as it does.',
        response: { 204: Type.Null({ description: 'Off, now or before' }), ...refusals(signedIn) },
      },
    },
    async (request, reply) => {
      await turnOff(app.db, callerOf(request).id)
      return reply.code(204).send(null)
    },
  )

  /** @throws {ApiError} 404 where it was turned off meanwhile */
  async function shown(account_id: string) {
    const auto_topup = autoTopupOf(await findPayer(app.db, account_id))
    if (!auto_topup) throw autoTopupNotFound()
    return auto_topup
  }
}
