import type { FastifyRequest } from 'fastify'
import { ApiError } from '../../../http/errors.ts'

/** The User-Agent of these calls, by which the audit log tells the console from other clients. */
export const CONSOLE_AGENT = 'focus-console'

interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  body?: object
}

/**
 * Calls an operation of the API in this process, as the person at the console: whatever the console changes is checked, limited,
 * done and written to the audit log by the route that scripts use.
 * @throws {ApiError} as the operation refuses
 */
export async function callApi<Answer>(request: FastifyRequest, { method, url, body }: Call): Promise<Answer> {
  const { config } = request.server
  const reply = await request.server.inject({
    method,
    url,
    ...(body && { payload: body }),
    remoteAddress: request.address,
    headers: {
      host: new URL(config.publicUrl).host,
      cookie: request.headers.cookie ?? '',
      origin: config.publicUrl,
      'user-agent': CONSOLE_AGENT,
      ...(body && { 'content-type': 'application/json' }),
    },
  })
  const answer = reply.body === '' ? {} : reply.json()
  if (reply.statusCode < 400) return answer
  const { error, message, ...details } = answer
  throw new ApiError(reply.statusCode, error, message, details)
}
