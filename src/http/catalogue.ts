import { Type } from '@sinclair/typebox'
import { EXAMPLE_ID } from '../schemas/primitives.ts'
import { apiError } from './errors.ts'

/**
 * Every error of the service, by area. Nothing else is exported here, so `import * as catalogue` is the complete list.
 * Codes, statuses, fields and headers are part of the API; sentences may change.
 */

const retryAfter = (seconds: number) => ({ 'retry-after': String(Math.max(1, Math.ceil(seconds))) })
const retry = (seconds: number) => ({ headers: () => retryAfter(seconds) })

/** `Retry-After`, and the RateLimit headers of the IETF draft. Times in seconds. */
const limitHeaders = (seconds: number, limit: number) => ({
  ...retryAfter(seconds),
  'ratelimit-limit': String(limit),
  'ratelimit-remaining': '0',
  'ratelimit-reset': retryAfter(seconds)['retry-after'],
})

const inSeconds = (seconds: number) => `${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
const waitText = (seconds: number) => (seconds > 90 ? `${Math.ceil(seconds / 60)} minutes` : inSeconds(seconds))
const creditsText = (credits: number) => `${credits} ${credits === 1 ? 'credit' : 'credits'}`

// The request

/** @param field its name as sent; @param fault what is wrong with it, such as `is missing` */
export const badField = apiError(400, 'invalid_request', (field: string, fault: string) => `${field} ${fault}`, {
  example: ['cost_estimate', 'must be integer'],
  fields: { field: Type.String({ description: 'The field that is wrong, as sent' }) },
  details: (field) => ({ field }),
})
/** @param field its name as sent; @param meant the field that it looks like */
export const fieldSlip = apiError(
  400,
  'invalid_request',
  (field: string, meant: string) => `There is no field ${field}. Did you mean ${meant}?`,
  {
    example: ['refunds', 'refund'],
    fields: {
      field: Type.String({ description: 'The field that is wrong, as sent' }),
      did_you_mean: Type.String({ description: 'The field that was probably meant' }),
    },
    details: (field, did_you_mean) => ({ field, did_you_mean }),
  },
)
export const invalidJson = apiError(400, 'invalid_json', 'The body is not valid JSON.')
export const emptyJson = apiError(400, 'invalid_json', 'The body is empty. Send a JSON object.')
export const wrongContentLength = apiError(
  400,
  'invalid_request',
  'The length of the body differs from its Content-Length header.',
)
export const invalidPath = apiError(400, 'invalid_request', 'The path is not valid percent-encoding.')
export const pathTooLong = apiError(400, 'invalid_request', 'A part of the path is longer than any id.')
export const invalidHttp = apiError(400, 'bad_request', 'The request is not valid HTTP.')
export const severalHosts = apiError(400, 'bad_request', 'The request has more than one Host header.')
/** @param bytes the most that the route takes: a power of two, at least a KiB */
export const bodyTooLarge = apiError(
  413,
  'body_too_large',
  (bytes: number) =>
    `The body is larger than ${bytes < 1_048_576 ? `${bytes / 1024} KiB` : `${bytes / 1_048_576} MiB`}.`,
  { example: [65_536] },
)
export const unsupportedMediaType = apiError(
  415,
  'unsupported_media_type',
  'Send the body as JSON, with the header Content-Type: application/json.',
)
export const requestTimeout = apiError(408, 'request_timeout', 'The request did not arrive in time. Send it again.')
export const headersTooLarge = apiError(431, 'headers_too_large', 'The headers of the request are larger than 16 KiB.')
export const routeNotFound = apiError(
  404,
  'not_found',
  (method: string, path: string) => `There is no ${method} ${path} in this API.`,
  { example: ['GET', '/api/wallets'] },
)
/** @param path as requested */
export const pageNotFound = apiError(404, 'not_found', (path: string) => `There is no page at ${path}.`, {
  example: ['/acount'],
})
/** @param allowed the methods that the path takes */
export const methodNotAllowed = apiError(
  405,
  'method_not_allowed',
  (method: string, path: string, allowed: string[]) =>
    `The path ${path} takes ${allowed.join(' and ')}, not ${method}.`,
  {
    example: ['POST', '/api/wallet', ['GET', 'HEAD']],
    headers: (_method, _path, allowed) => ({ allow: allowed.join(', ') }),
  },
)

// The service

/** @param seconds until the window ends; @param limit requests in a window */
export const rateLimited = apiError(
  429,
  'rate_limited',
  (seconds: number, _limit: number) => `Too many requests. Try again in ${inSeconds(Math.max(1, seconds))}.`,
  { example: [12, 300], headers: limitHeaders },
)
/** @param most large answers under way at once */
export const tooManyAtOnce = apiError(
  429,
  'too_many_at_once',
  (most: number) => `Too many lists at once: ${most} are on their way to you. Read them, then ask again.`,
  { example: [16], headers: () => retryAfter(1) },
)
export const overloaded = apiError(
  503,
  'overloaded',
  'The service is overloaded. Try again in a few seconds.',
  retry(2),
)
export const postingQueueFull = apiError(
  503,
  'overloaded',
  'Too many ledger operations are waiting. Nothing was changed; try again.',
  retry(1),
)
export const databaseUnavailable = apiError(
  503,
  'database_unavailable',
  'The database does not answer. Try again; if you sent an Idempotency-Key, send the same one.',
  retry(1),
)
export const internalError = apiError(
  500,
  'internal_error',
  'Something went wrong on our side. If it happens again, contact support with this request_id.',
)
export const migrationsPending = apiError(
  503,
  'migrations_pending',
  (missing: string[]) => `The database lacks ${missing.join(', ')}: run \`npm run migrate\`.`,
  { example: [['20261122T010000Z_webhooks']], headers: () => retryAfter(1) },
)
export const shuttingDown = apiError(
  503,
  'shutting_down',
  'This instance is shutting down. Send requests to another one.',
  retry(1),
)
export const localIdentityOnly = apiError(
  403,
  'local_identity',
  'The local identity serves this machine only. To serve others, set the Clerk keys. Set LOCAL_IDENTITY=expose only ' +
    'where the port is published to the loopback address alone.',
)

