import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { mock } from 'node:test'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { start } from '../support/start.ts'

const PATHS = [
  '/healthz',
  '/api/wallet',
  '/api/openapi.json',
  '/api/docs',
  '/api/docs/static/index.css',
  '/signin',
  '/assets/style.css',
  '/nowhere',
]

t.test('every answer forbids sniffing and framing, and does not name the software', async (t) => {
  const { app } = await start(t)
  for (const url of PATHS) {
    const { headers } = await app.inject(url)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'x-request-id': /^[0-9a-f-]{36}$/ }, url)
    t.match(headers['content-security-policy'], /frame-ancestors '(none|self)'/, url)
    t.match(headers['content-security-policy'], /default-src '(none|self)'/, url)
    t.notOk('x-powered-by' in headers || 'server' in headers, url)
    t.notOk('strict-transport-security' in headers, `${url}: there is no https`)
  }
})

const FRIEND = 'https://friend.example.com'
const COMMON = {
  'access-control-allow-origin': FRIEND,
  'access-control-allow-credentials': 'true',
  'access-control-expose-headers': /X-Request-Id/,
  vary: /Origin/,
  'x-content-type-options': 'nosniff',
  'content-security-policy': /default-src 'none'/,
  'x-request-id': /^[0-9a-f-]{36}$/,
}

t.test('an early refusal carries CORS, the safety headers and a request id', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: FRIEND, RATE_LIMIT_MAX: '3' })
  const ask = (url: string, headers: object = {}) => app.inject({ url, headers: { origin: FRIEND, ...headers } })
  const refused = async (url: string, status: number, headers?: object) => {
    const answer = await ask(url, headers)
    t.equal(answer.statusCode, status, url)
    t.match(answer.headers, COMMON, url)
    t.equal(answer.json().request_id, answer.headers['x-request-id'])
  }
  await refused('/api/%', 400)
  await refused('/nowhere', 404)
  await refused('/api/wallet', 401)
  await refused('/healthz', 403, { host: 'elsewhere.example.com' })
  while ((await ask('/api/wallet')).statusCode === 401);
  await refused('/api/wallet', 429)

  const now = mock.method(performance, 'now')
  t.teardown(() => now.mock.restore())
  app.load.watch('stuck', { waiting: () => 1, served: () => 0 })
  for (const seconds of [0, 1, 3]) {
    now.mock.mockImplementationOnce(() => seconds * 1_000)
    app.load.look()
  }
  await refused('/api/wallet', 503)
})

t.test('an answer to bytes that are no request carries CORS, safety headers and a request id', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: FRIEND })
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const answerTo = async (bytes: string) => {
    const socket = connect(Number(url.port), '127.0.0.1')
    await once(socket, 'connect')
    const answer = text(socket)
    socket.write(bytes)
    return answer
  }
  const nonsense = await answerTo('nonsense\r\n\r\n')
  t.match(nonsense, /^HTTP\/1\.1 400 [\s\S]*x-content-type-options: nosniff/i)
  t.notMatch(nonsense, /access-control/)
  const from = (origin: string) => `GET / HTTP/1.1\r\nHost: a\r\nOrigin: ${origin}\r\nno colon\r\n\r\n`
  const friendly = await answerTo(from(FRIEND))
  t.match(friendly, /^HTTP\/1\.1 400 /)
  for (const name of Object.keys(COMMON)) t.match(friendly, new RegExp(`^${name}: `, 'm'), name)
  t.notMatch(await answerTo(from('https://foe.example.com')), /access-control/)
})

t.test('HSTS is said where people come by https, and only there', async (t) => {
  const clerk = await startClerk(t, 'https://account.example.com')
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  for (const url of PATHS) {
    const { headers } = await app.inject(url)
    t.match(headers['strict-transport-security'], /^max-age=\d{8}/, url)
  }
  t.match((await app.inject('/api/docs')).headers['content-security-policy'], /upgrade-insecure-requests/)
})
