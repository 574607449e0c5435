import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { buyUrl, signinUrl } from '../access/redirects.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import {
  badField,
  bodyTooLarge,
  databaseUnavailable,
  emptyJson,
  headersTooLarge,
  internalError,
  invalidHttp,
  invalidJson,
  invalidPath,
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
  FST_ERR_CTP_EMPTY_JSON_BODY: emptyJson,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: wrongContentLength,
  FST_ERR_CTP_BODY_TOO_LARGE: bodyTooLarge,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: unsupportedMediaType,
  FST_ERR_BAD_URL: invalidPath,
}

/** The error to send for anything that was thrown. An unknown one becomes a 500 without detail. */
export function toApiError(error: FastifyError | Error): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof DatabaseUnavailable) return databaseUnavailable()
  const { validation, code = '', statusCode = 500 } = error as FastifyError
  const [fault] = validation ?? []
  if (fault) {
    const path = fault.instancePath.slice(1).replaceAll('/', '.')
    const missing = fault.keyword === 'required' ? String(fault.params.missingProperty) : ''
    const field = [path, missing].filter(Boolean).join('.') || 'body'
    const { allowedValues } = fault.params as { allowedValues?: string[] }
    if (missing) return badField(field, 'is missing')
    if (fault.keyword === 'additionalProperties')
      return badField(String(fault.params.additionalProperty), 'is not a parameter of this list')
    return badField(
      field,
      allowedValues ? `must be one of ${allowedValues.join(', ')}` : (fault.message ?? 'is not valid'),
    )
  }
  const known = FRAMEWORK_ERRORS[code]
  if (known) return known()
  if (statusCode >= 400 && statusCode < 500) return otherRefusal(statusCode, error.message)
  return internalError()
}

/** Sends what was thrown. Adds `signin_url` to every 401 and `topup_url` and `buy_url`, which are equal, to every 402, and logs every 5xx. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  const answer = toApiError(error)
  request.failure = answer.code
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  const details = { ...answer.details }
  const { config, origins } = request.server
  const { referer, origin } = request.headers
  if (answer.statusCode === 401) {
    details.signin_url = signinUrl(config.publicUrl, [referer, origin], origins.isAllowed)
  }
  if (answer.statusCode === 402) {
    const missing = Number(details.required) - Number(details.available)
    const buy_url = buyUrl(config, [referer, origin], origins.isAllowed, missing)
    if (buy_url) Object.assign(details, { topup_url: buy_url, buy_url })
  }
  return reply
    .code(answer.statusCode)
    .headers(answer.headers)
    .type('application/json; charset=utf-8')
    .send({ error: answer.code, message: answer.message, ...details, request_id: request.id })
}

/** The error and not-found handlers of the whole service. */
export function setErrorHandlers(app: FastifyInstance): void {
  app.setErrorHandler(sendError)
  app.setNotFoundHandler((request) => {
    throw routeNotFound(request.method, request.url.split('?', 1)[0] ?? '')
  })
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
