import { Type } from '@sinclair/typebox'
import { NullableAutoTopup } from './payments.ts'
import {
  Credits,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Id,
  NullableTimestamp,
  nullable,
  oneOf,
  ref,
  SignedCredits,
  Timestamp,
} from './primitives.ts'

export const Account = Type.Object(
  {
    id: Id,
    clerk_id: Type.String(),
    plan: Type.String(),
    credits: SignedCredits({
      description: 'Credits that can be spent; what jobs hold is already deducted. Below zero after an overage',
    }),
    held: Credits({ description: 'Credits reserved by running jobs' }),
  },
  { $id: 'Account', examples: [{ id: EXAMPLE_ID, clerk_id: 'user_2abc', plan: 'free', credits: 15, held: 5 }] },
)

export const AppEntry = Type.Object(
  {
    slug: Type.String(),
    starter_credits: Credits(),
    granted: Type.Boolean({ description: 'Whether this account has received the starter credits' }),
    granted_at: NullableTimestamp,
  },
  { $id: 'AppEntry', examples: [{ slug: 'video', starter_credits: 20, granted: true, granted_at: EXAMPLE_TIME }] },
)

export const WalletResponse = Type.Object(
  {
    account: ref(Account),
    apps: Type.Array(ref(AppEntry), { description: 'Registered apps, and apps that this account has used' }),
    app_grant: nullable(
      Type.Object(
        { slug: Type.String(), starter_credits: Credits(), granted: Type.Boolean() },
        { description: 'The app of the query; null without one' },
      ),
    ),
    buy_url: nullable(Type.String({ description: 'Where to buy credits; null where this service sells none' })),
    auto_topup: NullableAutoTopup,
  },
  {
    $id: 'WalletResponse',
    examples: [
      {
        account: { id: EXAMPLE_ID, clerk_id: 'user_2abc', plan: 'free', credits: 20, held: 0 },
        apps: [{ slug: 'video', starter_credits: 20, granted: true, granted_at: EXAMPLE_TIME }],
        app_grant: { slug: 'video', starter_credits: 20, granted: true },
        buy_url: 'https://account.thefocus.ai/buy',
        auto_topup: null,
      },
    ],
  },
)

export const EntryKind = oneOf([
  'starter_grant',
  'admin_grant',
  'topup',
  'adjustment',
  'job_reserve',
  'job_refund',
  'job_overage',
  'job_release',
  'job_expire',
  'job_late_charge',
  'topup_refund',
  'topup_reinstated',
] as const)

export const Entry = Type.Object(
  {
    seq: Type.Integer(),
    kind: EntryKind,
    amount: SignedCredits(),
    balance_after: SignedCredits(),
    job_id: nullable(Id),
    reference: nullable(Type.String()),
    reason: nullable(Type.String()),
    corrects_job_id: nullable(
      Type.String({ format: 'uuid', description: 'The job that an administrator refunded by this adjustment' }),
    ),
    created_at: Timestamp,
  },
  {
    $id: 'Entry',
    examples: [
      {
        seq: 2,
        kind: 'job_reserve',
        amount: -5,
        balance_after: 15,
        job_id: EXAMPLE_ID,
        reference: null,
        reason: null,
        corrects_job_id: null,
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)