// Signing in

export const notSignedIn = apiError(401, 'not_signed_in', 'Sign in, or send a bearer token.')
export const malformedBearer = apiError(401, 'invalid_token', 'Send the token as Authorization: Bearer <token>.')
export const invalidToken = apiError(401, 'invalid_token', 'The token is not valid. Sign in again.')
export const tokenWithoutSession = apiError(401, 'invalid_token', 'The token belongs to no session. Sign in again.')
export const tokenNotFresh = apiError(
  401,
  'invalid_token',
  'Only a token that our sign-in page has just received can open a session. Sign in again.',
)
export const tokenExpired = apiError(401, 'token_expired', 'The token has expired. Get a new one, or sign in again.')
export const tokenNotActiveYet = apiError(
  401,
  'token_not_active_yet',
  "The token is not valid yet. Check the clock of the token's issuer.",
)
export const sessionPending = apiError(401, 'session_pending', 'The sign-in is not finished. Complete it first.')
export const sessionRequired = apiError(
  401,
  'session_required',
  'This needs a person who has signed in. Sign in first; a personal access token is not enough.',
)
export const tokenNotRenewable = apiError(
  401,
  'token_not_renewable',
  'This token came in the query of a redirect, so no new token is issued for it. Sign in with token_in=fragment.',
)
export const sessionEnded = apiError(401, 'session_ended', 'The session has ended. Sign in again.')
export const userNotFound = apiError(
  401,
  'user_not_found',
  'The identity provider no longer knows this user. Sign in again.',
)
export const originNotAllowed = apiError(
  403,
  'origin_not_allowed',
  'Requests from this origin are not allowed. Ask the operator to add it.',
)
export const ownPagesOnly = apiError(403, 'origin_not_allowed', "This can be done only on this service's own pages.")
/** @param publicUrl where our pages are */
export const openOurPage = apiError(
  403,
  'origin_not_allowed',
  (publicUrl: string) => `This form was not sent from a page of ${publicUrl}. Open the page there and try again.`,
  { example: ['https://account.thefocus.ai'] },
)
export const notAnAdministrator = apiError(403, 'not_an_administrator', 'Only an administrator may do this.')
export const insufficientScope = apiError(
  403,
  'insufficient_scope',
  (scope: string) => `This token lacks the scope "${scope}". Log in again and ask for it.`,
  {
    example: ['account'],
    fields: { scope: Type.String({ description: 'The scope that the token lacks' }) },
    details: (scope) => ({ scope }),
  },
)
/** @param own the limits of the token that asks */
export const budgetTooWide = apiError(
  403,
  'budget_too_wide',
  (own: { amount: number | null; period: string | null; apps: string[] | null }) =>
    `This token is limited to ${[
      ...(own.amount === null ? [] : [`${creditsText(own.amount)}${own.period ? ` a ${own.period}` : ''}`]),
      ...(own.apps ? [`the apps ${own.apps.join(', ')}`] : []),
    ].join(
      ' and ',
    )}. It gives no more than it has, and changes and revokes only itself and what it made. Nothing was changed.`,
  { example: [{ amount: 50, period: 'day', apps: ['video'] }] },
)
export const accountClosed = apiError(403, 'account_closed', 'This account is closed. Nothing was changed.')
export const templateNotFound = apiError(404, 'template_not_found', 'There is no JWT template with this name.')
export const tokenNotAvailable = apiError(
  404,
  'token_not_available',
  'This token belongs to no session, so no new token can be issued for it.',
)
export const localSignInOff = apiError(
  404,
  'not_found',
  'The local sign-in is off: this service signs people in with Clerk.',
)
/** @param waitMs how long to wait before trying again, in ms */
export const providerUnavailable = apiError(
  503,
  'identity_provider_unavailable',
  (_waitMs: number = 2_000) => 'The identity provider does not answer. Try again in a few seconds.',
  { example: [2_000], headers: (waitMs = 2_000) => retryAfter(waitMs / 1000) },
)
/** @param seconds as the identity provider says */
export const providerRateLimited = apiError(
  429,
  'rate_limited',
  (seconds: number) => `The identity provider limits our requests. Try again in ${inSeconds(Math.max(1, seconds))}.`,
  { example: [5], headers: retryAfter },
)

