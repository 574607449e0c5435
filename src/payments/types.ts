import type { FastifyBaseLogger } from 'fastify'
import type { Selectable } from 'kysely'
import type { Db, Tables } from '../db/tables.ts'
import type { Ledger } from '../ledger/operations.ts'
import type { Payment, PurchaseStatus } from '../ledger/reconcile.ts'

/** What buying needs: `app.payments`, if the service sells credits. */
export interface Payments {
  db: Db
  ledger: Ledger
  log: FastifyBaseLogger
  provider: Provider
  publicUrl: string
}

/** A pack of credits. `price` is in minor units of the currency. */
export type Pack = Omit<Selectable<Tables['packs']>, 'created_at' | 'updated_at'>

/** The part of a purchase that providers need. `price` is in minor units of the currency. */
export interface Bought {
  account_id: string
  id: string
  pack_name: string
  credits: number
  price: number
  currency: string
  origin: 'checkout' | 'auto'
  status: PurchaseStatus
  checkout_id: string | null
  payment_id: string | null
  refunds: { id: string }[]
  created_at: Date
  version: number
}

/** Ids at the provider that an event or an answer has named and the purchase may not have yet. */
export interface Hint {
  checkout_id?: string
  payment_id?: string
}

export interface Card {
  id: string
  /** `Visa …4242` */
  name: string
}

/** A payment provider: Stripe, or the local one, which takes no money. All methods may throw 503 payments_unavailable. */
export interface Provider {
  readonly kind: 'stripe' | 'local'
  /** The origin of its payment page; undefined: a page of this service */
  readonly checkoutOrigin: string | undefined
  /** Creates the customer of an account; null: it has no customers. Idempotent for as long as the provider keeps idempotency keys */
  createCustomer(account_id: string): Promise<string | null>
  /** Creates a payment page, to which the person is sent by `url`. Idempotent for each purchase */
  checkout(
    purchase: Bought & { stripe_price_id: string | null; back_to: string },
    customer_id: string | null,
  ): Promise<{ checkout_id: string | null; url: string }>
  /** The payment of an automatic charge whose answer was lost; undefined: there is none */
  findCharge(customer: string, purchase: Bought): Promise<string | undefined>
  /** The present state of a purchase's payment; undefined: the provider has no payment */
  look(purchase: Bought, hint: Hint): Promise<Payment | undefined>
  /** The URL of a page on which the person saves a card; null: none is needed */
  cardPage(account_id: string, customer_id: string | null, back_to: string): Promise<string | null>
  /** The card that automatic charges use: the one saved last; undefined: none is saved */
  card(customer_id: string | null): Promise<Card | undefined>
  /**
   * Charges a saved card without the person. Idempotent for each `attempt` of an account.
   * @returns the payment to look at; or `refused`, the reason why no payment exists
   * @throws {ApiError} 503 payments_unavailable: the outcome is unknown; call it again with the same values and `again`
   */
  charge(purchase: Bought, payer: Charged): Promise<Hint | { refused: string }>
  /** A price that is defined at the provider; undefined: it is not a one-time price of a fixed amount. Absent: it has no prices */
  price?(id: string): Promise<{ price: number; currency: string } | undefined>
  /** Cancels a failed payment, so that it cannot be completed later. Does not throw */
  giveUp(hint: Hint): Promise<void>
}

/** Whom and how to charge. */
export interface Charged {
  customer_id: string | null
  payment_method_id: string
  /** Numbers the charges of an account; part of the idempotency key */
  attempt: number
  /** It may have been sent before, with an unknown outcome */
  again: boolean
}

/** Why automatic top-ups wait or are paused. */
export type PauseReason =
  | 'card_missing'
  | 'card_declined'
  | 'card_refused'
  | 'authentication_required'
  | 'monthly_cap'
  | 'pack_changed'
  | 'disputed'
