import type { ServerResponse } from 'node:http'
import { SignJWT } from 'jose'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { type App, start } from '../support/start.ts'
import { me, startX } from '../support/x-stand-in.ts'

// One of these tests waits 10 s.
t.jobs = 2

const foreign = 'VGNibzFWSWREZm01bjN1N3dicWlNUG1oa2xRRVNNdmVHelJGY2hPWGxNd2dx'
const ask = (app: App, token = foreign, query = '') =>
  app.inject({ url: `/api/xMe${query}`, headers: { authorization: `Bearer ${token}` } })

t.test(
  "X's answer comes back as it is, and nothing of the request goes to X but the token and three parameters",
  async (t) => {
    const x = await startX(t)
    const { app } = await start(t, { X_API_URL: x.url })
    const reply = await app.inject({
      url: '/api/xMe?user.fields=id,username&expansions=pinned_tweet_id&tweet.fields=text&admin=1&user_fields=x',
      headers: {
        authorization: `bearer  ${foreign}`,
        cookie: 'focus_session_3000=secret',
        'x-secret': 'secret',
        'user-agent': 'somebody',
      },
    })
    t.equal(reply.statusCode, 200)
    t.match(reply.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
    t.strictSame(reply.json(), me)
    t.equal(x.requests.length, 1)
    const [{ method, url, headers } = {}] = x.requests
    t.equal(method, 'GET')
    t.equal(url, '/2/users/me?user.fields=id%2Cusername&expansions=pinned_tweet_id&tweet.fields=text')
    t.equal(headers?.authorization, `Bearer ${foreign}`)
    t.strictSame(Object.keys(headers ?? {}).sort(), ['accept', 'authorization', 'connection', 'host'])
  },
)

t.test('a parameter that is given twice or is too long is refused, and nothing is sent', async (t) => {
  const x = await startX(t)
  const { app } = await start(t, { X_API_URL: x.url })
  for (const query of ['?user.fields=a&user.fields=b', `?expansions=${'a'.repeat(2_049)}`]) {
    t.match((await ask(app, foreign, query)).json(), { error: 'invalid_request', field: /user.fields|expansions/ })
  }
  t.equal(x.requests.length, 0)
})

t.test('our own tokens never leave', async (t) => {
  const x = await startX(t)
  const { app, config, person } = await start(t, { X_API_URL: x.url })
  const { token, cookie } = await person()
  const elsewhere = new TextEncoder().encode('not our key, but our name: expired, forged or of another key')
  const signed = (claims: object) =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256' }).setIssuer(config.publicUrl).sign(elsewhere)
  const refused = {
    'no header': {},
    'a cookie alone': { cookie },
    'another scheme': { authorization: 'Basic dXNlcjpwYXNz' },
    'no token': { authorization: 'Bearer ' },
    'two tokens': { authorization: `Bearer ${foreign} ${token}` },
    'a session token': { authorization: `Bearer ${token}` },
    'an expired one': { authorization: `Bearer ${await signed({ sub: 'user_1', exp: 1_700_000_000 })}` },
    'one without a signature': { authorization: `Bearer ${token.split('.').slice(0, 2).join('.')}` },
    'a personal access token': { authorization: `Bearer focus_pat_${'a'.repeat(36)}` },
    'a wrong personal access token': { authorization: 'bearer focus_pat_' },
    'a settle key': { authorization: `Bearer focus_app_clips_${'0'.repeat(64)}` },
    'what we may issue one day': { authorization: 'Bearer FOCUS_new_1' },
    'a webhook secret': { authorization: 'Bearer whsec_c2VjcmV0' },
  }
  for (const [name, headers] of Object.entries(refused)) {
    const reply = await app.inject({ url: '/api/xMe', headers })
    t.equal(reply.statusCode, 400, name)
    t.equal(reply.json().error, 'x_token_required', name)
  }
  t.equal(x.requests.length, 0)
})

t.test("Clerk's tokens never leave either, and anybody else's do", async (t) => {
  const [x, clerk] = [await startX(t), await startClerk(t)]
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, X_API_URL: x.url })
  const somebody = clerk.signIn()
  const refused = {
    'a session token': await clerk.token(somebody),
    'an expired one': await clerk.token({ ...somebody, iat: 1_700_000_000, exp: 1_700_000_060 }),
    'one of a template': await clerk.token({ sub: somebody.sub, aud: 'somewhere', azp: undefined }),
    'the secret key': clerk.secretKey,
    'an API key': 'ak_123',
    'a machine token': 'mt_123',
    'an OAuth token': 'oat_123',
  }
  for (const [name, token] of Object.entries(refused)) {
    t.equal((await ask(app, token)).json().error, 'x_token_required', name)
  }
  t.equal(x.requests.length, 0)

  const other = await startClerk(t)
  for (const token of [foreign, 'a.b.c', '..', 'e30.bm90IGpzb24.e30', await other.token(other.signIn())]) {
    t.equal((await ask(app, token)).statusCode, 200, token)
  }
  t.equal(x.requests.length, 5)
})

const html = { 'content-type': 'text/html' }
const json = { 'content-type': 'application/json' }
const secretOfX = 'a detail that only X may know'