// Personal access tokens

export const patRevoked = apiError(401, 'token_revoked', 'This token was revoked. Get a new one with `focus login`.')
export const patExpired = apiError(401, 'token_expired', 'This token has expired. Get a new one with `focus login`.')
export const accessTokenRevoked = apiError(401, 'token_revoked', 'This access token was revoked. Ask for access again.')
export const accessTokenExpired = apiError(
  401,
  'token_expired',
  'This access token has expired. Get a new one with its refresh token.',
)
export const tokenForElsewhere = apiError(
  401,
  'invalid_token',
  'This access token was issued for another service, the one that its client named as resource.',
)
export const tokenNotFound = apiError(404, 'token_not_found', 'You have no token with this id.')

/** @param most live tokens of an account @param then what to do after that */
export const tooManyTokens = apiError(
  409,
  'too_many_tokens',
  (most: number, then: string) =>
    `You have ${most} devices and tokens, which is the most. Revoke one that you do not need on your account page, then ${then}.`,
  { example: [100, 'approve again'] },
)

// Device login

export const unknownDeviceCode = apiError(
  404,
  'unknown_device_code',
  'There is no login with this device code. Start the login again.',
)
export const invalidCode = apiError(400, 'invalid_code', 'No device shows this code. Check it and type it again.')
export const loginDenied = apiError(410, 'access_denied', 'The login was denied.')
export const codeExpired = apiError(410, 'expired_token', 'This code has expired. Start the login again on the device.')
export const codeUsed = apiError(
  410,
  'already_used',
  'This code was already used. Start the login again on the device.',
)
export const tokenFetched = apiError(
  410,
  'already_used',
  'The token of this login was already fetched. Start the login again.',
)
/** @param interval seconds between polls; @param wait seconds until the next one */
export const slowDown = apiError(
  429,
  'slow_down',
  (interval: number, _wait: number) => `You poll too often. Wait ${interval} seconds between polls.`,
  {
    example: [10, 10],
    fields: { interval: Type.Integer({ description: 'Seconds to wait between polls from now on' }) },
    details: (interval) => ({ interval }),
    headers: (_interval, wait) => retryAfter(wait),
  },
)
/** @param seconds until the next try; @param limit tries in a window */
export const tooManyLogins = apiError(
  429,
  'too_many_attempts',
  (seconds: number, _limit: number) =>
    `Too many logins were started from this address. Try again in ${waitText(seconds)}.`,
  { example: [30, 10], headers: limitHeaders },
)
/** @param seconds until the next try; @param limit tries in a window */
export const tooManyRefreshes = apiError(
  429,
  'too_many_attempts',
  (seconds: number, _limit: number) => `This login gets new tokens too often. Try again in ${waitText(seconds)}.`,
  { example: [720, 60], headers: limitHeaders },
)
/** @param seconds until the next try; @param limit tries in a window */
export const tooManyClientDocuments = apiError(
  429,
  'too_many_attempts',
  (seconds: number, _limit: number) =>
    `Too many apps that are new here were opened from this address. Try again in ${waitText(seconds)}.`,
  { example: [30, 30], headers: limitHeaders },
)
/** @param seconds until the next try; @param limit tries in a window */
export const tooManyWrongCodes = apiError(
  429,
  'too_many_attempts',
  (seconds: number, _limit: number) => `Too many wrong codes. Try again in ${waitText(seconds)}.`,
  { example: [720, 10], headers: limitHeaders },
)

