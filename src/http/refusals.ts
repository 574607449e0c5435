import { ErrorBody, EXAMPLE_REQUEST, SessionUnauthorized } from '../schemas/errors.ts'
import { ref } from '../schemas/primitives.ts'
import {
  accountClosed,
  badField,
  bodyTooLarge,
  databaseUnavailable,
  emptyJson,
  insufficientScope,
  internalError,
  invalidJson,
  invalidPath,
  invalidToken,
  localIdentityOnly,
  notAnAdministrator,
  notSignedIn,
  originNotAllowed,
  overloaded,
  patExpired,
  pathTooLong,
  patRevoked,
  providerUnavailable,
  rateLimited,
  sessionPending,
  tokenNotActiveYet,
  unsupportedMediaType,
  wrongContentLength,
} from './catalogue.ts'
import type { ErrorKind } from './errors.ts'

/** How a route lists its errors: `response: { 200: …, ...refusals(signedIn, jobNotFound) }`. */

/** What any route can answer that asks for no sign-in. */
export const anyRequest: ErrorKind[] = [
  badField,
  invalidPath,
  pathTooLong,
  localIdentityOnly,
  rateLimited,
  internalError,
  databaseUnavailable,
  overloaded,
]

/** What a route adds that reads a JSON body. */
export const jsonBody: ErrorKind[] = [
  badField,
  wrongContentLength,
  invalidJson,
  emptyJson,
  bodyTooLarge,
  unsupportedMediaType,
]

/** What any route can answer that checks who is asking. */
export const signedIn: ErrorKind[] = [
  notSignedIn,
  invalidToken,
  patExpired,
  patRevoked,
  tokenNotActiveYet,
  sessionPending,
  originNotAllowed,
  insufficientScope,
  accountClosed,
  ...anyRequest,
  providerUnavailable,
]

/** What any route can answer that is for administrators. */
export const administrator: ErrorKind[] = [...signedIn, notAnAdministrator, accountClosed]

const authenticate = {
  'WWW-Authenticate': {
    type: 'string',
    description: 'Bearer, and what was wrong with a token that was sent (RFC 6750)',
  },
}
const retryAfter = { 'Retry-After': { type: 'integer', description: 'Seconds to wait' } }
const rateLimit = {
  'RateLimit-Limit': { type: 'integer', description: 'Requests allowed in a window' },
  'RateLimit-Remaining': { type: 'integer', description: 'Requests left in this window' },
  'RateLimit-Reset': { type: 'integer', description: 'Seconds until the next window' },
}

const BUY_URL = 'https://account.thefocus.ai/buy?missing=3'

interface Status {
  description: string
  headers?: object
  /** Fields that error-handler.ts adds: their schemas, their values in examples, and which of them are always there */
  fields?: object
  extra?: object
  always?: string[]
}

/** What each status means for the caller, and the headers that come with it. */
const STATUSES: Record<number, Status> = {
  400: { description: 'Bad request; `field` names the field that is wrong, if there is one' },
  401: {
    description: 'Unauthorized; `signin_url` is where to sign in',
    headers: authenticate,
    extra: { signin_url: 'https://account.thefocus.ai/signin?redirect_to=https%3A%2F%2Fapp.example.com%2F' },
    fields: { signin_url: { type: 'string' } },
    always: ['signin_url'],
  },
  402: {
    description: 'Insufficient credits',
    extra: { topup_url: BUY_URL, buy_url: BUY_URL },
    fields: {
      topup_url: { type: 'string', description: 'The same as buy_url' },
      buy_url: {
        type: 'string',
        description: 'Where the person buys the credits that are missing; absent where this service sells none',
      },
    },
  },
  403: { description: 'Forbidden' },
  404: { description: 'Not found' },
  409: { description: 'Conflict; nothing was changed' },
  410: { description: 'Expired, denied or already used' },
  413: { description: 'The body is too large' },
  415: { description: 'The body is not JSON' },
  422: { description: 'The Idempotency-Key belongs to a different request' },
  429: { description: 'Too many requests; try again after `Retry-After`', headers: { ...retryAfter, ...rateLimit } },
  500: { description: 'Something went wrong on our side' },
  502: { description: 'X failed' },
  503: { description: 'Not available now; try again after `Retry-After`', headers: retryAfter },
}

/** The document's response for one status. */
export interface Refusal {
  description: string
  headers?: object
  content: Record<string, object>
}

/** The responses of a route that can answer these errors: one for each status, with an example for each code. */
export function refusals(...kinds: (ErrorKind | readonly ErrorKind[])[]): Record<number, Refusal> {
  const byStatus = Map.groupBy(kinds.flat(), ({ status }) => status)
  return Object.fromEntries([...byStatus].map(([status, of]) => [status, refusal(status, of)]))
}

/** The schema names the codes, and the fields that come with any of them; a field of all of them is required. */
function refusal(status: number, kinds: ErrorKind[]): Refusal {
  const { description, headers, extra, fields, always = [] } = STATUSES[status] ?? { description: 'Error' }
  const examples: Record<string, { value: object }> = {}
  for (const { code, example } of kinds) {
    const { message, details } = example
    examples[code] ??= { value: { error: code, message, ...details, ...extra, request_id: EXAMPLE_REQUEST } }
  }
  const own = Object.assign({}, ...kinds.map((kind) => kind.fields)) as Record<string, object>
  const common = Object.keys(own).filter((field) => kinds.every((kind) => field in kind.fields))
  const schema = {
    type: 'object',
    allOf: [ref(status === 401 ? SessionUnauthorized : ErrorBody)],
    required: ['error', ...always, ...common],
    properties: { error: { type: 'string', enum: Object.keys(examples) }, ...fields, ...own },
  }
  return { description, ...(headers && { headers }), content: { 'application/json': { schema, examples } } }
}
