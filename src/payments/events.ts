import type Stripe from 'stripe'
import { invalidSignature, wrongMode } from '../http/catalogue.ts'
import { refreshCard } from './auto-topup.ts'
import { reconcilePurchase } from './purchases.ts'
import type { OurMetadata, StripeProvider } from './stripe.ts'
import type { Hint, Payments } from './types.ts'

/**
 * Stripe's events. An event is only a hint that something may have changed: Stripe is then asked for the present state. So the order, the
 * number and the contents of events do not matter, but their signature does.
 */

/** What an event is about. docs/payments.md lists the events to subscribe to. */
type Subject =
  | { type: 'payment'; owner: OurMetadata | undefined; hint: Hint }
  | { type: 'card'; account: string | undefined; customer: string | undefined; changed: boolean }

/**
 * Verifies the signature and the mode (test or live) of an event.
 * @param body the request's body as received
 * @param signature the header `Stripe-Signature`
 * @throws {ApiError} 400 invalid_signature, 400 wrong_mode
 */
export function readEvent(
  { client }: StripeProvider,
  { webhookSecret, live }: { webhookSecret: string; live: boolean },
  body: string,
  signature: string,
): Stripe.Event {
  let event: Stripe.Event
  try {
    event = client.webhooks.constructEvent(body, signature, webhookSecret)
  } catch {
    throw invalidSignature()
  }
  const { livemode } = (event.data?.object ?? {}) as { livemode?: boolean }
  if ((event.livemode ?? livemode ?? false) !== live) throw wrongMode()
  return event
}

/**
 * Reconciles the purchase or the card that an event is about. Idempotent.
 * @returns whether that purchase or account is in this database
 * @throws {ApiError} 503 payments_unavailable; {DatabaseUnavailable}. Stripe sends the event again
 */
export async function handleEvent(
  payments: Payments & { provider: StripeProvider },
  event: Stripe.Event,
): Promise<boolean> {
  const subject = subjectOf(event)
  if (!subject) return false
  const { provider, log } = payments
  if (subject.type === 'card') {
    const account_id = subject.account ?? (subject.customer && (await accountOf(provider, subject.customer)))
    if (!isUuid(account_id)) return false
    await refreshCard(payments, account_id, subject.changed)
    return true
  }
  const owner = subject.owner ?? (await ownerOf(provider, subject.hint))
  if (!isUuid(owner?.focus_account) || !isUuid(owner.focus_purchase)) return false
  const key = { account_id: owner.focus_account, id: owner.focus_purchase }
  const purchase = await reconcilePurchase(payments, key, subject.hint)
  if (!purchase)
    log.error({ event: event.id, ...key }, 'an event of Stripe names a purchase that is not in the database')
  return purchase !== undefined
}

function subjectOf(event: Stripe.Event): Subject | undefined {
  const object = event.data?.object as (Stripe.Event.Data.Object & { object: string }) | undefined
  switch (object?.object) {
    case 'checkout.session': {
      const { id, mode, metadata } = object as Stripe.Checkout.Session
      const { focus_account: account } = (metadata ?? {}) as Partial<OurMetadata>
      if (mode === 'setup') return { type: 'card', account, customer: undefined, changed: false }
      return { type: 'payment', owner: ours(metadata), hint: { checkout_id: id } }
    }
    case 'payment_intent': {
      const { id, metadata } = object as Stripe.PaymentIntent
      return { type: 'payment', owner: ours(metadata), hint: { payment_id: id } }
    }
    case 'charge':
    case 'refund':
    case 'dispute': {
      const { payment_intent } = object as Stripe.Charge | Stripe.Refund | Stripe.Dispute
      const payment_id = idOf(payment_intent)
      return payment_id === undefined ? undefined : { type: 'payment', owner: undefined, hint: { payment_id } }
    }
    case 'payment_method': {
      const { customer } = object as Stripe.PaymentMethod
      const before = (event.data.previous_attributes as { customer?: string } | undefined)?.customer
      const changed = event.type === 'payment_method.automatically_updated' || event.type === 'payment_method.updated'
      return { type: 'card', account: undefined, customer: idOf(customer) ?? before, changed }
    }
  }
  return undefined
}

const ours = (metadata: Stripe.Metadata | null): OurMetadata | undefined => {
  const { focus_account, focus_purchase } = metadata ?? {}
  return focus_account && focus_purchase ? { focus_account, focus_purchase } : undefined
}

/** Refunds and disputes do not carry our metadata; their payment does. */
async function ownerOf({ client, find }: StripeProvider, { payment_id }: Hint): Promise<OurMetadata | undefined> {
  if (payment_id === undefined) return undefined
  const intent = await find(() => client.paymentIntents.retrieve(payment_id))
  return intent && ours(intent.metadata)
}

async function accountOf({ client, find }: StripeProvider, id: string): Promise<string | undefined> {
  const customer = await find(() => client.customers.retrieve(id))
  return !customer || customer.deleted ? undefined : customer.metadata.focus_account
}

const idOf = (reference: string | { id: string } | null): string | undefined =>
  typeof reference === 'string' ? reference : reference?.id

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const isUuid = (text: string | undefined): text is string => text !== undefined && UUID.test(text)
