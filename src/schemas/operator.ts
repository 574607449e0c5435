import { Type } from '@sinclair/typebox'
import { Account } from './account.ts'
import { Job } from './jobs.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, Id, NullableTimestamp, nullable, oneOf, Timestamp } from './primitives.ts'

/** What an operator reads across accounts. */

export const AdminAccount = Type.Object(
  {
    ...Account.properties,
    created_at: Timestamp,
    closed_at: Type.Unsafe<string | null>({ ...NullableTimestamp, description: 'null: the account is open' }),
    found_by: Type.Optional(
      oneOf(['account_id', 'clerk_id', 'email', 'job_id', 'token', 'reference', 'purchase_id'] as const, {
        description: 'Which of its properties a search has found',
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

const State = nullable(Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }))

export const AdminAction = Type.Object(
  {
    id: Id,
    created_at: Timestamp,
    action: Type.String({ description: 'The operation id of what was done' }),
    target: nullable(Type.String({ description: 'What it was done to, such as `app video`' })),
    account_id: nullable(Type.String({ format: 'uuid', description: 'The account that it concerns' })),
    administrator: Type.Object({
      id: Type.String({ format: 'uuid', description: "The administrator's account" }),
      clerk_id: nullable(Type.String()),
    }),
    via: oneOf(['api', 'cli', 'console'] as const),
    token_id: nullable(Type.String({ format: 'uuid', description: 'The personal access token that was used' })),
    reason: nullable(Type.String()),
    before: { ...State, description: 'What was changed, as it was; null: nothing was there' },
    after: { ...State, description: 'What was changed, as it is since. Secrets are left out' },
  },
  {
    $id: 'AdminAction',
    examples: [
      {
        ...{ id: EXAMPLE_ID, created_at: EXAMPLE_TIME, action: 'setApp', target: 'app video', account_id: null },
        ...{ administrator: { id: EXAMPLE_ID, clerk_id: 'user_2abc' }, via: 'console', token_id: null, reason: null },
        ...{ before: { starter_credits: 20 }, after: { starter_credits: 50 } },
      },
    ],
  },
)
