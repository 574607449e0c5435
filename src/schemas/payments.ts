import { Type } from '@sinclair/typebox'
import { PURCHASE_STATUSES } from '../ledger/reconcile.ts'
import { Credits, EXAMPLE_ID, EXAMPLE_TIME, Id, NullableTimestamp, nullable, oneOf, Timestamp } from './primitives.ts'

export const Money = (options = {}) =>
  Type.Integer({ description: "In the currency's minor unit: 500 is $5.00 or ¥500", ...options })
const Currency = Type.String({ pattern: '^[a-z]{3}$', description: 'ISO 4217, lowercase' })

export const Pack = Type.Object(
  {
    slug: Type.String(),
    name: Type.String(),
    credits: Credits(),
    price: Money(),
    currency: Currency,
    price_text: Type.String({ description: 'The price as people read it' }),
  },
  {
    $id: 'Pack',
    examples: [{ slug: 'small', name: '100 credits', credits: 100, price: 500, currency: 'usd', price_text: '$5.00' }],
  },
)

export const Purchase = Type.Object(
  {
    id: Id,
    pack: Type.String({ description: 'The slug of the pack' }),
    name: Type.String(),
    credits: Credits(),
    price: Money(),
    currency: Currency,
    status: oneOf(PURCHASE_STATUSES, {
      description: 'processing: paid, but not confirmed yet, as with bank debits',
    }),
    amount: nullable(Money({ description: 'What was paid, taxes included; null: not paid' })),
    refunded_credits: Credits({ description: 'Taken back by refunds and lost disputes' }),
    disputed: Type.Boolean(),
    automatic: Type.Boolean({ description: 'An automatic top-up' }),
    failure_reason: nullable(Type.String()),
    receipt_url: nullable(Type.String()),
    checkout_url: nullable(Type.String({ description: 'Where to pay, while it is open' })),
    created_at: Timestamp,
    paid_at: NullableTimestamp,
  },
  {
    $id: 'Purchase',
    examples: [
      {
        ...{ id: EXAMPLE_ID, pack: 'small', name: '100 credits', credits: 100, price: 500, currency: 'usd' },
        ...{ status: 'paid', amount: 500, refunded_credits: 0, disputed: false, automatic: false },
        ...{ failure_reason: null, receipt_url: 'https://pay.stripe.com/receipts/…', checkout_url: null },
        ...{ created_at: EXAMPLE_TIME, paid_at: EXAMPLE_TIME },
      },
    ],
  },
)

const AUTO_TOPUP = {
  status: oneOf(['on', 'waiting', 'paused'] as const, {
    description: 'waiting: continues by itself at retry_at; paused: the person must act, at buy_url',
  }),
  reason: nullable(
    Type.String({
      description:
        'Why it waits or is paused: card_missing, card_declined, card_refused, authentication_required, monthly_cap, pack_changed, disputed',
    }),
  ),
  message: nullable(Type.String({ description: 'The reason, for the person' })),
  retry_at: NullableTimestamp,
  pack: Type.String(),
  credits: Credits(),
  price: Money(),
  currency: Currency,
  below: Credits({ description: 'Credits are bought when spendable and held credits together fall below this' }),
  monthly_cap: Money({ description: 'The most that is charged in a calendar month (UTC), in minor units' }),
  card: nullable(Type.String()),
}

export const AutoTopup = Type.Object(AUTO_TOPUP, {
  $id: 'AutoTopup',
  examples: [
    {
      ...{ status: 'on', reason: null, message: null, retry_at: null, pack: 'small', credits: 100, price: 500 },
      ...{ currency: 'usd', below: 20, monthly_cap: 5000, card: 'Visa …4242' },
    },
  ],
})

/** Written out, because a `$ref` cannot be nullable in OpenAPI 3.0. */
export const NullableAutoTopup = nullable(Type.Object(AUTO_TOPUP, { description: 'null: off' }))

export const PACK_BODY = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    credits: Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 }),
    price: Money({ minimum: 1, maximum: 999_999_999_999 }),
    currency: Currency,
    stripe_price_id: Type.Optional(
      Type.String({
        pattern: '^price_\\w+$',
        maxLength: 255,
        description: 'A one-time price at Stripe, of the same amount',
      }),
    ),
  },
  { examples: [{ name: '100 credits', credits: 100, price: 500, currency: 'usd' }] },
)

export const ServiceKey = Type.Object(
  {
    id: Id,
    name: Type.String(),
    scopes: Type.Array(Type.String()),
    last_four: Type.String(),
    created_at: Timestamp,
    last_used_at: NullableTimestamp,
    key: Type.Optional(Type.String({ description: 'The key, returned only when it is made; keep it on a server' })),
  },
  {
    $id: 'ServiceKey',
    examples: [
      {
        ...{ id: EXAMPLE_ID, name: 'Payment server', scopes: ['topup'], last_four: '3f9c' },
        ...{ created_at: EXAMPLE_TIME, last_used_at: null },
      },
    ],
  },
)
