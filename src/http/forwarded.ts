import type { FastifyBaseLogger, FastifyRequest } from 'fastify'

/**
 * A hook for a service without TRUST_PROXY: mentions, once, that somebody sends headers as a proxy would. They change
 * nothing: anybody can send them. But behind a proxy everybody seems to come from its address.
 */
export function noteForwarded(log: FastifyBaseLogger) {
  let noted = false
  return ({ headers }: FastifyRequest, _reply: unknown, next: () => void): void => {
    if (!noted && (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined)) {
      noted = true
      log.warn(
        'A request came with X-Forwarded-For or Forwarded, which is not believed. If a proxy of yours is in front of this ' +
          'service, name its address in TRUST_PROXY: limits count by address.',
      )
    }
    next()
  }
}
