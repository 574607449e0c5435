import { Type } from '@sinclair/typebox'
import { PERIODS } from '../ledger/budgets.ts'
import { Credits, EXAMPLE_ID, EXAMPLE_TIME, Id, NullableTimestamp, nullable, oneOf, Timestamp } from './primitives.ts'

const GrantScopes = Type.Array(oneOf(['account', 'oauth', 'spend'] as const))

const amount = { description: 'Credits that it may spend in a period; null: no limit but the balance' }
const period = {
  description: 'How often the budget is reset, in UTC; weeks begin on Monday; null: never',
}

export const Grant = Type.Object(
  {
    id: Id,
    client_id: Type.String({ description: 'The program: the slug of an app, or the URL of its metadata document' }),
    name: nullable(Type.String({ description: 'The name of the registered app; null: it is not a registered app' })),
    app: nullable(
      Type.String({ description: 'The app that owns the resource; without a resource, the program itself' }),
    ),
    resource: nullable(Type.String({ description: 'The API that its tokens are for; null: this service' })),
    scopes: GrantScopes,
    budget: nullable(Credits(amount)),
    period: nullable(oneOf(PERIODS, period)),
    spent: nullable(
      Type.Integer({
        description: 'What its jobs hold and cost in the current period; null without a budget',
      }),
    ),
    resets_at: Type.Unsafe<Date | null>({
      ...NullableTimestamp,
      description: 'When the budget is reset; null: never',
    }),
    created_at: Timestamp,
    last_used_at: NullableTimestamp,
  },
  {
    $id: 'Grant',
    examples: [
      {
        ...{ id: EXAMPLE_ID, client_id: 'https://assistant.example.com/client.json', name: null, app: 'maps' },
        ...{ resource: 'https://mcp.example.com/mcp', scopes: ['account', 'spend'] },
        ...{ budget: 100, period: 'month', spent: 40, resets_at: '2026-12-01T00:00:00.000Z' },
        ...{ created_at: EXAMPLE_TIME, last_used_at: null },
      },
    ],
  },
)

export const GrantChange = Type.Object(
  {
    budget: Type.Optional(nullable(Credits(amount))),
    period: Type.Optional(nullable(oneOf(PERIODS, period))),
  },
  { examples: [{ budget: 200, period: 'month' }] },
)