// Jobs and credits

export const insufficientCredits = apiError(
  402,
  'insufficient_credits',
  ({ required, available }: { required: number; available: number }) =>
    available < 0
      ? `This needs ${creditsText(required)}; you owe ${creditsText(-available)}.`
      : `This needs ${creditsText(required)}; you have ${creditsText(available)}.`,
  {
    example: [{ required: 5, available: 2 }],
    fields: {
      required: Type.Integer({ description: 'Credits that the job needs' }),
      available: Type.Integer({ description: 'Credits that the account can spend; below zero after an overage' }),
    },
    details: (credits) => credits,
  },
)
export const idempotencyKeyReused = apiError(
  422,
  'idempotency_key_reused',
  'This Idempotency-Key was already used for a different request. Use a new key.',
)
export const jobNotFound = apiError(404, 'job_not_found', 'You have no job with this id.')
/** For operators, who look at the jobs of others. */
export const noSuchJob = apiError(404, 'job_not_found', 'There is no job with this id.')
interface EndedJob {
  id: string
  status: string
  actual_cost: number
  failure_reason: string | null
}
const endText = ({ status, actual_cost, failure_reason }: EndedJob) =>
  `already ${status}${failure_reason ? ` (${failure_reason})` : ''}, at a cost of ${creditsText(actual_cost)}`
