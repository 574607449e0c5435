import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** From now on not ready, and every answer asks for the end of its connection; requests are served on */
    drain(): void
    isDraining(): boolean
  }
}

/**
 * A stop that nobody notices: first /readyz says no and connections end one by one after an answer, then the listener
 * closes. Closing alone would cut idle connections just as a proxy sends on them, and it cannot know whether that was read.
 */
export function registerDraining(app: FastifyInstance): void {
  let draining = false
  app.decorate('drain', () => {
    draining = true
  })
  app.decorate('isDraining', () => draining)
  app.addHook('preClose', async () => app.drain())
  // A request that runs while we close keeps its connection, and us, waiting for a next one unless it is told otherwise.
  app.addHook('onSend', (_, reply, payload, done) => {
    if (draining) reply.header('connection', 'close')
    done(null, payload)
  })
}