t.test('everything of X that is not a JSON success is 502 with its status, and none of its words', async (t) => {
  const [x, target] = [await startX(t), await startX(t)]
  const { app } = await start(t, { X_API_URL: x.url })
  const big = JSON.stringify({ data: 'x'.repeat(1_048_577) })
  const table: [upstream: string, answer: (response: ServerResponse) => void, upstream_status: number | null][] = [
    ['401', (response) => response.writeHead(401, json).end(JSON.stringify({ detail: secretOfX })), 401],
    ['403', (response) => response.writeHead(403, json).end(JSON.stringify({ detail: secretOfX })), 403],
    ['404', (response) => response.writeHead(404, json).end(JSON.stringify({ detail: secretOfX })), 404],
    ['500 without a body', (response) => response.writeHead(500).end(), 500],
    ['503 with a page', (response) => response.writeHead(503, html).end(`<h1>${secretOfX}</h1>`), 503],
    ['302 elsewhere', (response) => response.writeHead(302, { location: `${target.url}/2/users/me` }).end(), 302],
    ['200 with a page', (response) => response.writeHead(200, html).end(`<h1>${secretOfX}</h1>`), 200],
    ['200 and half of it', (response) => response.writeHead(200, json).end(`{"data": "${secretOfX}`), 200],
    ['200 without a body', (response) => response.writeHead(200, json).end(), 200],
    ['204', (response) => response.writeHead(204).end(), 204],
    ['more than 1 MiB', (response) => response.writeHead(200, json).end(big), 200],
    ['a cut connection', (response) => response.destroy(), null],
    [
      'a connection cut in the body',
      (response) =>
        response.writeHead(200, { ...json, 'content-length': 100 }).write('{"a":', () => response.destroy()),
      200,
    ],
  ]
  for (const [upstream, answer, upstream_status] of table) {
    x.answers((_request, response) => answer(response))
    const reply = await ask(app)
    t.equal(reply.statusCode, 502, upstream)
    t.match(reply.json(), { error: 'upstream_error', upstream_status }, upstream)
    t.notMatch(reply.body, new RegExp(secretOfX), upstream)
  }
  t.equal(target.requests.length, 0, 'no redirect was followed')
  x.answers()
  t.equal((await ask(app)).statusCode, 200, 'and then it works again')
  x.stop()
  t.match((await ask(app)).json(), { error: 'upstream_error', upstream_status: null }, 'nobody listens')
})

t.test('an answer of exactly 1 MiB is still passed on', async (t) => {
  const x = await startX(t)
  const { app } = await start(t, { X_API_URL: x.url })
  x.answers((_request, response) => response.writeHead(200, json).end(`{"data":"${'x'.repeat(1_048_565)}"}`))
  const reply = await ask(app)
  t.equal(reply.statusCode, 200)
  t.equal(reply.rawPayload.length, 1_048_576)
})

t.test('when X asks to slow down, so do we, for as long', async (t) => {
  const x = await startX(t)
  const { app } = await start(t, { X_API_URL: x.url })
  const inAMinute = Math.floor(Date.now() / 1000) + 90
  const table: [headers: Record<string, string>, from: number, to: number][] = [
    [{ 'retry-after': '7' }, 7, 7],
    [{ 'x-rate-limit-reset': String(inAMinute) }, 80, 90],
    [{ 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, 60, 60],
    [{ 'x-rate-limit-reset': '12' }, 60, 60],
    [{}, 60, 60],
    [{ 'retry-after': '1e9' }, 86_400, 86_400],
  ]
  for (const [headers, from, to] of table) {
    x.answers((_request, response) => response.writeHead(429, headers).end(secretOfX))
    const reply = await ask(app)
    t.equal(reply.statusCode, 429)
    t.equal(reply.json().error, 'rate_limited')
    const seconds = Number(reply.headers['retry-after'])
    t.ok(seconds >= from && seconds <= to, `${JSON.stringify(headers)} → ${seconds}`)
    t.notMatch(reply.body, new RegExp(secretOfX))
  }
})

t.test('X has 10 s in all, however it passes them', async (t) => {
  const x = await startX(t)
  const { app } = await start(t, { X_API_URL: x.url })
  const drip = (response: ServerResponse) => {
    response.writeHead(200, json)
    const timer = setInterval(() => response.write(' '), 500)
    response.on('close', () => clearInterval(timer))
  }
  const table: [upstream: string, answer: (response: ServerResponse) => void, upstream_status: number | null][] = [
    ['silence', () => {}, null],
    ['headers, then silence', (response) => response.writeHead(200, json).write('{'), 200],
    ['a byte now and then', drip, 200],
  ]
  x.answers((request, response) => table[Number(request.url?.at(-1))]?.[1](response))
  await Promise.all(
    table.map(async ([upstream, , upstream_status], i) => {
      const began = performance.now()
      const reply = await ask(app, foreign, `?expansions=${i}`)
      const seconds = (performance.now() - began) / 1000
      t.equal(reply.statusCode, 502, upstream)
      t.match(reply.json(), { error: 'upstream_error', upstream_status }, upstream)
      t.ok(seconds > 9.5 && seconds < 12, `${upstream}: ${seconds.toFixed(1)} s`)
    }),
  )
})
