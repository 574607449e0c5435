import { Type } from '@sinclair/typebox'
import { TTL_SECONDS } from '../ledger/rules.ts'
import { EntryKind } from './account.ts'
import {
  Credits,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Id,
  Metadata,
  nullable,
  oneOf,
  ref,
  SignedCredits,
  Slug,
  Timestamp,
  Uuid,
} from './primitives.ts'

export const JobStatus = oneOf(['started', 'completed', 'failed'] as const)

const Ttl = (description: string) => Type.Integer({ minimum: TTL_SECONDS.min, maximum: TTL_SECONDS.max, description })

export const JobStartRequest = Type.Object(
  {
    app: Slug,
    action: Type.String({ minLength: 1, maxLength: 200 }),
    cost_estimate: Credits({ description: 'Credits to reserve' }),
    metadata: Type.Optional(Metadata),
    ttl_seconds: Type.Optional(
      Ttl("How long the hold lasts unless the job ends or sends a heartbeat; default: the operator's setting (a day)"),
    ),
    account_id: Type.Optional({
      ...Uuid,
      description:
        'With X-App-Key: the account to charge, which must have allowed the app to spend its credits. Then no user token is needed',
    }),
    grant_id: Type.Optional({
      ...Uuid,
      description:
        'With account_id: the grant to use, from introspection; needed only if the account has several for this app',
    }),
  },
  {
    $id: 'JobStartRequest',
    examples: [{ app: 'video', action: 'render', cost_estimate: 5, metadata: { description: 'Render preview clip' } }],
  },
)

export const JobStartResponse = Type.Object(
  {
    job_id: Id,
    account_id: Id,
    status: JobStatus,
    expires_at: Type.Unsafe<Date | string>({
      ...Timestamp,
      description: 'When the hold is released unless the job has ended',
    }),
  },
  {
    $id: 'JobStartResponse',
    examples: [{ job_id: EXAMPLE_ID, account_id: EXAMPLE_ID, status: 'started', expires_at: EXAMPLE_TIME }],
  },
)

const settledAccount = Type.Optional({
  ...Uuid,
  description: "With X-App-Key: the job's account, as POST /api/jobs returned it. Then no user token is needed",
})

export const queriedAccount = Type.Optional({
  ...Uuid,
  description: 'With X-App-Key: the account of the jobs, as POST /api/jobs returned it. Then no user token is needed',
})

const mergedMetadata = Type.Optional(
  Type.Unsafe<Record<string, unknown>>({
    ...Metadata,
    description: "Merged into the job's metadata; new values replace old ones",
  }),
)

export const JobCompleteRequest = Type.Object(
  {
    job_id: Uuid,
    account_id: settledAccount,
    actual_cost: Credits({ description: 'Credits that the job cost' }),
    metadata: mergedMetadata,
  },
  { $id: 'JobCompleteRequest', examples: [{ job_id: EXAMPLE_ID, actual_cost: 3, metadata: { durationMs: 1200 } }] },
)

export const JobFailRequest = Type.Object(
  {
    job_id: Uuid,
    account_id: settledAccount,
    refund: Type.Optional(
      Type.Boolean({ default: true, description: 'false: the job costs what it reserved, instead of nothing' }),
    ),
    metadata: mergedMetadata,
  },
  { $id: 'JobFailRequest', examples: [{ job_id: EXAMPLE_ID, refund: true }] },
)

/** The body may be absent. */
export const HeartbeatRequest = nullable(
  Type.Object(
    {
      ttl_seconds: Type.Optional(Ttl("How long the hold lasts from now; default: the job's own ttl_seconds")),
      account_id: settledAccount,
    },
    { $id: 'HeartbeatRequest', examples: [{ ttl_seconds: 600 }] },
  ),
)

export const Job = Type.Object(
  {
    id: Id,
    app_slug: nullable(Type.String()),
    action: Type.String(),
    status: JobStatus,
    reserved: Credits(),
    actual_cost: Credits({ description: 'What was charged; 0 while the job is running' }),
    requested_cost: Credits({
      description:
        "The cost that completing it asked for; above actual_cost if the app's max_overage capped the charge",
    }),
    refunded: Credits({
      description: 'What an administrator refunded of actual_cost; each refund is a separate entry',
    }),
    metadata: nullable(Metadata),
    failure_reason: nullable(
      Type.String({
        description:
          'expired: the hold timed out and was released; kept when the job is completed later. account_closed: it ended with its account. ended_by_operator: an administrator ended it',
      }),
    ),
    expires_at: Type.Unsafe<Date | string>({
      ...Timestamp,
      description: 'When the hold is released unless the job has ended',
    }),
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  {
    $id: 'Job',
    examples: [
      {
        id: EXAMPLE_ID,
        app_slug: 'video',
        action: 'render',
        status: 'completed',
        reserved: 5,
        actual_cost: 3,
        requested_cost: 3,
        refunded: 0,
        metadata: { description: 'Render preview clip' },
        failure_reason: null,
        expires_at: '2026-11-22T12:00:00.000Z',
        created_at: EXAMPLE_TIME,
        updated_at: EXAMPLE_TIME,
      },
    ],
  },
)

export const JobSettled = Type.Object(
  {
    job: ref(Job),
    moved: nullable(
      Type.Object(
        { kind: EntryKind, amount: SignedCredits() },
        { description: 'What ending the job refunded (above zero) or charged (below zero); null: nothing' },
      ),
    ),
    credits: SignedCredits({ description: 'Credits that can be spent now' }),
    held: Credits(),
    overage_capped: Type.Optional(
      Type.Boolean({
        description: "true: the app's max_overage capped the charge; requested_cost is what was asked for",
      }),
    ),
    warning: Type.Optional(
      Type.String({ description: 'The job is settled, but part of the request was not carried out' }),
    ),
  },
  {
    $id: 'JobSettled',
    examples: [{ job: Job.examples[0], moved: { kind: 'job_refund', amount: 2 }, credits: 17, held: 0 }],
  },
)

/** The `security` of routes that accept an app's settle key instead of a user's token, for the jobs of that app. */
export const settleSecurity = [{ bearerAuth: [] }, { sessionCookie: [] }, { appKey: [] }]