const endedJob = {
  fields: {
    job_id: Type.String({ format: 'uuid' }),
    status: Type.String({ description: "The job's status" }),
    actual_cost: Type.Integer({ description: 'Credits that the job cost' }),
    failure_reason: Type.Unsafe<string | null>({ type: 'string', nullable: true }),
  },
  details: ({ id, status, actual_cost, failure_reason }: EndedJob) => ({
    job_id: id,
    ...{ status, actual_cost, failure_reason },
  }),
}
const ENDED_JOB = { id: EXAMPLE_ID, status: 'completed', actual_cost: 3, failure_reason: null }
/** @param otherMetadata the call differs from the one that ended the job in its metadata alone */
export const jobAlreadyEnded = apiError(
  409,
  'job_already_ended',
  (job: EndedJob, otherMetadata: boolean) =>
    `This job is ${endText(job)}${otherMetadata ? ' and with other metadata' : ''}. Nothing was changed.`,
  { example: [ENDED_JOB, false], ...endedJob },
)
export const keyOfEndedJob = apiError(
  409,
  'job_already_ended',
  (job: EndedJob) =>
    `The job of this Idempotency-Key is ${endText(job)}: nothing is held for it. Use a new key for new work.`,
  { example: [ENDED_JOB], ...endedJob },
)
export const jobNotEnded = apiError(409, 'job_not_ended', 'This job has not ended. Complete or fail it first.')
export const refundExceedsCost = apiError(
  409,
  'refund_exceeds_cost',
  (refundable: number) =>
    `Of what this job cost, ${creditsText(refundable)} can still be given back. Nothing was changed.`,
  {
    example: [5],
    fields: { refundable: Type.Integer({ description: 'Credits of the cost that were not given back yet' }) },
    details: (refundable) => ({ refundable }),
  },
)
export const settleKeyRequired = apiError(
  403,
  'settle_key_required',
  'This app has a settle key: only its server, with the key in X-App-Key, may settle or extend its jobs, or reserve with ttl_seconds. Nothing was changed.',
)
export const jobOutsideLimits = apiError(
  403,
  'job_outside_limits',
  'This token has limits, so it settles only jobs that count against them: its own, and those of the tokens it made. Nothing was changed.',
)
export const appNotAllowed = apiError(
  403,
  'app_not_allowed',
  (apps: string[]) => `This token may spend at ${apps.join(', ') || 'no app'} only. Nothing was changed.`,
  {
    example: [['video']],
    fields: { apps: Type.Array(Type.String(), { description: 'The apps that the token may spend at' }) },
    details: (apps) => ({ apps }),
  },
)
export const budgetExceeded = apiError(
  403,
  'budget_exceeded',
  ({ budget, spent, resets_at }: { budget: number; spent: number; resets_at: Date | null }) =>
    `The budget is ${creditsText(budget)}, of which ${spent} ${spent === 1 ? 'is' : 'are'} spent. ${
      resets_at ? `It begins anew at ${resets_at.toISOString()}.` : 'Change it on your account page.'
    }`,
  {
    example: [{ budget: 50, spent: 48, resets_at: new Date('2026-11-22T00:00:00.000Z') }],
    fields: {
      budget: Type.Integer({ description: 'Credits that the token or grant may spend' }),
      spent: Type.Integer({ description: 'What its jobs hold and cost, in the period where it has one' }),
      resets_at: Type.Unsafe<string | null>({
        type: 'string',
        format: 'date-time',
        nullable: true,
        description: 'When the budget begins anew; null: never',
      }),
      change_url: Type.Unsafe<string | undefined>({ type: 'string', description: 'Where the person changes it' }),
    },
    // error-handler.ts adds the address.
    details: ({ budget, spent, resets_at }) => ({
      ...{ budget, spent, resets_at: resets_at?.toISOString() ?? null },
      change_url: undefined,
    }),
  },
)
/** @param grant_url where the person lets the app spend */
export const grantRequired = apiError(
  403,
  'grant_required',
  (_grant_url: string) => 'The person has not allowed this app to spend their credits. Send them to grant_url.',
  {
    example: ['https://account.thefocus.ai/grant?app=video'],
    fields: { grant_url: Type.String({ description: 'The page where the person allows it, with a budget' }) },
    details: (grant_url) => ({ grant_url }),
  },
)
export const grantAmbiguous = apiError(
  409,
  'grant_ambiguous',
  (_ids: string[]) =>
    'The person has allowed this app to spend more than once. Say by grant_id which of them is meant.',
  {
    example: [[EXAMPLE_ID]],
    fields: { grant_ids: Type.Array(Type.String({ format: 'uuid' })) },
    details: (grant_ids) => ({ grant_ids }),
  },
)
export const grantNotFound = apiError(404, 'grant_not_found', 'You have allowed no program with this id.')
export const settleKeyInvalid = apiError(
  403,
  'settle_key_invalid',
  "X-App-Key is not a current settle key of the job's app.",
)
export const settleKeyInBrowser = apiError(
  403,
  'settle_key_in_browser',
  'X-App-Key is for servers only: on a web page, every visitor can read it.',
)
export const balanceOutOfRange = apiError(
  409,
  'balance_out_of_range',
  'The balance would leave the range of ±(2^53 - 1). Nothing was changed.',
)
export const referenceReused = apiError(
  409,
  'reference_reused',
  (_entry: object) => 'This reference belongs to a different entry of the account. Nothing was changed.',
  {
    example: [{ seq: 7, kind: 'topup', amount: 100, reference: 'pi_3Q' }],
    fields: { entry: Type.Unsafe<object>({ type: 'object', additionalProperties: true }) },
    details: (entry) => ({ entry }),
  },
)
export const wouldGoNegative = apiError(
  409,
  'would_go_negative',
  (available: number) =>
    `The account has ${creditsText(available)}. Nothing was changed; send allow_negative to go below zero.`,
  {
    example: [5],
    fields: { available: Type.Integer({ description: 'Credits that the account can spend' }) },
    details: (available) => ({ available }),
  },
)

