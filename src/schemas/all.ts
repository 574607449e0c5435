import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { MAX_CREDITS, TTL_SECONDS } from '../ledger/rules.ts'
import { EVENTS } from '../webhooks/outbox.ts'

/**
 * The named components of the published contract, and the pieces they are made of. OpenAPI 3.0.3 says `nullable` and
 * `enum` where JSON Schema has unions, hence `Unsafe`.
 */

const nullable = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T> | null>({ ...schema, nullable: true })
const oneOf = <T extends string>(values: readonly T[], options = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: values, ...options })

/** A reference to a component by its name. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

export const Timestamp = Type.Unsafe<Date>({ type: 'string', format: 'date-time' })
export const NullableTimestamp = Type.Unsafe<Date | null>({ type: 'string', format: 'date-time', nullable: true })
export const Metadata = Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })
export const Credits = (options = {}) => Type.Integer({ minimum: 0, maximum: MAX_CREDITS, ...options })
/** A balance or a movement: may be below zero. */
const SignedCredits = (options = {}) => Type.Integer(options)
export const Slug = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'Lower case letters, digits and dashes',
})
// The format alone would let urn:uuid:… through, which Postgres refuses.
export const Uuid = Type.String({
  format: 'uuid',
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
})
const Id = Type.String({ format: 'uuid' })
export const Scopes = Type.Array(oneOf(['account', 'oauth', 'admin'] as const))
export const JobStatus = oneOf(['started', 'completed', 'failed'] as const)
export const AdjustmentKind = oneOf(['topup', 'admin_grant', 'adjustment'] as const)
const EntryKind = oneOf([
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
] as const)

const EXAMPLE_ID = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'
const EXAMPLE_TIME = '2026-11-21T12:00:00.000Z'

export const ErrorBody = Type.Object(
  {
    error: Type.String({ description: 'A stable code' }),
    message: Type.Optional(Type.String({ description: 'A sentence that a person can act on' })),
    request_id: Type.Optional(Type.String({ description: 'Under which the service has logged the request' })),
  },
  {
    $id: 'Error',
    additionalProperties: true,
    examples: [{ error: 'invalid_request', message: 'app is missing', field: 'app' }],
  },
)

export const SessionUnauthorized = Type.Object(
  {
    error: Type.String(),
    message: Type.Optional(Type.String()),
    signin_url: Type.String({ description: 'URL to initiate sign-in with redirect_to back to caller' }),
    request_id: Type.Optional(Type.String()),
  },
  {
    $id: 'SessionUnauthorized',
    additionalProperties: true,
    examples: [
      {
        error: 'not_signed_in',
        message: 'Sign in first, or send a bearer token.',
        signin_url: 'https://account.thefocus.ai/signin?redirect_to=https%3A%2F%2Fapp.example.com%2F',
      },
    ],
  },
)

export const Account = Type.Object(
  {
    id: Id,
    clerk_id: Type.String(),
    plan: Type.String(),
    credits: SignedCredits({ description: 'Spendable; holds are deducted already. Below zero after an overage' }),
    held: Credits({ description: 'Reserved by jobs that are under way' }),
  },
  { $id: 'Account', examples: [{ id: EXAMPLE_ID, clerk_id: 'user_2abc', plan: 'free', credits: 15, held: 5 }] },
)

export const AppEntry = Type.Object(
  {
    slug: Type.String(),
    starter_credits: Credits(),
    granted: Type.Boolean({ description: 'The starter credits were granted to this account' }),
    granted_at: NullableTimestamp,
  },
  { $id: 'AppEntry', examples: [{ slug: 'video', starter_credits: 20, granted: true, granted_at: EXAMPLE_TIME }] },
)

export const WalletResponse = Type.Object(
  {
    account: ref(Account),
    apps: Type.Array(ref(AppEntry), { description: 'Registered apps and those that this account has used' }),
    app_grant: nullable(
      Type.Object(
        { slug: Type.String(), starter_credits: Credits(), granted: Type.Boolean() },
        { description: 'Of the app asked for' },
      ),
    ),
  },
  {
    $id: 'WalletResponse',
    examples: [
      {
        account: { id: EXAMPLE_ID, clerk_id: 'user_2abc', plan: 'free', credits: 20, held: 0 },
        apps: [{ slug: 'video', starter_credits: 20, granted: true, granted_at: EXAMPLE_TIME }],
        app_grant: { slug: 'video', starter_credits: 20, granted: true },
      },
    ],
  },
)

const Ttl = (description: string) => Type.Integer({ minimum: TTL_SECONDS.min, maximum: TTL_SECONDS.max, description })

