import { Type } from '@sinclair/typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import {
  bodyTooLarge,
  databaseUnavailable,
  internalError,
  localIdentityOnly,
  overloaded,
  rateLimited,
} from '../http/catalogue.ts'
import { toApiError } from '../http/error-handler.ts'
import { ApiError, apiError, type ErrorKind } from '../http/errors.ts'
import type { Refusal } from '../http/refusals.ts'
import { OAuthError } from '../schemas/authorization-server.ts'
import { EXAMPLE_REQUEST } from '../schemas/errors.ts'
import { ref } from '../schemas/primitives.ts'

/**
 * The errors of the OAuth endpoints, with the names of their RFCs, which the rest of the API uses with other statuses. The
 * sentences are sent as `error_description`: printable ASCII without `"` and `\` (RFC 6749, section 5.2).
 */

// Of RFC 6749

export const badParameter = apiError(400, 'invalid_request', (name: string, fault: string) => `${name} ${fault}.`, {
  example: ['code_verifier', 'is missing'],
})
export const notAForm = apiError(
  400,
  'invalid_request',
  'Send the parameters as a form, with the header Content-Type: application/x-www-form-urlencoded.',
)
export const postOnly = apiError(
  405,
  'invalid_request',
  'Send a POST with a form: parameters in an address end up in logs.',
  {
    headers: () => ({ allow: 'POST' }),
  },
)
export const unknownClient = apiError(400, 'invalid_client', 'No app is registered with this client_id.')
/** A client that has tried to authenticate is told that with 401 (section 5.2). */
export const publicClientsOnly = apiError(
  401,
  'invalid_client',
  'Clients of this service have no secret. Send client_id among the parameters, and no Authorization header.',
  { headers: () => ({ 'www-authenticate': 'Basic realm="OAuth clients"' }) },
)
export const secretNotTaken = apiError(
  400,
  'invalid_client',
  'Clients of this service have no secret. Send client_id alone.',
)
export const unsupportedGrantType = apiError(
  400,
  'unsupported_grant_type',
  'grant_type must be authorization_code, refresh_token or urn:ietf:params:oauth:grant-type:device_code.',
)
export const unsupportedResponseType = apiError(400, 'unsupported_response_type', 'response_type must be code.')
export const redirectUriNotRegistered = apiError(
  400,
  'invalid_request',
  'redirect_uri is not one of those that are registered for this client, character by character.',
)
/** OpenID Connect's names for what RFC 9101 adds. */
export const requestNotSupported = apiError(
  400,
  'request_not_supported',
  'Send the parameters themselves, not request.',
)
export const requestUriNotSupported = apiError(
  400,
  'request_uri_not_supported',
  'Send the parameters themselves, not request_uri.',
)
export const framed = apiError(
  403,
  'access_denied',
  'This page cannot be shown inside another page. Open it in a window of its own.',
)
export const invalidScope = apiError(
  400,
  'invalid_scope',
  (known: readonly string[]) => `scope must be one or more of ${known.join(', ')}, separated by spaces.`,
  { example: [['account', 'oauth']] },
)
export const widerScope = apiError(400, 'invalid_scope', 'A refresh can ask for less than was approved, not for more.')
export const badCode = apiError(
  400,
  'invalid_grant',
  'The code is unknown, has expired or was already used, or belongs to another client, redirect_uri or code_verifier. ' +
    'Start the authorization again.',
)
export const badRefreshToken = apiError(
  400,
  'invalid_grant',
  'The refresh token is unknown, has expired, was revoked or already used, or belongs to another client. ' +
    'Start the authorization again.',
)
export const badDeviceCode = apiError(
  400,
  'invalid_grant',
  'The device code is unknown or its token was already fetched. Start the login again.',
)
export const tokenOfAnotherClient = apiError(400, 'invalid_grant', 'This token was issued to another client.')
export const approvalDenied = apiError(400, 'access_denied', 'The person has denied the access.')

// Of RFC 8628, the device grant

