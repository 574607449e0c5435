import { Type } from '@sinclair/typebox'
import { Account } from './account.ts'
import { Job } from './jobs.ts'
import { Money, Pack, Purchase } from './payments.ts'
import {
  Credits,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Id,
  NullableTimestamp,
  nullable,
  oneOf,
  SignedCredits,
  Timestamp,
} from './primitives.ts'

/** Schemas of what operators read across accounts. */

export const AdminAccount = Type.Object(
  {
    ...Account.properties,
    created_at: Timestamp,
    closed_at: Type.Unsafe<string | null>({ ...NullableTimestamp, description: 'null: the account is open' }),
    found_by: Type.Optional(
      oneOf(['account_id', 'clerk_id', 'email', 'job_id', 'token', 'reference', 'purchase_id'] as const, {
        description: 'What the search term matched',
      }),
    ),
  },
  {
    $id: 'AdminAccount',
    examples: [{ ...Account.examples[0], created_at: EXAMPLE_TIME, closed_at: null }],
  },
)

export const AdminJob = Type.Object(
  { account_id: Id, ...Job.properties },
  { $id: 'AdminJob', examples: [{ account_id: EXAMPLE_ID, ...(Job.examples[0] as (typeof Job)['static']) }] },
)

export const AdminPurchase = Type.Object(
  {
    account_id: Id,
    payment_id: nullable(Type.String({ description: 'The payment at the provider; null: none is known' })),
    ...Purchase.properties,
  },
  {
    $id: 'AdminPurchase',
    examples: [
      { account_id: EXAMPLE_ID, payment_id: 'pi_3Q', ...(Purchase.examples[0] as (typeof Purchase)['static']) },
    ],
  },
)

export const AdminPack = Type.Object(
  {
    ...Pack.properties,
    stripe_price_id: nullable(Type.String({ description: "Stripe's own price for it" })),
    updated_at: Timestamp,
  },
  {
    $id: 'AdminPack',
    examples: [{ ...(Pack.examples[0] as (typeof Pack)['static']), stripe_price_id: null, updated_at: EXAMPLE_TIME }],
  },
)

const State = nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))

export const AdminAction = Type.Object(
  {
    id: Id,
    created_at: Timestamp,
    action: Type.String({ description: 'The operationId of the change' }),
    target: nullable(Type.String({ description: 'What was changed, such as `app video`' })),
    account_id: nullable(Type.String({ format: 'uuid', description: 'The account that the change concerns' })),
    administrator: Type.Object({
      id: Type.String({ format: 'uuid', description: "The administrator's account" }),
      clerk_id: nullable(Type.String()),
    }),
    via: oneOf(['api', 'cli', 'console'] as const),
    token_id: nullable(Type.String({ format: 'uuid', description: 'The personal access token that was used' })),
    reason: nullable(Type.String()),
    before: { ...State, description: 'The changed fields before the change; null: there was nothing' },
    after: { ...State, description: 'The changed fields after it. Secrets are left out' },
  },
  {
    $id: 'AdminAction',
    examples: [
      {
        ...{ id: EXAMPLE_ID, created_at: EXAMPLE_TIME, action: 'setApp', target: 'app video', account_id: null },
        ...{
          administrator: { id: '5b0f2f0e-8a55-4c1e-9d0e-2f6f7a1b3c4d', clerk_id: 'user_2abc' },
          via: 'console',
          token_id: null,
          reason: null,
        },
        ...{ before: { starter_credits: 20 }, after: { starter_credits: 50 } },
      },
    ],
  },
)

const Count = (description?: string) => Type.Integer({ minimum: 0, ...(description && { description }) })

const DAY = {
  day: Type.String({ format: 'date', description: 'UTC' }),
  granted: Credits({ description: 'Given to accounts without payment: starter credits, grants, adjustments' }),
  bought: Credits({ description: 'Top-ups: purchases, and what was paid outside of the service' }),
  refunded: Credits({ description: 'Refunds of jobs' }),
  taken: Credits({ description: 'Taken from accounts by adjustments and refunds of purchases' }),
  held: Credits({ description: 'What the jobs created that day reserved' }),
  spent: Credits({ description: 'What they have cost so far' }),
  started: Count('Jobs created that day that are in progress'),
  completed: Count(),
  failed: Count('Without those that expired'),
  expired: Count(),
  purchases: Count('Paid that day'),
  credits_bought: Credits(),
}

export const Overview = Type.Object(
  {
    gathered_at: Type.Unsafe<string>({
      ...Timestamp,
      description: 'When the sums over accounts and the totals of today were computed; everything else is current',
    }),
    accounts: Count(),
    closed_accounts: Count(),
    credits: Credits({ description: 'What open accounts can spend' }),
    owed: Credits({ description: 'What open accounts below zero owe' }),
    closed_credits: SignedCredits({ description: 'On closed accounts, which can spend nothing' }),
    held: Credits({ description: 'What jobs in progress hold' }),
    negative_accounts: Count('Open accounts below zero'),
    overdue_holds: Count('Jobs in progress with an expired hold; counted up to 100,000'),
    overdue_seconds: Count('How long ago the first of these holds expired, in seconds'),
    webhooks: Type.Object({
      waiting: Count('Messages that are not delivered yet'),
      dead: Count('Messages that were given up'),
      failing_endpoints: Count('Endpoints whose last delivery failed'),
      late_endpoints: Count('Endpoints with a message that has been waiting for more than five minutes'),
      oldest_seconds: Count('How long the oldest message has been waiting, in seconds'),
    }),
    purchases: Type.Array(
      Type.Object({ currency: Type.String(), count: Count(), credits: Credits(), amount: Money() }),
      { description: 'Paid within the last 30 days, by currency' },
    ),
    last_verify: nullable(
      Type.Object(
        { at: Timestamp, ok: Type.Boolean(), checks: Count(), broken: Type.Array(Type.String()) },
        { description: 'The last verification of the ledger; null: none' },
      ),
    ),
    days: Type.Array(Type.Object(DAY), { description: 'The last 30 days, oldest first; the last one is today' }),
  },
  {
    $id: 'Overview',
    examples: [
      {
        ...{ gathered_at: EXAMPLE_TIME, accounts: 120, closed_accounts: 2, credits: 4200, owed: 15 },
        ...{ closed_credits: 30, held: 35, negative_accounts: 1, overdue_holds: 0, overdue_seconds: 0 },
        webhooks: { waiting: 0, dead: 0, failing_endpoints: 0, late_endpoints: 0, oldest_seconds: 0 },
        purchases: [{ currency: 'usd', count: 12, credits: 1200, amount: 6000 }],
        last_verify: { at: EXAMPLE_TIME, ok: true, checks: 15, broken: [] },
        days: [
          {
            ...{
              day: '2026-11-21',
              granted: 20,
              bought: 100,
              refunded: 0,
              taken: 0,
              held: 80,
              spent: 61,
              started: 3,
              completed: 20,
              failed: 1,
            },
            ...{ expired: 0, purchases: 1, credits_bought: 100 },
          },
        ],
      },
    ],
  },
)
