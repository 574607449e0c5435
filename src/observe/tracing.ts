import { setTimeout as sleep } from 'node:timers/promises'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace-node'
import type { FastifyPluginCallback } from 'fastify'
import type { LogEvent } from 'kysely'
import { nameOf } from '../db/statement.ts'
import type { Ledger } from '../ledger/operations.ts'

/** OpenTelemetry traces: a span for each request, with a child span for each statement. Loaded only when an endpoint is configured. */

export interface Tracing {
  /** Must be registered before every other plugin */
  plugin: FastifyPluginCallback
  /** Records a statement that has run */
  query(event: LogEvent): void
  /** Wraps a ledger so that each operation gets a span: the statements of a batch belong to many requests */
  posting(ledger: Ledger): Ledger
  /** Exports the remaining spans, for at most 2 s */
  stop(): Promise<void>
}

/** Time limit of the final flush, in ms. */
const FLUSH_MS = 2_000

/** @param endpoint base URL of a collector that accepts OTLP over HTTP */
export function startTracing(endpoint: string): Tracing {
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'focus-api' }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    spanProcessors: [new ScrubbingSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }))],
  })
  provider.register()
  const instrumentation = new FastifyOtelInstrumentation({
    // Error messages of the database or a parser may contain values.
    recordExceptions: false,
    instrumentHooks: false,
    ignorePaths: ({ url }) => url === '/healthz' || url === '/readyz',
    requestHook(span, request) {
      const path = request.url.split('?', 1)[0] ?? ''
      span.updateName(`${request.method} ${request.routeOptions.url ?? 'no route'}`)
      // By default url.path includes the query, which may carry a device code or a token.
      span.setAttributes({ 'url.path': path, 'focus.request_id': request.id })
    },
  })
  instrumentation.setTracerProvider(provider)
  const tracer = provider.getTracer('focus-api')

  return {
    plugin: instrumentation.plugin(),
    query({ level, query, queryDurationMillis }) {
      if (!trace.getActiveSpan()) return
      const end = Date.now()
      const span = tracer.startSpan(nameOf(query.sql) ?? query.sql.trimStart().split(/\s/, 1)[0] ?? 'query', {
        kind: SpanKind.CLIENT,
        startTime: end - queryDurationMillis,
        // The text has placeholders; parameter values are not exported.
        attributes: { 'db.system.name': 'postgresql', 'db.query.text': query.sql },
      })
      if (level === 'error') span.setStatus({ code: SpanStatusCode.ERROR })
      span.end(end)
    },
    posting(ledger) {
      const spanned = <T>(name: string, work: () => Promise<T>): Promise<T> =>
        tracer.startActiveSpan(name, { kind: SpanKind.CLIENT }, async (span) => {
          try {
            return await work()
          } catch (error) {
            span.setStatus({ code: SpanStatusCode.ERROR })
            throw error
          } finally {
            span.end()
          }
        })
      return { ...ledger, post: (operation) => spanned(operation.type, () => ledger.post(operation)) }
    },
    stop: async () => {
      await Promise.race([provider.shutdown().catch(() => {}), sleep(FLUSH_MS, undefined, { ref: false })])
    },
  }
}

/** Exports the error status of a span without its message, which may contain values. The log has the message. */
class ScrubbingSpanProcessor extends BatchSpanProcessor {
  override onEnd(span: ReadableSpan): void {
    if (span.status.message !== undefined) Object.assign(span, { status: { code: span.status.code } })
    super.onEnd(span)
  }
}