export const authorizationPending = apiError(
  400,
  'authorization_pending',
  'The person has not decided yet. Ask again after the interval.',
)
export const pollingTooFast = apiError(
  400,
  'slow_down',
  (interval: number, _headers: Record<string, string>) => `Wait ${interval} seconds between two requests from now on.`,
  {
    example: [10, {}],
    fields: { interval: Type.Integer({ description: 'Seconds to wait between two requests from now on' }) },
    details: (interval) => ({ interval }),
    headers: (_interval, headers) => headers,
  },
)
export const deviceCodeExpired = apiError(400, 'expired_token', 'The device code has expired. Start the login again.')

// Of RFC 7662, introspection

/** The body says `active: false` too, for callers that look at nothing else. */
export const badAppCredentials = apiError(
  401,
  'invalid_client',
  () => "Send the app's settle key in X-App-Key, or its slug and settle key by HTTP Basic.",
  {
    example: [],
    fields: { active: Type.Boolean({ description: 'false' }) },
    details: () => ({ active: false }),
    headers: () => ({ 'www-authenticate': 'Basic realm="Apps"' }),
  },
)

// Of Client ID Metadata Documents

/** @param fault what is wrong with the document, after its name */
export const badDocument = apiError(
  400,
  'invalid_client',
  (fault: string) => `The client metadata document that client_id names ${fault}.`,
  { example: ['is not JSON'] },
)

// Of RFC 8707, resource indicators

export const invalidTarget = apiError(
  400,
  'invalid_target',
  'resource must be this service or a resource of a registered app, once, without a fragment.',
)

/** What any of the endpoints can answer that clients call. */
export const anyForm: ErrorKind[] = [
  badParameter,
  notAForm,
  publicClientsOnly,
  secretNotTaken,
  localIdentityOnly,
  bodyTooLarge,
  rateLimited,
  internalError,
  databaseUnavailable,
  overloaded,
]

/** The framework's refusals by our codes, where an RFC has a name for them. */
const RFC_NAMES: Record<string, ErrorKind<[]>> = { unsupported_media_type: notAForm }

/** Answers an error of an OAuth endpoint: `error` and `error_description`. */
export function sendProblem(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  const thrown = toApiError(error, request)
  const answer = RFC_NAMES[thrown.code]?.() ?? thrown
  request.failure = answer.code
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  return reply
    .code(answer.statusCode)
    .headers(answer.headers)
    .type('application/json; charset=utf-8')
    .send({ error: answer.code, error_description: answer.message, ...answer.details, request_id: request.id })
}

/** The responses of an OAuth endpoint that can answer these errors. */
export function problems(...kinds: (ErrorKind | readonly ErrorKind[])[]): Record<number, Refusal> {
  const byStatus = Map.groupBy(kinds.flat(), ({ status }) => status)
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => {
      const examples: Record<string, { value: object }> = {}
      for (const { code, example } of of) {
        const { message: error_description, details } = example
        examples[code] ??= { value: { error: code, error_description, ...details, request_id: EXAMPLE_REQUEST } }
      }
      const fields = Object.assign({}, ...of.map((kind) => kind.fields)) as object
      const schema = {
        type: 'object',
        allOf: [ref(OAuthError)],
        required: ['error', 'error_description'],
        properties: { error: { type: 'string', enum: Object.keys(examples) }, ...fields },
      }
      const description = DESCRIPTIONS[status] ?? 'Refused, with the error of the RFC'
      return [status, { description, ...headersOf(status), content: { 'application/json': { schema, examples } } }]
    }),
  )
}

const DESCRIPTIONS: Record<number, string> = {
  401: 'The credentials are wrong, or there should be none',
  403: 'Refused by the local identity',
  405: 'Send a POST',
  413: 'The form is larger than 64 KiB',
  429: 'Too many requests; try again after `Retry-After`',
  500: 'Something went wrong on our side',
  503: 'Not available now; try again after `Retry-After`',
}

const headersOf = (status: number) =>
  [429, 503].includes(status)
    ? { headers: { 'Retry-After': { type: 'integer', description: 'Seconds to wait' } } }
    : undefined

export const isCode = (error: unknown, kind: { code: string }): error is ApiError =>
  error instanceof ApiError && error.code === kind.code
