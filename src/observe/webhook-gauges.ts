import { Gauge, type Registry } from 'prom-client'
import { MAX_ENDPOINTS, type WebhookState } from './webhook-state.ts'

/**
 * Registers the gauges of webhooks.
 * @param read the state that this scrape has read; undefined: the database did not answer in time
 */
export function webhookGauges(read: () => Promise<WebhookState | undefined>, registers: Registry[]): void {
  const gauge = (name: string, help: string, pick: (state: WebhookState) => number) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const state = await read()
        if (state) this.set(pick(state))
        else this.remove()
      },
    })
  const perEndpoint = (
    name: string,
    help: string,
    pick: (endpoint: WebhookState['endpoints'][number]) => number | undefined,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: ['app', 'endpoint'] as const,
      registers,
      async collect() {
        this.reset()
        for (const endpoint of (await read())?.endpoints ?? []) {
          const value = pick(endpoint)
          if (value !== undefined) this.set({ app: endpoint.app, endpoint: endpoint.id }, value)
        }
      },
    })

  gauge('focus_outbox_waiting_messages', 'Webhook messages that are not delivered yet', ({ waiting }) => waiting)
  gauge(
    'focus_outbox_lag_seconds',
    'How long the oldest undelivered message has been waiting, without endpoints that an operator paused',
    ({ endpoints }) => Math.max(0, ...endpoints.map(({ oldest = 0 }) => oldest)),
  )
  gauge(
    'focus_outbox_dead_messages',
    'Webhook messages that were given up, without endpoints that an operator paused',
    ({ dead }) => dead,
  )
  perEndpoint(
    'focus_webhook_oldest_waiting_seconds',
    `How long the oldest undelivered message of an endpoint has been waiting; for at most ${MAX_ENDPOINTS} endpoints`,
    ({ oldest }) => oldest,
  )
  perEndpoint(
    'focus_webhook_failures',
    `Failed attempts since the last that succeeded; for at most ${MAX_ENDPOINTS} endpoints`,
    ({ failures }) => failures,
  )
}
