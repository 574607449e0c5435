import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { bearer, logIn } from '../support/device.ts'
import { start, startOwn } from '../support/start.ts'

const OURS = 'http://localhost:3000'
const FRIEND = 'https://friend.example.com'
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const JSON_TYPE = { 'content-type': 'application/json' }

type Operations = Record<string, Record<string, { security?: object[]; requestBody?: object }>>

/** Bytes on a connection of their own, and everything that comes back. */
async function speak(port: string, bytes: string): Promise<string> {
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  const answer = text(socket)
  socket.write(bytes)
  return answer
}

const METADATA = `resource_metadata="${OURS}/.well-known/oauth-protected-resource"`

t.test('every 401 says which scheme to use, and what was wrong with the token', async (t) => {
  const { app, person } = await start(t)
  const { paths } = (await app.inject('/api/openapi.json')).json() as { paths: Operations }
  let asked = 0
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { security }] of Object.entries(operations)) {
      if (security && !security.some((way) => 'bearerAuth' in way)) continue
      const ask = (headers: Record<string, string>) =>
        app.inject({ method: method as 'GET', url: path.replace(/\{\w+\}/g, 'x'), headers })
      const nothing = await ask({})
      if (nothing.statusCode !== 401) continue
      asked++
      t.equal(nothing.headers['www-authenticate'], `Bearer realm="${OURS}", ${METADATA}`, `${method} ${path}`)
      const wrong = await ask({ authorization: 'Bearer junk' })
      t.equal(
        wrong.headers['www-authenticate'],
        `Bearer realm="${OURS}", error="invalid_token", error_description="${wrong.json().message}", ${METADATA}`,
      )
    }
  }
  t.ok(asked > 20, `${asked} operations`)

  const device = bearer(app, await logIn(app, await person()))
  const refused = await device.post('/api/device/complete', { user_code: 'BCDF-0000' })
  t.match([refused.statusCode, refused.headers['www-authenticate']], [401, /error="invalid_token"/])
  const scope = await device.get('/api/xToken')
  t.match(
    [scope.statusCode, scope.headers['www-authenticate']],
    [403, /^Bearer realm="[^"]+", error="insufficient_scope", .*scope="oauth", resource_metadata=/],
  )
})

t.test('a known path answers other methods with 405, and says which it takes', async (t) => {
  const { app } = await start(t)
  const { paths } = (await app.inject('/api/openapi.json')).json() as { paths: Operations }
  let asked = 0
  for (const [path, operations] of Object.entries(paths)) {
    // Pages have routes for forms beside those in the document.
    if (!path.startsWith('/api/')) continue
    const takes = Object.keys(operations).map((method) => method.toUpperCase())
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      // Such as /api/jobs/complete, which is also GET /api/jobs/{id}.
      const asId = Object.entries(paths).some(([other, { [method.toLowerCase()]: operation }]) => {
        return operation && new RegExp(`^${other.replace(/\{\w+\}/g, '[^/]+')}$`).test(path)
      })
      if (asId) continue
      const answer = await app.inject({ method, url: path.replace(/\{\w+\}/g, crypto.randomUUID()) })
      const allow = String(answer.headers.allow).split(', ')
      if (answer.statusCode === 405 && takes.every((method) => allow.includes(method))) asked++
      else t.fail(`${method} ${path}: ${answer.statusCode}, ${allow}`)
    }
  }
  t.ok(asked > 100, `${asked} wrong methods`)
  for (const [method, url, allow] of [
    ['POST', '/api/wallet?app=video', 'GET, HEAD'],
    ['PUT', '/api/jobs', 'GET, HEAD, POST'],
    ['POST', '/api/tokens/x', 'DELETE, PATCH'],
  ] as const) {
    const { headers, body } = await app.inject({ method, url })
    t.equal(headers.allow, allow, url)
    t.match(JSON.parse(body), { error: 'method_not_allowed', message: /\.$/ })
    const options = await app.inject({ method: 'OPTIONS', url })
    t.match([options.statusCode, options.headers.allow, options.body], [204, allow, ''])
  }
  for (const url of ['/api/nowhere', '/api/jobs/a/b/c', '/api/wallet/', '/API/wallet', '/*', '/assets/none.css']) {
    const { statusCode, headers } = await app.inject({ method: 'POST', url })
    t.match([statusCode, headers.allow], [404, undefined], url)
  }
  const page = await app.inject({ url: '/account/revoke', headers: BROWSER })
  t.match([page.statusCode, page.headers.allow, page.headers['content-type']], [405, 'POST', /^text\/html/])
})

t.test('a request without a body works with a JSON content type too', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  const token = await logIn(app, ada)
  const send = (method: 'POST' | 'DELETE', url: string, authorization = ada.authorization) =>
    app.inject({ method, url, headers: { authorization, ...JSON_TYPE } })
  t.equal((await send('DELETE', '/api/tokens/current', `Bearer ${token}`)).statusCode, 204)
  const { job_id } = (await ada.reserve(0)).json()
  t.equal((await send('POST', `/api/jobs/${job_id}/heartbeat`)).statusCode, 200)
  const headers = { cookie: ada.cookie, origin: OURS, ...JSON_TYPE }
  t.equal((await app.inject({ method: 'DELETE', url: '/api/session', headers })).statusCode, 204)

  // Where a body is needed, it is missed in the same words, with and without a content type.
  for (const headers of [JSON_TYPE, {}] as Record<string, string>[]) {
    const answer = await app.inject({
      method: 'POST',
      url: '/api/jobs/complete',
      headers: { authorization: ada.authorization, ...headers },
    })
    t.match([answer.statusCode, answer.json()], [400, { error: 'invalid_json', message: /empty/ }])
  }
})