// Buying credits

export const serviceKeyInvalid = apiError(401, 'invalid_service_key', 'This service key is wrong, or was revoked.')
export const serviceKeyInBrowser = apiError(
  403,
  'service_key_in_browser',
  'Service keys are for servers only: on a web page, every visitor can read them.',
)
export const serviceKeyNotFound = apiError(404, 'service_key_not_found', 'There is no live service key with this id.')
export const notSelling = apiError(404, 'not_selling', 'This service sells no credits.')
export const packNotFound = apiError(404, 'pack_not_found', 'There is no pack with this slug.')
export const purchaseNotFound = apiError(404, 'purchase_not_found', 'You have no purchase with this id.')
/** @param most purchases of one account that may be open at once */
export const tooManyPurchases = apiError(
  429,
  'too_many_purchases',
  (most: number) => `You have ${most} purchases that are not paid yet. Pay one of them, or try again tomorrow.`,
  { example: [20], headers: () => retryAfter(3_600) },
)
export const paymentsUnavailable = apiError(
  503,
  'payments_unavailable',
  'The payment provider does not answer. Nothing was charged; try again in a few seconds.',
  retry(5),
)
export const autoTopupNotFound = apiError(404, 'auto_topup_off', 'Automatic top-ups are off.')

// OAuth tokens and X

export const unknownProvider = apiError(
  404,
  'unknown_provider',
  'This provider is not set up. Check its name, such as x or google, or ask the operator to set it up.',
)
export const notConnected = apiError(
  404,
  'not_connected',
  'You have not connected an account of this provider. Connect one first.',
)
export const reconnectRequired = apiError(
  404,
  'reconnect_required',
  'The provider no longer accepts your connection. Connect your account again.',
)
export const xTokenRequired = apiError(400, 'x_token_required', "Send X's own token as Authorization: Bearer <token>.")
export const notAnXToken = apiError(
  400,
  'x_token_required',
  "This is not a token of X, so it was not sent to X. Get X's own token from /api/xToken.",
)
/** @param seconds as X says */
export const xRateLimited = apiError(
  429,
  'rate_limited',
  (seconds: number) => `X limits our requests. Try again in ${waitText(seconds)}.`,
  { example: [60], headers: retryAfter },
)

type UpstreamStatus = number | null
const upstreamError = (sentence: (status: UpstreamStatus) => string) =>
  apiError(502, 'upstream_error', (status: UpstreamStatus) => sentence(status), {
    example: [503],
    fields: {
      upstream_status: Type.Unsafe<UpstreamStatus>({
        type: 'integer',
        nullable: true,
        description: 'The status that X answered with; null: it did not answer',
      }),
    },
    details: (upstream_status) => ({ upstream_status }),
  })
export const xFailed = upstreamError((status) => `X answered with status ${status}.`)
export const xNotJson = upstreamError(() => 'X sent an answer that is not JSON.')
export const xTooLarge = upstreamError(() => 'X sent an answer larger than 1 MiB.')
export const xUnavailable = upstreamError(() => 'X does not answer. Try again later.')

// Administration

export const accountNotFound = apiError(404, 'account_not_found', 'No account has this Clerk id.')
export const appNotFound = apiError(404, 'app_not_found', 'No registered app has this slug.')
export const endpointNotFound = apiError(404, 'endpoint_not_found', 'No webhook endpoint has this id.')

// Clerk's webhooks

export const invalidSignature = apiError(
  400,
  'invalid_signature',
  'The signature does not match our webhook secret, or its timestamp is too old.',
)
export const webhookOff = apiError(
  404,
  'not_found',
  'No webhook is set up here. Set CLERK_WEBHOOK_SECRET to turn it on.',
)

// Stripe's webhooks

export const wrongMode = apiError(
  400,
  'wrong_mode',
  "The event and this service's key are not of the same mode: one is of Stripe's test mode, the other is live.",
)
export const stripeWebhookOff = apiError(
  404,
  'not_found',
  'Stripe is not set up here. Set STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET.',
)
