import { Type } from '@sinclair/typebox'
import { PERIODS } from '../ledger/budgets.ts'
import {
  Credits,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Id,
  NullableTimestamp,
  nullable,
  oneOf,
  Slug,
  Timestamp,
} from './primitives.ts'

export const Scopes = Type.Array(oneOf(['account', 'oauth', 'admin'] as const))

/** Spending limits in requests; null removes a limit. */
export const askedLimits = {
  budget: Type.Optional(
    nullable(Credits({ description: 'Credits that it may spend, including what running jobs hold; null: no limit' })),
  ),
  period: Type.Optional(
    nullable(
      oneOf(PERIODS, { description: 'How often the budget is reset, in UTC; weeks begin on Monday. null: never' }),
    ),
  ),
  apps: Type.Optional(
    nullable(
      Type.Array(Slug, { minItems: 1, maxItems: 50, description: 'The apps that it may spend at; null: all of them' }),
    ),
  ),
}

/** Spending limits, and what is spent, in answers. */
const budgetFields = {
  budget: nullable(Credits({ description: 'Credits that it may spend; null: no limit' })),
  period: nullable(oneOf(PERIODS, { description: 'How often the budget is reset; null: never' })),
  apps: nullable(Type.Array(Type.String(), { description: 'The apps that it may spend at; null: all of them' })),
  spent: nullable(
    Credits({
      description:
        'What its jobs hold and cost since the period began, or since it was first limited; null: it never was',
    }),
  ),
  left: nullable(Credits({ description: 'What is left of the budget; null: it has no budget' })),
  resets_at: Type.Unsafe<Date | null>({
    ...NullableTimestamp,
    description: 'When the budget is reset; null: never',
  }),
}

export const NAME = { minLength: 1, maxLength: 100 } as const

export const Token = Type.Object(
  {
    id: Id,
    name: Type.String({ description: 'The name that it was given, or that the device gave at login' }),
    last_four: Type.String({ description: 'The last four characters of the token, to recognise it by' }),
    scopes: Scopes,
    created_at: Timestamp,
    last_used_at: Type.Unsafe<Date | null>({
      ...NullableTimestamp,
      description: 'When the token was last used, to the minute; null: never',
    }),
    last_used_from: nullable(
      Type.String({
        description: 'The address from which the token was last used, recorded with last_used_at; null: unknown',
      }),
    ),
    expires_at: Timestamp,
    made_by: nullable(
      Type.String({
        format: 'uuid',
        description: 'The token that created it; revoking that one revokes this one. null: a person created it',
      }),
    ),
    ...budgetFields,
    current: Type.Boolean({ description: 'Whether this request was made with the token' }),
  },
  {
    examples: [
      {
        id: EXAMPLE_ID,
        name: 'focus on ada-laptop',
        last_four: 'x4Kq',
        scopes: ['account'],
        created_at: EXAMPLE_TIME,
        last_used_at: '2026-11-21T12:30:00.000Z',
        last_used_from: '203.0.113.9',
        expires_at: '2027-02-19T12:00:00.000Z',
        made_by: null,
        ...{ budget: 50, period: 'day', apps: ['video'], spent: 12, left: 38, resets_at: '2026-11-22T00:00:00.000Z' },
        current: true,
      },
    ],
  },
)
