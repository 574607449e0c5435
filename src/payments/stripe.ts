import type { FastifyBaseLogger } from 'fastify'
import type Stripe from 'stripe'
import type { StripeConfig } from '../config.ts'
import { paymentsUnavailable } from '../http/catalogue.ts'
import type { Payment, Reversal } from '../ledger/reconcile.ts'
import type { Bought, Card, Charged, Hint, Provider } from './types.ts'

/** Time limit of one request to Stripe, in ms. It is repeated once, with the same idempotency key. */
const TIMEOUT_MS = 8_000
/** After this time a purchase without a known payment page has expired; Stripe's pages expire after a day. */
const OPEN_MS = 25 * 3_600_000
/** How long Stripe remembers an idempotency key. */
const KEY_MS = 24 * 3_600_000

/** Metadata of the objects that we create at Stripe, by which an event is matched to its purchase. */
export interface OurMetadata {
  focus_account: string
  focus_purchase?: string
}

export interface StripeProvider extends Provider {
  client: Stripe
  /** Retrieves an object; undefined: Stripe does not know it. @throws {ApiError} 503 payments_unavailable */
  find<T>(request: () => Promise<T>): Promise<T | undefined>
}

/** The provider Stripe. Loads Stripe's package. */
export async function stripeProvider(config: StripeConfig, log: FastifyBaseLogger): Promise<StripeProvider> {
  const { default: StripeClient } = await import('stripe')
  const api = config.apiUrl === undefined ? undefined : new URL(config.apiUrl)
  const client = new StripeClient(config.secretKey, {
    timeout: TIMEOUT_MS,
    maxNetworkRetries: 1,
    telemetry: false,
    ...(api && {
      host: api.hostname,
      port: api.port || (api.protocol === 'http:' ? 80 : 443),
      protocol: api.protocol === 'http:' ? 'http' : 'https',
    }),
  })
  const { StripeError, StripeInvalidRequestError, StripeCardError, StripeIdempotencyError } = StripeClient.errors

  /** Runs a request, and turns the SDK's errors into ours. @throws {ApiError} 503 payments_unavailable */
  async function ask<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof StripeError)) throw error
      const { type, code, statusCode, requestId, message } = error
      // Stripe's message about a key contains a part of the key.
      const reason = statusCode === 401 ? 'Stripe refuses STRIPE_SECRET_KEY' : message
      log.error({ type, code, statusCode, requestId, reason }, 'a request to Stripe failed')
      throw paymentsUnavailable()
    }
  }

  const find = <T>(request: () => Promise<T>): Promise<T | undefined> =>
    ask(() =>
      request().catch((error) => {
        if (error instanceof StripeInvalidRequestError && error.code === 'resource_missing') return undefined
        throw error
      }),
    )

  async function look(purchase: Bought, hint: Hint): Promise<Payment | undefined> {
    const payment_id = purchase.payment_id ?? hint.payment_id
    const checkout_id = purchase.checkout_id ?? hint.checkout_id
    // The session goes first: after a declined card it is still open, while its payment intent looks failed.
    if (checkout_id) {
      const session = await find(() =>
        client.checkout.sessions.retrieve(checkout_id, { expand: ['payment_intent.latest_charge'] }),
      )
      return session && ofPurchase(session, purchase) ? lookAtSession(session, purchase) : undefined
    }
    if (payment_id) {
      const intent = await find(() => client.paymentIntents.retrieve(payment_id, { expand: ['latest_charge'] }))
      return intent && ofPurchase(intent, purchase) ? lookAtIntent(intent, purchase) : undefined
    }
    const expired = purchase.status === 'open' && purchase.created_at.getTime() + OPEN_MS < Date.now()
    return expired ? { ...UNPAID, status: 'expired' } : undefined
  }

  async function lookAtSession(session: Stripe.Checkout.Session, purchase: Bought): Promise<Payment> {
    const { id: checkout_id, payment_intent: intent, payment_status, status, amount_total } = session
    // Of a completed session, the payment intent has more details.
    if (intent && typeof intent === 'object' && status === 'complete')
      return { ...(await lookAtIntent(intent, purchase)), checkout_id }
    if (payment_status === 'paid') {
      const payment_id = typeof intent === 'string' ? intent : checkout_id
      const amount = amount_total ?? purchase.price
      return { ...UNPAID, status: 'paid', checkout_id, payment_id, reference: `stripe:${payment_id}`, amount }
    }
    return {
      ...UNPAID,
      status: status === 'expired' ? 'expired' : status === 'complete' ? 'processing' : 'open',
      checkout_id,
    }
  }

  async function lookAtIntent(intent: Stripe.PaymentIntent, purchase: Bought): Promise<Payment> {
    const { id: payment_id, status, amount_received, last_payment_error: fault } = intent
    const common = { ...UNPAID, payment_id }
    if (status === 'requires_action' && purchase.origin === 'auto')
      return { ...common, status: 'failed', failure_reason: 'authentication_required' }
    if (status === 'requires_payment_method' || status === 'canceled')
      return {
        ...common,
        status: 'failed',
        failure_reason: codeOf(fault) ?? intent.cancellation_reason ?? 'payment_failed',
      }
    if (status !== 'succeeded') return { ...common, status: status === 'processing' ? 'processing' : 'open' }
    const charge = typeof intent.latest_charge === 'object' ? intent.latest_charge : null
    const known = purchase.refunds.length > 0
    const refunds = known || charge?.amount_refunded ? await refundsOf(payment_id) : []
    const disputes = known || charge?.disputed ? await disputesOf(payment_id) : []
    return {
      ...common,
      status: 'paid',
      reference: `stripe:${payment_id}`,
      amount: amount_received,
      receipt_url: charge?.receipt_url ?? null,
      disputed: disputes.some(({ status }) => !['won', 'warning_closed', 'prevented'].includes(status)),
      reversals: [...refunds.map(ofRefund), ...disputes.map(ofDispute)]
        .sort((one, other) => one.created - other.created || (one.id < other.id ? -1 : 1))
        .map(({ created, ...reversal }) => reversal),
    }
  }

  const refundsOf = (payment_intent: string) =>
    ask(() => client.refunds.list({ payment_intent, limit: 100 }).autoPagingToArray({ limit: 10_000 }))
  const disputesOf = (payment_intent: string) =>
    ask(() => client.disputes.list({ payment_intent, limit: 100 }).autoPagingToArray({ limit: 10_000 }))

  async function charge(purchase: Bought, payer: Charged): Promise<Hint | { refused: string }> {
    const { account_id, id, price, currency, pack_name, created_at } = purchase
    const customer = payer.customer_id ?? ''
    if (payer.again) {
      const begun = await findCharge(customer, purchase)
      if (begun) return { payment_id: begun.id }
      // The idempotency key has expired at Stripe, and no payment exists: the charge never reached Stripe.
      if (created_at.getTime() + KEY_MS < Date.now()) return { refused: 'no_answer' }
    }
    try {
      const intent = await client.paymentIntents.create(
        {
          ...{ amount: price, currency, customer, description: pack_name },
          ...{ payment_method: payer.payment_method_id, payment_method_types: ['card'] },
          ...{ off_session: true, confirm: true },
          metadata: { focus_account: account_id, focus_purchase: id },
        },
        { idempotencyKey: `topup:${account_id}:${payer.attempt}` },
      )
      return { payment_id: intent.id }
    } catch (error) {
      if (error instanceof StripeCardError) {
        const intent = error.payment_intent?.id
        return intent ? { payment_id: intent } : { refused: error.decline_code ?? error.code ?? 'card_declined' }
      }
      // An idempotency error means that the card was replaced between two attempts of one charge. `findCharge` finds the first one later.
      if (error instanceof StripeInvalidRequestError && !(error instanceof StripeIdempotencyError))
        return { refused: error.code ?? 'invalid_request' }
      return await ask(() => Promise.reject(error))
    }
  }

  /** The payment intent of a charge whose answer was lost; undefined: there is none. */
  const findCharge = (customer: string, { id, created_at }: Bought) =>
    ask(async () => {
      const since = Math.floor(created_at.getTime() / 1000) - 300
      for await (const intent of client.paymentIntents.list({ customer, created: { gte: since }, limit: 100 }))
        if (intent.metadata.focus_purchase === id) return intent
      return undefined
    })

  return {
    kind: 'stripe',
    checkoutOrigin: api?.origin ?? 'https://checkout.stripe.com',
    client,
    find,
    look,
    charge,
    findCharge: async (customer, purchase) => (await findCharge(customer, purchase))?.id,

    createCustomer: (account_id) =>
      ask(async () => {
        const metadata = { focus_account: account_id }
        return (await client.customers.create({ metadata }, { idempotencyKey: `customer:${account_id}` })).id
      }),

    checkout: (purchase, customer) =>
      ask(async () => {
        const { account_id, id, pack_name, price, currency, stripe_price_id, back_to } = purchase
        const metadata = { focus_account: account_id, focus_purchase: id }
        const session = await client.checkout.sessions.create(
          {
            mode: 'payment',
            ...(customer && { customer }),
            client_reference_id: id,
            metadata,
            payment_intent_data: { metadata, description: pack_name },
            line_items: [
              stripe_price_id
                ? { price: stripe_price_id, quantity: 1 }
                : { price_data: { currency, unit_amount: price, product_data: { name: pack_name } }, quantity: 1 },
            ],
            success_url: back_to,
            cancel_url: `${back_to}&canceled=1`,
            ...(config.automaticTax && { automatic_tax: { enabled: true }, customer_update: { address: 'auto' } }),
          },
          { idempotencyKey: `purchase:${id}` },
        )
        if (!session.url) throw new Error('the Checkout session has no URL')
        return { checkout_id: session.id, url: session.url }
      }),

    cardPage: (account_id, customer, back_to) =>
      ask(async () => {
        const session = await client.checkout.sessions.create({
          ...{ mode: 'setup', payment_method_types: ['card'], customer: customer ?? '' },
          metadata: { focus_account: account_id },
          ...{ success_url: `${back_to}?card=saved`, cancel_url: back_to },
        })
        return session.url
      }),

    async card(customer): Promise<Card | undefined> {
      if (customer === null) return undefined
      const methods = await ask(() => client.paymentMethods.list({ customer, type: 'card', limit: 100 }))
      const [newest] = methods.data.sort((one, other) => other.created - one.created)
      if (!newest) return undefined
      const { brand = 'card', last4 = '' } = newest.card ?? {}
      return { id: newest.id, name: `${brand[0]?.toUpperCase()}${brand.slice(1)} …${last4}` }
    },

    async price(id) {
      const price = await find(() => client.prices.retrieve(id))
      if (!price || price.unit_amount === null || price.type !== 'one_time') return undefined
      return { price: price.unit_amount, currency: price.currency }
    },

    async giveUp({ payment_id }) {
      if (!payment_id) return
      await client.paymentIntents.cancel(payment_id).catch((error) => {
        log.warn({ payment_id, reason: (error as Error).message }, 'could not cancel a failed payment')
      })
    },
  }
}

const UNPAID = {
  ...{ failure_reason: null, checkout_id: null, payment_id: null, reference: null, amount: null },
  ...{ receipt_url: null, disputed: false, reversals: [] },
}

/** Whether an object at Stripe belongs to this purchase. The ids in an event are not trusted to match. */
const ofPurchase = ({ metadata }: { metadata: Stripe.Metadata | null }, { account_id, id }: Bought): boolean =>
  metadata?.focus_purchase === id && metadata.focus_account === account_id

const codeOf = (fault: Stripe.PaymentIntent.LastPaymentError | null): string | undefined =>
  fault?.code === 'authentication_required' ? fault.code : (fault?.decline_code ?? fault?.code ?? undefined)

type Dated = Reversal & { created: number }
const ofRefund = ({ id, amount, status, created }: Stripe.Refund): Dated => ({
  ...{ id, kind: 'refund', amount, created },
  counts: status !== 'failed' && status !== 'canceled',
})
const ofDispute = ({ id, amount, status, created }: Stripe.Dispute): Dated => ({
  ...{ id, kind: 'dispute', amount, created },
  counts: status === 'lost',
})