export const JobStartRequest = Type.Object(
  {
    app: Slug,
    action: Type.String({ minLength: 1, maxLength: 200 }),
    cost_estimate: Credits({ description: 'Credits to reserve' }),
    metadata: Type.Optional(Metadata),
    ttl_seconds: Type.Optional(
      Ttl(
        'How long the hold lives unless the job ends or sends a heartbeat; absent: as the operator has set it (a day)',
      ),
    ),
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
    expires_at: Type.Unsafe<Date>({ ...Timestamp, description: 'When the hold is released unless the job has ended' }),
  },
  { $id: 'JobStartResponse', examples: [{ job_id: EXAMPLE_ID, account_id: EXAMPLE_ID, expires_at: EXAMPLE_TIME }] },
)

const settledAccount = Type.Optional({
  ...Uuid,
  description: "Beside X-App-Key, whose job it is (POST /api/jobs answers it): then the person's token is not needed",
})

export const JobCompleteRequest = Type.Object(
  {
    job_id: Uuid,
    account_id: settledAccount,
    actual_cost: Credits({ description: 'Credits that the job really cost' }),
    metadata: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({ ...Metadata, description: "Merged into the job's; new keys win" }),
    ),
  },
  { $id: 'JobCompleteRequest', examples: [{ job_id: EXAMPLE_ID, actual_cost: 3, metadata: { durationMs: 1200 } }] },
)

export const JobFailRequest = Type.Object(
  { job_id: Uuid, account_id: settledAccount, refund: Type.Optional(Type.Boolean({ default: true })) },
  { $id: 'JobFailRequest', examples: [{ job_id: EXAMPLE_ID, refund: true }] },
)

