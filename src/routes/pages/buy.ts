import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { badField, notSelling, purchaseNotFound } from '../../http/catalogue.ts'
import { readWallet } from '../../ledger/read.ts'
import { enable, resume, turnOff } from '../../payments/auto-topup.ts'
import { localPayment } from '../../payments/local.ts'
import { moneyText } from '../../payments/money.ts'
import { findPack, listPacks } from '../../payments/packs.ts'
import { findPayer } from '../../payments/payers.ts'
import { beginPurchase, findPurchase, type PurchaseRow, reconcilePurchase } from '../../payments/purchases.ts'
import { autoTopupOf } from '../../payments/texts.ts'
import type { Pack, Payments } from '../../payments/types.ts'
import { Uuid } from '../../schemas/primitives.ts'
import { fromOurPages, page, signedIn } from './page.ts'
import { purchaseReturn, returnLink } from './return-link.ts'
import { amountText, creditsText, timeText } from './words.ts'

const PURCHASES_ON_A_PAGE = 10
/** How often the page that waits for a payment reloads by itself, and after how many seconds. */
const MAX_RELOADS = 30
const RELOAD_SECONDS = 2
/** What automatic top-ups may be limited to: packs a month. */
const TIMES = [1, 2, 5, 10, 20]

/** Where people buy credits, and agree to buy them automatically. Without Stripe, the payment page is here too. */
export const buyPages: FastifyPluginAsyncTypebox = async (app) => {
  const { payments, config } = app
  const formTarget = payments?.provider.checkoutOrigin

  app.get(
    '/buy',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          missing: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
          purchase: Type.Optional(Uuid),
          canceled: Type.Optional(Type.String()),
          card: Type.Optional(Type.String()),
          changed: Type.Optional(Type.String()),
          again: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_RELOADS })),
        }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { missing, purchase: id, canceled, card, changed, again = 0 } = request.query
      if (!payments) return nothingToBuy(reply, person.shown_as)
      const purchase = id === undefined ? undefined : await findPurchase(app.db, person.id, id)
      const target = purchaseReturn(request, purchase?.return_to)
      if (purchase?.status === 'paid' && target)
        return reply.header('cache-control', 'no-store').redirect(target.href, 303)
      const waits = purchase?.status === 'open' && canceled === undefined && again < MAX_RELOADS
      if (waits) reply.header('refresh', `${RELOAD_SECONDS}; url=/buy?purchase=${id}&again=${again + 1}`)
      const [{ account }, packs, payer, purchases] = await Promise.all([
        readWallet(app.db, person.id),
        listPacks(app.db),
        findPayer(app.db, person.id),
        listPurchases(person.id),
      ])
      const { credits = 0 } = account ?? {}
      const auto = autoTopupOf(payer)
      const values = {
        title: 'Buy credits',
        wide: true,
        back: returnLink(request),
        redirect_to: purchaseReturn(request, (request.query as { redirect_to?: string }).redirect_to)?.href ?? '',
        shown_as: person.shown_as,
        credits: { amount: amountText(credits), unit: credits === 1 ? 'credit' : 'credits' },
        owed: credits < 0 ? creditsText(-credits) : '',
        missing: missing && creditsText(missing),
        notice: purchase
          ? noticeOf(purchase, canceled !== undefined, waits)
          : (changedNotice(changed) ?? cardNotice(card)),
        changed,
        trial: payments.provider.kind === 'local',
        packs: packs.map((pack) => ({ ...pack, text: moneyText(pack.price, pack.currency), offer: offerOf(pack) })),
        chosen: chosenOf(packs, missing),
        times: TIMES,
        auto: auto && {
          ...auto,
          price_text: moneyText(auto.price, auto.currency),
          cap_text: moneyText(auto.monthly_cap, auto.currency),
          until: auto.retry_at && timeText(auto.retry_at),
        },
        purchases: purchases.map(purchaseTexts),
      }
      return page(reply, 'buy', values, { formTarget })
    },
  )

  const form = { onRequest: fromOurPages }

  app.post(
    '/buy',
    {
      ...form,
      schema: {
        hide: true,
        body: Type.Object({ pack: Type.String(), redirect_to: Type.Optional(Type.String()) }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/buy')
      if (!person) return reply
      const { pack, redirect_to } = request.body
      const return_to = purchaseReturn(request, redirect_to)?.href ?? null
      const purchase = await beginPurchase(selling(), person, await findPack(app.db, pack), return_to)
      return reply.redirect(purchase.checkout_url ?? '/buy', 303)
    },
  )

  app.post(
    '/buy/auto-topup',
    {
      ...form,
      schema: {
        hide: true,
        body: Type.Object({
          offer: Type.String(),
          below: Type.String({ pattern: '^[0-9]{1,15}$' }),
          times: Type.String({ pattern: '^[0-9]{1,2}$' }),
          agree: Type.Optional(Type.String()),
        }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/buy')
      if (!person) return reply
      const { offer, below, times, agree } = request.body
      if (agree !== 'yes') throw badField('agree', 'must be ticked: nothing is charged without your consent')
      const pack = (await listPacks(app.db)).find((one) => offerOf(one) === offer)
      if (!pack) return reply.redirect('/buy?changed=terms#auto', 303)
      const terms = { below: Number(below), monthly_cap: pack.price * Number(times) }
      const card_url = await enable(selling(), person, pack, terms, `${config.publicUrl}/buy`)
      return reply.redirect(card_url ?? '/buy#auto', 303)
    },
  )

  app.post('/buy/auto-topup/off', { ...form, schema: { hide: true } }, async (request, reply) => {
    const person = await signedIn(request, reply, '/buy')
    if (!person) return reply
    await turnOff(app.db, person.id)
    return reply.redirect('/buy#auto', 303)
  })

  app.post('/buy/auto-topup/resume', { ...form, schema: { hide: true } }, async (request, reply) => {
    const person = await signedIn(request, reply, '/buy')
    if (!person) return reply
    await resume(selling(), person.id)
    return reply.redirect('/buy#auto', 303)
  })

  app.post('/buy/card', { ...form, schema: { hide: true } }, async (request, reply) => {
    const person = await signedIn(request, reply, '/buy')
    if (!person) return reply
    const payer = await findPayer(app.db, person.id)
    const url = await selling().provider.cardPage(person.id, payer?.customer_id ?? null, `${config.publicUrl}/buy`)
    return reply.redirect(url ?? '/buy', 303)
  })

  const local = { schema: { hide: true, params: Type.Object({ id: Uuid }) } }

  app.get('/buy/local/:id', local, async (request, reply) => {
    const person = await signedIn(request, reply)
    if (!person) return reply
    const purchase = await ownLocalPurchase(person.id, request.params.id)
    const { pack_name, credits, price, currency, id, status, return_to } = purchase
    const values = {
      title: 'Pay',
      shown_as: person.shown_as,
      pay: status === 'open' && moneyText(price, currency),
      ...{ id, name: pack_name, credits: creditsText(credits) },
    }
    return page(reply, 'buy-local', values, { formTarget: purchaseReturn(request, return_to)?.origin })
  })

  app.post('/buy/local/:id', { ...form, ...local }, async (request, reply) => {
    const person = await signedIn(request, reply, request.url)
    if (!person) return reply
    const { account_id, id } = await ownLocalPurchase(person.id, request.params.id)
    await reconcilePurchase(selling(), { account_id, id }, localPayment(id))
    return reply.redirect(`/buy?purchase=${id}`, 303)
  })

  /** @throws {ApiError} 404 not_selling */
  function selling(): Payments {
    if (!payments) throw notSelling()
    return payments
  }

  /** @throws {ApiError} 404 purchase_not_found */
  async function ownLocalPurchase(account_id: string, id: string): Promise<PurchaseRow> {
    const purchase = await findPurchase(app.db, account_id, id)
    if (purchase?.provider !== 'local' || payments?.provider.kind !== 'local') throw purchaseNotFound()
    return purchase
  }

  function nothingToBuy(reply: FastifyReply, shown_as: string) {
    if (config.topupUrl) return reply.header('cache-control', 'no-store').redirect(config.topupUrl, 303)
    return page(reply.code(404), 'buy-nothing', { title: 'Buy credits', shown_as })
  }

  const listPurchases = (account_id: string) =>
    app.db
      .selectFrom('purchases')
      .selectAll()
      .where('account_id', '=', account_id)
      .orderBy('id', 'desc')
      .limit(PURCHASES_ON_A_PAGE)
      .execute()
}

/** The smallest pack that is enough for what is missing, or else the largest. */
const chosenOf = (packs: Pack[], missing = 0): string | undefined =>
  (packs.find(({ credits }) => credits >= missing) ?? packs.at(-1))?.slug

function noticeOf({ status, credits, failure_reason }: PurchaseRow, canceled: boolean, waits: boolean) {
  switch (status) {
    case 'paid':
      return { style: 'done', text: `Paid. ${creditsText(credits)} ${credits === 1 ? 'was' : 'were'} added.` }
    case 'processing':
      return { style: 'done', text: 'Your bank has not confirmed the payment yet. The credits come when it does.' }
    case 'expired':
      return { style: 'notice', text: 'This payment was not finished in time. Nothing was charged.' }
    case 'failed':
      if (failure_reason === 'account_closed')
        return { style: 'notice', text: 'The payment came for a closed account. It will be refunded.' }
      return { style: 'notice', text: 'The payment has failed. Nothing was charged.' }
    case 'open':
      if (canceled) return { style: 'notice', text: 'You have not paid. Nothing was charged.' }
      if (waits) return { style: 'done', text: 'Waiting for the payment. This page looks again by itself.' }
      return { style: 'notice', text: 'The payment has not arrived yet. Reload this page in a minute.' }
  }
}

/** A pack with its terms, as the page shows them and the form sends them back: to these the person agrees. */
const offerOf = ({ slug, credits, price, currency }: Pack) => `${slug} ${credits} ${price} ${currency}`

const changedNotice = (changed: string | undefined) =>
  changed === 'terms'
    ? {
        style: 'notice',
        text: 'The pack has changed since you opened this page. Nothing was agreed: look at its price again.',
      }
    : undefined

const cardNotice = (card: string | undefined) =>
  card === undefined
    ? undefined
    : { style: 'done', text: 'Your card is being saved. Reload this page in a few seconds.' }

const STATES = {
  open: { word: 'Not paid', style: '' },
  processing: { word: 'With the bank', style: 'running' },
  paid: { word: 'Paid', style: '' },
  failed: { word: 'Failed', style: 'failed' },
  expired: { word: 'Expired', style: '' },
}

function purchaseTexts(purchase: PurchaseRow) {
  const { status, taken_back, credits, disputed, origin, receipt_url, checkout_url, created_at, pack_name } = purchase
  const state =
    taken_back > 0 ? { word: taken_back === credits ? 'Refunded' : 'Partly refunded', style: '' } : STATES[status]
  return {
    name: pack_name,
    amount: moneyText(purchase.amount ?? purchase.price, purchase.currency),
    state: disputed ? { word: 'Disputed', style: 'failed' } : state,
    taken_back: taken_back > 0 ? creditsText(taken_back) : '',
    automatic: origin === 'auto',
    receipt_url,
    pay_url: status === 'open' ? checkout_url : null,
    created_at,
    at: timeText(created_at),
  }
}
