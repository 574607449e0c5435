import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { poolUse } from '../db/connect.ts'
import { databaseGauges } from './database-gauges.ts'
import type { Metrics } from './metrics.ts'

/** Requests that move credits, by route. */
const OPERATIONS: Record<string, string> = {
  'POST /api/jobs': 'reserve',
  'POST /api/jobs/complete': 'complete',
  'POST /api/jobs/fail': 'fail',
  'POST /api/jobs/:id/heartbeat': 'heartbeat',
  'POST /api/admin/credits': 'adjust',
  'POST /api/admin/jobs/:id/refund': 'refund',
}
/** Statuses of requests that never reach the ledger. */
const REFUSED_EARLY = new Set([400, 401, 413, 415, 429])

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/**
 * Metrics by prom-client, with a registry for each app instance. Label values are bounded: route patterns, error codes of this
 * service, and apps that an operator registered.
 */
export function prometheusMetrics(app: FastifyInstance): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const requests = new Histogram({
    name: 'focus_http_request_duration_seconds',
    help: 'How long requests took, by route pattern and status; _count is the rate',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: SECONDS,
    registers,
  })
  const operations = new Counter({
    name: 'focus_ledger_operations_total',
    help: 'Ledger operations by outcome: ok, replayed, or the error code of the answer',
    labelNames: ['operation', 'outcome'] as const,
    registers,
  })
  const batches = new Histogram({
    name: 'focus_ledger_batch_size',
    help: 'How many ledger operations were posted in one transaction',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    registers,
  })
  const overages = new Counter({
    name: 'focus_overages_capped_total',
    help: "Jobs that asked for more than their app's max_overage allows, by app",
    labelNames: ['app'] as const,
    registers,
  })
  const clerk = new Histogram({
    name: 'focus_clerk_request_duration_seconds',
    help: "How long calls to Clerk's API took",
    labelNames: ['outcome'] as const,
    buckets: SECONDS,
    registers,
  })
  const breaker = new Gauge({
    name: 'focus_clerk_breaker_open',
    help: '1 while calls to Clerk are suspended because Clerk does not answer',
    registers,
  })

  const attempts = new Counter({
    name: 'focus_webhook_attempts_total',
    help: 'Attempts to deliver a webhook message, by outcome',
    labelNames: ['outcome'] as const,
    registers,
  })

  const use = poolUse(app.db)
  new Gauge({
    name: 'focus_database_connections',
    help: 'Connections of the pool',
    labelNames: ['state'] as const,
    registers,
    collect() {
      this.set({ state: 'in_use' }, use?.inUse() ?? 0)
      this.set({ state: 'idle' }, use?.idle() ?? 0)
    },
  })
  new Gauge({
    name: 'focus_queue_length',
    help: 'Requests waiting, by queue; database: for a connection of the pool',
    labelNames: ['queue'] as const,
    registers,
    collect() {
      for (const [queue, { waiting }] of app.load.queues) this.set({ queue }, waiting())
    },
  })
  new Gauge({
    name: 'focus_overloaded',
    help: '1 while new requests are refused with 503 overloaded',
    registers,
    collect() {
      this.set(app.load.overloadedBy() === undefined ? 0 : 1)
    },
  })
  databaseGauges(app.db, registers)

  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none'
    const { method } = request
    requests.observe({ method: methodLabel(method), route, status: reply.statusCode }, reply.elapsedTime / 1000)
    const operation = OPERATIONS[`${method} ${route}`]
    if (operation && !REFUSED_EARLY.has(reply.statusCode)) {
      const ok = reply.hasHeader('idempotency-replayed') ? 'replayed' : 'ok'
      operations.inc({ operation, outcome: request.failure || ok })
    }
    done()
  })

  return {
    batch: (size) => batches.observe(size),
    overageCapped: (app) => overages.inc({ app }),
    expired: (holds) => operations.inc({ operation: 'expire', outcome: 'ok' }, holds),
    webhookAttempt: (outcome) => attempts.inc({ outcome }),
    clerkCall() {
      const ended = clerk.startTimer()
      return (outcome) => void ended({ outcome })
    },
    clerkBreaker: (open) => breaker.set(open ? 1 : 0),
    read: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  }
}

/** Clients may send any method; unknown ones share one label value. */
const methodLabel = (method: string) =>
  ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].includes(method) ? method : 'other'
