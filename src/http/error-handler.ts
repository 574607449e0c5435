import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { buyUrl, signinUrl } from '../access/redirects.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import {
  badField,
  bodyTooLarge,
  budgetExceeded,
  databaseUnavailable,
  emptyJson,
  headersTooLarge,
  insufficientScope,
  internalError,
  invalidHttp,
  invalidJson,
  invalidPath,
  methodNotAllowed,
  pathTooLong,
  requestTimeout,
  routeNotFound,
  unsupportedMediaType,
  wrongContentLength,
} from './catalogue.ts'
import { ApiError, type ErrorKind, otherRefusal } from './errors.ts'
import { corsHeaders, safetyHeaders, setCommonHeaders } from './headers.ts'

/** Maps Fastify's error codes to our errors. */
const FRAMEWORK_ERRORS: Record<string, ErrorKind<[]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: invalidJson,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: wrongContentLength,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: unsupportedMediaType,
  FST_ERR_BAD_URL: invalidPath,
  FST_ERR_MAX_PARAM_LENGTH: pathTooLong,
}

/** Maps anything that was thrown to the error to send. An unknown one becomes a 500 without details. */
export function toApiError(error: FastifyError | Error, { body, routeOptions }: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof DatabaseUnavailable) return databaseUnavailable()
  const { validation, validationContext, code = '', statusCode = 500 } = error as FastifyError
  const [fault] = validation ?? []
  if (fault) {
    const path = fault.instancePath.slice(1).replaceAll('/', '.')
    const missing = fault.keyword === 'required' ? String(fault.params.missingProperty) : ''
    const field = [path, missing].filter(Boolean).join('.') || 'body'
    const { allowedValues } = fault.params as { allowedValues?: string[] }
    if (body === undefined && validationContext === 'body') return emptyJson()
    if (missing) return badField(field, 'is missing')
    if (fault.keyword === 'additionalProperties')
      return badField(String(fault.params.additionalProperty), 'is not a parameter of this list')
    return badField(
      field,
      allowedValues ? `must be one of ${allowedValues.join(', ')}` : (fault.message ?? 'is not valid'),
    )
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return bodyTooLarge(routeOptions.bodyLimit)
  const known = FRAMEWORK_ERRORS[code]
  if (known) return known()
  if (statusCode >= 400 && statusCode < 500) return otherRefusal(statusCode, error.message)
  return internalError()
}

/** Sends what was thrown. Adds what clients expect with it (`signin_url`, `buy_url`, `change_url`, WWW-Authenticate), and logs every 5xx. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  const answer = toApiError(error, request)
  request.failure = answer.code
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  const details = { ...answer.details }
  const { config, origins } = request.server
  const { referer, origin } = request.headers
  if (answer.statusCode === 401) {
    details.signin_url = signinUrl(config.publicUrl, [referer, origin], origins.isAllowed, origins.mayReturn)
  }
  if (answer.statusCode === 402) {
    const missing = Number(details.required) - Number(details.available)
    const buy_url = buyUrl(config, [referer, origin], origins.isAllowed, missing)
    if (buy_url) Object.assign(details, { topup_url: buy_url, buy_url })
  }
  if (answer.code === budgetExceeded.code) {
    const isGrant = Boolean(request.appOfKey ?? request.account?.grant_id)
    details.change_url = `${config.publicUrl}/account#${isGrant ? 'apps' : 'tokens'}`
  }
  return reply
    .code(answer.statusCode)
    .headers({ ...answer.headers, ...challenge(answer, request) })
    .type('application/json; charset=utf-8')
    .send({ error: answer.code, message: answer.message, ...details, request_id: request.id })
}

/**
 * The WWW-Authenticate header of an error (RFC 6750, section 3): how to authenticate, and what was wrong with the token of the request.
 * None for errors that another token would not avoid.
 */
function challenge({ statusCode, code, message, details }: ApiError, { server, headers }: FastifyRequest) {
  const isScope = code === insufficientScope.code
  if (statusCode !== 401 && !isScope) return {}
  const params = [['realm', server.config.publicUrl]]
  if (headers.authorization !== undefined) {
    params.push(['error', isScope ? code : 'invalid_token'], ['error_description', message.replaceAll('"', "'")])
  }
  if (isScope) params.push(['scope', String(details.scope)])
  // Where a client learns who issues the tokens (RFC 9728, section 5.1).
  params.push(['resource_metadata', `${server.config.publicUrl}/.well-known/oauth-protected-resource`])
  return { 'www-authenticate': `Bearer ${params.map(([name, value]) => `${name}="${value}"`).join(', ')}` }
}

/** The path of a request, without its query. */
export const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0] ?? ''

/** The error for a request that reaches no route: 405 method_not_allowed where its path takes other methods, else 404 not_found. */
export function noRoute(request: FastifyRequest): ApiError {
  const path = pathOf(request)
  const allowed = request.server.methodsOf(path)
  return allowed.length ? methodNotAllowed(request.method, path, allowed) : routeNotFound(request.method, path)
}

/** The error handler of the whole service. Pages have one of their own, and the handler for unknown paths: pages/index.ts. */
export function setErrorHandlers(app: FastifyInstance): void {
  app.setErrorHandler(sendError)
}

/** Answers a path that the router cannot read. No hook has run, so the common headers are set here. */
export function sendFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  setCommonHeaders(request.server.config)(request, reply, () => {})
  return sendError(error, request, reply)
}

/** Maps the codes of Node's HTTP parser to our errors. */
const UNREADABLE: Record<string, ErrorKind<[]>> = {
  HPE_HEADER_OVERFLOW: headersTooLarge,
  ERR_HTTP_REQUEST_TIMEOUT: requestTimeout,
}

/**
 * Answers bytes that Node cannot parse as a request: no HTTP, too large headers, or a request that did not arrive in time.
 * There is no request object, so the answer is written to the socket; the Origin is taken from the bytes that were read.
 */
export function refuseUnreadable(
  this: FastifyInstance,
  error: Error & { code?: string; rawPacket?: unknown },
  socket: Socket,
): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy()
  const { statusCode, code, message } = (UNREADABLE[error.code ?? ''] ?? invalidHttp)()
  const request_id = randomUUID()
  this.log.debug({ request_id, reason: error.code }, code)
  const body = JSON.stringify({ error: code, message, request_id })
  const read = Buffer.isBuffer(error.rawPacket) ? error.rawPacket.toString('latin1') : ''
  const origin = /\r\norigin: *(\S+)\r\n/i.exec(read)?.[1]
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    'x-request-id': request_id,
    ...safetyHeaders(this.config),
    ...corsHeaders(origin, this.origins.isAllowed),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\n${lines.join('')}\r\n${body}`)
}
