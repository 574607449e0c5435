import type { FastifyInstance } from 'fastify'
import { type Change, createDispatcher } from '../webhooks/dispatcher.ts'
import { onMessages, readEndpoints } from '../webhooks/outbox.ts'

/** The task that delivers webhooks. `run` reads the endpoints and starts what is due; `stop` aborts the deliveries in flight. */
export function webhookDelivery({ db, config, log, metrics }: FastifyInstance) {
  const dispatcher = createDispatcher({
    db,
    publicOnly: config.production,
    onAttempt: metrics.webhookAttempt,
    onFailure: (error) => log.warn({ err: error }, 'could not deliver webhooks'),
    onChange: ({ id, app_slug }, change) => logChange({ endpoint_id: id, app: app_slug }, change),
  })

  onMessages(db, dispatcher.wake)

  function logChange(endpoint: object, change: Change): void {
    if (change.state === 'failing') log.warn({ ...endpoint, error: change.error }, 'a webhook endpoint fails')
    else if (change.state === 'gone') log.warn(endpoint, 'a webhook endpoint answered 410 and was paused')
    else log.info(endpoint, 'a webhook endpoint takes messages again')
  }

  return {
    async run() {
      await readEndpoints(db)
      await dispatcher.look()
    },
    stop: dispatcher.stop,
  }
}
