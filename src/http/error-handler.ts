import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { signinUrl } from '../access/redirects.ts'
import { DatabaseUnavailable } from '../db/unavailable.ts'
import { ApiError, badField } from './errors.ts'
import { corsHeaders, safetyHeaders, setCommonHeaders } from './headers.ts'

const FRAMEWORK_ERRORS: Record<string, [code: string, message: string]> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_json', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', 'The body is empty; send a JSON object.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid_request', 'The body is not as long as Content-Length says.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['body_too_large', 'The body is larger than 64 KiB.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'Send the body as Content-Type: application/json.'],
  FST_ERR_BAD_URL: ['invalid_request', 'The path is not valid percent-encoding.'],
}

/** Turns whatever was thrown into the answer for it. What is not ours to tell becomes a 500 without detail. */
export function toApiError(error: FastifyError | Error): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof DatabaseUnavailable) {
    return new ApiError(
      503,
      'database_unavailable',
      'The database does not answer. Nothing is lost; try again, with the same Idempotency-Key if you sent one.',
      {},
      { 'retry-after': '1' },
    )
  }
  const { validation, code = '', statusCode = 500 } = error as FastifyError
  const [fault] = validation ?? []
  if (fault) {
    const path = fault.instancePath.slice(1).replaceAll('/', '.')
    const missing = fault.keyword === 'required' ? String(fault.params.missingProperty) : ''
    const field = [path, missing].filter(Boolean).join('.') || 'body'
    const { allowedValues } = fault.params as { allowedValues?: string[] }
    if (missing) return badField(field, 'is missing')
    return badField(
      field,
      allowedValues ? `must be one of ${allowedValues.join(', ')}` : (fault.message ?? 'is not valid'),
    )
  }
  const known = FRAMEWORK_ERRORS[code]
  if (known) return new ApiError(statusCode, ...known)
  if (statusCode >= 400 && statusCode < 500) return new ApiError(statusCode, 'bad_request', error.message)
  return new ApiError(500, 'internal_error', 'Something went wrong on our side. It is logged under this request_id.')
}

/** Writes what was thrown: where to sign in with every 401, where to buy with every 402, the log for every 5xx. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) {
  const answer = toApiError(error)
  request.failure = answer.code
  if (answer.statusCode >= 500) request.log.error({ err: error }, answer.code)
  const details = { ...answer.details }
  const { config, origins } = request.server
  if (answer.statusCode === 401) {
    const { referer, origin } = request.headers
    details.signin_url = signinUrl(config.publicUrl, [referer, origin], origins.isAllowed)
  }
  if (answer.statusCode === 402 && config.topupUrl) details.topup_url = config.topupUrl
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
    throw new ApiError(404, 'not_found', `There is no ${request.method} ${request.url.split('?', 1)[0]} here.`)
  })
}

/** Answers a path that the router cannot read. No hook has run, so the common headers are set here. */
export function sendFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  setCommonHeaders(request.server.config)(request, reply, () => {})
  return sendError(error, request, reply)
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
  const [status, code, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'headers_too_large', 'The headers of the request are too large.']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'request_timeout', 'The request did not arrive in time.']
        : ['400 Bad Request', 'bad_request', 'The request is not valid HTTP.']
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
  socket.end(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`)
}