t.test('an allowed origin reads every answer of the router', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: FRIEND })
  for (const [status, request] of [
    [404, { url: '/nowhere' }],
    [404, { url: '/nowhere', headers: BROWSER }],
    [405, { method: 'POST', url: '/api/wallet' }],
    [308, { url: '/account/' }],
    [415, { method: 'POST', url: '/api/device/start', headers: { 'content-type': 'text/plain' }, payload: 'x' }],
    [413, { method: 'POST', url: '/api/device/start', headers: JSON_TYPE, payload: `"${'x'.repeat(70_000)}"` }],
    [400, { method: 'POST', url: '/api/device/start', headers: JSON_TYPE, payload: '{' }],
  ] as [number, InjectOptions][]) {
    const answer = await app.inject({ ...request, headers: { ...request.headers, origin: FRIEND } })
    t.equal(answer.statusCode, status)
    t.match(answer.headers, { 'access-control-allow-origin': FRIEND, 'access-control-allow-credentials': 'true' })
    t.match(answer.headers['access-control-expose-headers'], /WWW-Authenticate/)
  }
})

t.test('a preflight into a private network is answered to allowed origins alone', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: FRIEND })
  const ask = (origin: string, asked?: string) =>
    app.inject({
      method: 'OPTIONS',
      url: '/api/wallet',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        ...(asked && { 'access-control-request-private-network': asked }),
      },
    })
  const friendly = await ask(FRIEND, 'true')
  t.match([friendly.statusCode, friendly.headers['access-control-allow-private-network']], [204, 'true'])
  t.notOk('access-control-allow-private-network' in (await ask(FRIEND)).headers)
  t.notOk('access-control-allow-private-network' in (await ask('https://foe.example.com', 'true')).headers)
})

t.test('two Host headers are refused: proxies and caches may read the other one', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: FRIEND })
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const ask = (...hosts: string[]) =>
    speak(
      port,
      `GET /healthz HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}Origin: ${FRIEND}\r\nConnection: close\r\n\r\n`,
    )
  t.match(await ask('localhost'), /^HTTP\/1\.1 200 /)
  for (const hosts of [
    ['localhost', 'elsewhere.example.com'],
    ['localhost', 'localhost'],
  ]) {
    const answer = await ask(...hosts)
    t.match(answer, /^HTTP\/1\.1 400 /)
    t.match(answer, /"error":"bad_request"/)
    t.match(answer.toLowerCase(), `access-control-allow-origin: ${FRIEND}`)
  }
})

t.test('a page is found with a slash behind it', async (t) => {
  const { app } = await start(t)
  for (const [url, location] of [
    ['/account/', '/account'],
    ['/device/?user_code=BCDF-1234', '/device?user_code=BCDF-1234'],
    ['/signin/?redirect_to=https%3A%2F%2Fa.example.com%2F', '/signin?redirect_to=https%3A%2F%2Fa.example.com%2F'],
    ['/account/entries//', '/account/entries'],
  ] as const) {
    const answer = await app.inject({ url, headers: BROWSER })
    t.match([answer.statusCode, answer.headers.location], [308, location], url)
  }
  t.match((await app.inject({ method: 'POST', url: '/signin/' })).headers.location, '/signin')
  for (const url of ['//elsewhere.example.com/', '//account/', '/nowhere/', '/api/wallet/', '/account/x/']) {
    t.equal((await app.inject({ url, headers: BROWSER })).statusCode, 404, url)
  }
})

t.test('a browser that asks for a page that is not there gets a page, a program JSON', async (t) => {
  const { app } = await start(t)
  const page = await app.inject({ url: '/accuont?x=<script>', headers: BROWSER })
  t.match([page.statusCode, page.headers['content-type']], [404, /^text\/html/])
  t.match(page.body, /<h1>Page not found<\/h1>/)
  t.match(page.body, /\/accuont/)
  t.notMatch(page.body, /<script>/)
  t.match(page.headers['content-security-policy'], /default-src 'none'/)
  for (const headers of [{}, { accept: '*/*' }, { accept: 'application/json' }]) {
    const { statusCode, headers: got } = await app.inject({ url: '/accuont', headers })
    t.match([statusCode, got['content-type']], [404, /^application\/json/])
  }
  const api = await app.inject({ url: '/api/wallets', headers: BROWSER })
  t.match([api.statusCode, api.headers['content-type']], [404, /^application\/json/], 'the API answers JSON')
})

t.test('an idle connection outlives the minute of a load balancer, and the time can be set', async (t) => {
  for (const [env, seconds] of [
    [{}, 75],
    [{ KEEP_ALIVE_SECONDS: '5' }, 5],
  ] as const) {
    const { app } = await startOwn(t, env)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const { headers } = await fetch(`${url}/healthz`)
    t.equal(headers.get('keep-alive'), `timeout=${seconds}`)
  }
})
