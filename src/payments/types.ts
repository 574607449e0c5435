import type { FastifyBaseLogger } from 'fastify'
import type { Selectable } from 'kysely'
import type { Db, Tables } from '../db/tables.ts'
import type { Ledger } from '../ledger/operations.ts'
import type { Payment, PurchaseStatus } from '../ledger/reconcile.ts'

/** What buying needs. `app.payments` is this, where the service sells credits. */
export interface Payments {
  db: Db
  ledger: Ledger
  log: FastifyBaseLogger
  provider: Provider
  publicUrl: string
}

/** What a pack is sold for. */
export type Pack = Omit<Selectable<Tables['packs']>, 'created_at' | 'updated_at'>

/** A purchase, as the provider is asked about it. */
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

/** Ids that an event or an answer has named, before the purchase has them. */
export interface Hint {
  checkout_id?: string
  payment_id?: string
}

export interface Card {
  id: string
  /** `Visa …4242` */
  name: string
}

/** Who takes the money: Stripe, or nobody, where the service is tried out. */
export interface Provider {
  readonly kind: 'stripe' | 'local'
  /** The origin of its payment page; undefined: our own */
  readonly checkoutOrigin: string | undefined
  /** The customer at the provider who stands for an account; null: it has none. The same one whenever it is asked again soon */
  createCustomer(account_id: string): Promise<string | null>
  /** Begins a payment: the person is sent to `url`. Asked again with the same purchase, it answers the same */
  checkout(
    purchase: Bought & { stripe_price_id: string | null; back_to: string },
    customer_id: string | null,
  ): Promise<{ checkout_id: string | null; url: string }>
  /** The payment of an automatic charge whose answer was lost; undefined: there is none */
  findCharge(customer: string, purchase: Bought): Promise<string | undefined>
  /** What is true of the purchase's payment now; undefined: the provider knows of none */
  look(purchase: Bought, hint: Hint): Promise<Payment | undefined>
  /** Where the person gives a card for later; null: none is needed */
  cardPage(account_id: string, customer_id: string | null, back_to: string): Promise<string | null>
  /** The card that is charged without the person, the one that was saved last */
  card(customer_id: string | null): Promise<Card | undefined>
  /**
   * Charges a saved card, once per key, without the person.
   * @returns what to look at; `refused`: no payment came to be, and why
   * @throws {ApiError} 503 payments_unavailable: unknown; ask again, with the same values
   */
  charge(purchase: Bought, payer: Charged): Promise<Hint | { refused: string }>
  /** A price that the provider knows; undefined: no one-time price of a fixed amount. Absent: it knows none */
  price?(id: string): Promise<{ price: number; currency: string } | undefined>
  /** Ends what is left of a payment that failed, so that nobody can finish it */
  giveUp(hint: Hint): Promise<void>
}

export interface Charged {
  customer_id: string | null
  payment_method_id: string
  /** The number of the charge: no two charges of an account have the same one */
  attempt: number
  /** It was sent before, and nobody knows what became of it */
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