/** The body may be absent. */
export const HeartbeatRequest = nullable(
  Type.Object(
    {
      ttl_seconds: Type.Optional(Ttl('From now; absent: as long as the job was created with')),
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
    actual_cost: Credits({ description: '0 while the job is under way' }),
    metadata: nullable(Metadata),
    failure_reason: nullable(
      Type.String({ description: 'expired: the hold was given back; it stays when the job is completed late' }),
    ),
    expires_at: Type.Unsafe<Date>({
      ...Timestamp,
      description: 'When the hold is given back unless the job has ended',
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
        { description: 'What ending the job gave back (above zero) or charged; null: nothing' },
      ),
    ),
    credits: SignedCredits({ description: 'Spendable now' }),
    held: Credits(),
    warning: Type.Optional(
      Type.String({ description: 'Something that was not done as asked, though the job is settled' }),
    ),
  },
  {
    $id: 'JobSettled',
    examples: [{ job: Job.examples[0], moved: { kind: 'job_refund', amount: 2 }, credits: 17, held: 0 }],
  },
)

export const Entry = Type.Object(
  {
    seq: Type.Integer(),
    kind: EntryKind,
    amount: SignedCredits(),
    balance_after: SignedCredits(),
    job_id: nullable(Id),
    reference: nullable(Type.String()),
    reason: nullable(Type.String()),
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
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)

export const App = Type.Object(
  {
    slug: Type.String(),
    name: nullable(Type.String()),
    starter_credits: Credits(),
    origins: Type.Array(Type.String()),
    has_settle_key: Type.Boolean({ description: "A person's token alone does not settle the app's jobs" }),
    settle_key: Type.Optional(
      Type.String({ description: 'The new key, in the answer to its rotation and never again; keep it on a server' }),
    ),
    created_at: Timestamp,
  },
  {
    $id: 'App',
    examples: [
      {
        slug: 'video',
        name: 'Video',
        starter_credits: 20,
        origins: ['https://video.example.com'],
        has_settle_key: false,
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)

export const WebhookEvent = oneOf(EVENTS)

export const WebhookEndpoint = Type.Object(
  {
    id: Id,
    app_slug: Type.String(),
    url: Type.String(),
    events: Type.Array(WebhookEvent),
    low_credits: Credits({ description: 'account.low is sent when the spendable credits fall below it' }),
    created_at: Timestamp,
  },
  {
    $id: 'WebhookEndpoint',
    examples: [
      {
        id: EXAMPLE_ID,
        app_slug: 'video',
        url: 'https://video.example.com/hooks/focus',
        events: ['job.completed', 'job.failed'],
        low_credits: 0,
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)

export const WebhookMessage = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'The webhook-id of every attempt' }),
    account_id: Id,
    endpoint_id: Id,
    event: WebhookEvent,
    payload: Metadata,
    attempts: Type.Integer(),
    last_error: nullable(Type.String()),
    created_at: Timestamp,
  },
  {
    $id: 'WebhookMessage',
    examples: [
      {
        id: EXAMPLE_ID,
        account_id: EXAMPLE_ID,
        endpoint_id: EXAMPLE_ID,
        event: 'job.failed',
        payload: { type: 'job.failed', timestamp: EXAMPLE_TIME, data: { account_id: EXAMPLE_ID, credits: 5 } },
        attempts: 18,
        last_error: 'Answered 500.',
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)

/** Every component, in the order of the document. */
export const components = [
  Account,
  AppEntry,
  WalletResponse,
  JobStartRequest,
  JobStartResponse,
  JobCompleteRequest,
  JobFailRequest,
  HeartbeatRequest,
  ErrorBody,
  SessionUnauthorized,
  Job,
  JobSettled,
  Entry,
  App,
  WebhookEndpoint,
  WebhookMessage,
]

/** A response that is not JSON of a component: an error with its code, for the document. */
const failure = (schema: TSchema, description: string, example: Record<string, unknown>, headers?: object) => ({
  description,
  ...(headers && { headers }),
  content: { 'application/json': { schema: ref(schema), example } },
})

const rateLimitHeaders = {
  'RateLimit-Limit': { type: 'integer', description: 'Requests that you may send within the window' },
  'RateLimit-Remaining': { type: 'integer', description: 'How many of them are left' },
  'RateLimit-Reset': { type: 'integer', description: 'Seconds until the window begins anew' },
}
const retryAfter = { 'Retry-After': { type: 'integer', description: 'Seconds to wait' } }

/** The errors that routes list among their responses, by status. */
export const failures = {
  invalid: failure(ErrorBody, 'Bad request; `field` says where', {
    error: 'invalid_request',
    message: 'cost_estimate must be integer',
    field: 'cost_estimate',
  }),
  badRequest: (error: string, message: string) => failure(ErrorBody, 'Bad request', { error, message }),
  unauthorized: failure(SessionUnauthorized, 'Unauthorized', SessionUnauthorized.examples[0]),
  forbidden: (error: string, message: string) => failure(ErrorBody, 'Forbidden', { error, message }),
  insufficient: failure(ErrorBody, 'Insufficient credits', {
    error: 'insufficient_credits',
    message: 'This needs 5 credits; 2 are available.',
    required: 5,
    available: 2,
    topup_url: 'https://account.thefocus.ai/topup',
  }),
  notFound: (error: string, message: string) => failure(ErrorBody, 'Not found', { error, message }),
  conflict: (error: string, message: string) => failure(ErrorBody, 'Conflict; nothing was moved', { error, message }),
  gone: (error: string, message: string) => failure(ErrorBody, 'Expired or already used', { error, message }),
  keyReused: failure(ErrorBody, 'The Idempotency-Key belongs to another request', {
    error: 'idempotency_key_reused',
    message: 'This Idempotency-Key belongs to a different request.',
  }),
  tooLarge: failure(ErrorBody, 'The body is larger than 64 KiB', {
    error: 'body_too_large',
    message: 'The body is larger than 64 KiB.',
  }),
  unsupported: failure(ErrorBody, 'The body is not JSON', {
    error: 'unsupported_media_type',
    message: 'Send the body as Content-Type: application/json.',
  }),
  limited: failure(
    ErrorBody,
    'Too many requests; `error` says of what kind',
    { error: 'rate_limited', message: 'Too many requests; try again in 12 seconds.' },
    { ...retryAfter, ...rateLimitHeaders },
  ),
  upstream: failure(ErrorBody, 'The other side failed; `upstream_status` is what it answered, null where it did not', {
    error: 'upstream_error',
    message: 'X answered with status 503.',
    upstream_status: 503,
  }),
  internal: failure(ErrorBody, 'Error', {
    error: 'internal_error',
    message: 'Something went wrong on our side. It is logged under this request_id.',
    request_id: EXAMPLE_ID,
  }),
  unavailable: failure(
    ErrorBody,
    'Something that we need does not answer; try again',
    { error: 'database_unavailable', message: 'The database does not answer. Nothing is lost; try again.' },
    retryAfter,
  ),
}

/** What any protected route can answer beside its own. */
export const protectedFailures = {
  400: failures.invalid,
  401: failures.unauthorized,
  403: failures.forbidden(
    'origin_not_allowed',
    'Requests from this origin are not allowed; the operator has to add it.',
  ),
  429: failures.limited,
  500: failures.internal,
  503: failures.unavailable,
}

/** The same with a JSON body. */
export const bodyFailures = { ...protectedFailures, 413: failures.tooLarge, 415: failures.unsupported }

/** What an app's settle key opens beside a person's token. */
export const settleSecurity = [{ bearerAuth: [] }, { sessionCookie: [] }, { appKey: [] }]

export const settleKeyFailure = failures.forbidden(
  'settle_key_required',
  "This app's jobs are settled by its server, which sends X-App-Key. Nothing was changed.",
)
