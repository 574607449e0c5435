import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startClerk } from './support/clerk-stand-in.ts'
import { start } from './support/start.ts'

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

t.test('every answer is sniffed by nobody, framed by nobody, and does not say what it was made with', async (t) => {
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

t.test('what is refused before any hook has them as well', async (t) => {
  const { app } = await start(t)
  t.match((await app.inject('/api/%')).headers, { 'x-content-type-options': 'nosniff', 'x-request-id': String })
  const url = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const socket = connect(Number(url.port), '127.0.0.1')
  await once(socket, 'connect')
  const answer = text(socket)
  socket.write('nonsense\r\n\r\n')
  t.match(await answer, /^HTTP\/1\.1 400 [\s\S]*x-content-type-options: nosniff/i)
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
