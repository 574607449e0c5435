import { Type } from '@sinclair/typebox'
import { EXAMPLE_ID, EXAMPLE_TIME, Id, NullableTimestamp, nullable, oneOf, Timestamp } from './primitives.ts'

export const Scopes = Type.Array(oneOf(['account', 'oauth', 'admin'] as const))

export const Token = Type.Object(
  {
    id: Id,
    name: Type.String({ description: 'The name that the device gave at login' }),
    last_four: Type.String({ description: 'The last four characters of the token, to recognise it by' }),
    scopes: Scopes,
    created_at: Timestamp,
    last_used_at: Type.Unsafe<Date | null>({
      ...NullableTimestamp,
      description: 'When the token was last used, to the minute; null: never',
    }),
    last_used_from: nullable(
      Type.String({
        description: 'The address that the token was last used from, noted with last_used_at; null: unknown',
      }),
    ),
    expires_at: Timestamp,
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
        current: true,
      },
    ],
  },
)
