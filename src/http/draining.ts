import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** /readyz answers 503 and every answer carries `Connection: close`; requests are still served */
    drain(): void
    isDraining(): boolean
  }
}

/**
 * Draining before shutdown: /readyz answers 503, and each keep-alive connection ends after its next answer. Closing at once
 * would reset idle connections on which a proxy may just be sending a request, which it cannot safely retry.
 */
export function registerDraining(app: FastifyInstance): void {
  let draining = false
  app.decorate('drain', () => {
    draining = true
  })
  app.decorate('isDraining', () => draining)
  app.addHook('preClose', async () => app.drain())
  // Otherwise keep-alive connections stay open and delay the shutdown.
  app.addHook('onSend', (_, reply, payload, done) => {
    if (draining) reply.header('connection', 'close')
    done(null, payload)
  })
}
