import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { LISTENING, launch, signIn } from '../support/process.ts'
import { databaseUrl } from '../support/start.ts'
import { until } from '../support/until.ts'

// Several starts of the whole service, on a slow machine.
t.setTimeout(240_000)

interface Span {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  kind: number
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[]
  status: { code?: number; message?: string }
  events: unknown[]
}

t.test('with an OTLP endpoint each request is a trace, down to its statements, and no secret is in it', async (t) => {
  const spans: Span[] = []
  const bodies: string[] = []
  const collector = createServer(async (request, response) => {
    const body = await text(request)
    bodies.push(`${request.url}\n${body}`)
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      t.match(resource.attributes, [{ key: 'service.name', value: { stringValue: 'focus-api' } }])
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  t.teardown(() => collector.close())
  const { port } = collector.address() as AddressInfo

  const service = await launch(t, {
    DATABASE_URL: await databaseUrl(),
    PUBLIC_URL: 'http://localhost:3000',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  })
  await service.said(LISTENING)
  const { authorization, cookie } = await signIn(service.url)
  const headers = { authorization, 'content-type': 'application/json' }
  await fetch(`${service.url}/api/jobs`, {
    method: 'POST',
    headers: { ...headers, traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    body: JSON.stringify({ app: 'video', action: 'render', cost_estimate: 0 }),
  })
  await fetch(`${service.url}/api/device/poll?device_code=device-code-hidden`)
  await fetch(`${service.url}/api/wallet?app=video&token=token-hidden`, {
    headers: { authorization: 'Bearer bearer-hidden' },
  })
  await fetch(`${service.url}/api/jobs`, { method: 'POST', headers, body: '{"body": "body-hidden' })
  await fetch(`${service.url}/readyz`)
  await until(() => spans.filter(isServer).length >= 6)
  service.kill('SIGTERM')
  t.match(await service.closed, { code: 0, signal: null })

  const named = (name: string) => spans.filter((span) => span.name === name)
  const [created] = named('POST /api/jobs')
  t.match(created, { traceId: '0af7651916cd43dd8448eb211c80319c', parentSpanId: 'b7ad6b7169203331', kind: 2 })
  const attributes = Object.fromEntries(
    created?.attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]) ?? [],
  )
  t.match(attributes, {
    'http.request.method': 'POST',
    'http.route': '/api/jobs',
    'http.response.status_code': 200,
    'url.path': '/api/jobs',
    'focus.request_id': /^[0-9a-f-]{36}$/,
  })
  const trace = spans.filter(({ traceId }) => traceId === created?.traceId)
  t.ok(
    trace.some(({ name, kind }) => name === 'reserve' && kind === 3),
    `statements: ${trace.map(({ name }) => name)}`,
  )
  t.equal(named('GET /readyz').length, 0, 'health checks are no news')

  const sent = bodies.join('\n')
  t.match(sent, /"url.path","value":\{"stringValue":"\/api\/device\/poll"/)
  for (const secret of [
    'hidden',
    authorization.slice(7),
    authorization.split('.')[2] ?? '',
    cookie.split('=')[1] ?? '',
    'ada@example.com',
  ]) {
    t.notOk(sent.includes(secret), 'a secret')
  }
  t.strictSame(
    spans.filter(({ status, events }) => status.message || events.length),
    [],
    'no message of an error either',
  )
})

const isServer = ({ kind }: Span) => kind === 2

t.test('without one nothing of OpenTelemetry is loaded, nor of Prometheus without its port', async (t) => {
  const telltale = `import { registerHooks } from 'node:module'
registerHooks({ load(url, context, next) {
  if (/opentelemetry|fastify.otel|prom-client/.test(url)) process._rawDebug('LOADED ' + url)
  return next(url, context)
} })`
  const service = await launch(t, { DATABASE_URL: await databaseUrl() }, [
    '--import',
    `data:text/javascript,${encodeURIComponent(telltale)}`,
  ])
  await service.said(LISTENING)
  t.notMatch(service.output(), /LOADED/)
})

t.test('a collector that is away costs nothing but its traces', async (t) => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:9'
  const service = await launch(t, { DATABASE_URL: await databaseUrl(), OTEL_EXPORTER_OTLP_ENDPOINT })
  await service.said(LISTENING)
  t.equal((await fetch(`${service.url}/readyz`)).status, 200)
  t.equal((await fetch(`${service.url}/signin`)).status, 200)
  const began = performance.now()
  service.kill('SIGTERM')
  t.match(await service.closed, { code: 0, signal: null })
  t.ok(performance.now() - began < 8_000)
})
