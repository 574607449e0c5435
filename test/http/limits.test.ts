import { mock } from 'node:test'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { bearer, logIn } from '../support/device.ts'
import { type App, startOwn, unique } from '../support/start.ts'

type Reply = LightMyRequestResponse

const MAX = 20
const LIMITED = { RATE_LIMIT_MAX: String(MAX) }

/** So many requests, one after another; their statuses with how often each came. */
async function times(count: number, send: () => Promise<Reply>): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {}
  for (let i = 0; i < count; i++) {
    const { statusCode } = await send()
    statuses[statusCode] = (statuses[statusCode] ?? 0) + 1
  }
  return statuses
}

/** Our answer to too many requests. */
function isLimited(t: Test, reply: Reply, limit = MAX, error = 'rate_limited') {
  t.match([reply.statusCode, reply.json()], [429, { error, message: /\.$/, request_id: reply.headers['x-request-id'] }])
  t.match(reply.headers['retry-after'], /^[1-9]\d*$/)
  t.match(reply.headers, {
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': '0',
    'ratelimit-reset': reply.headers['retry-after'],
  })
}

const from = (app: App, remoteAddress: string, headers: Record<string, string> = {}, url = '/api/openapi.json') =>
  app.inject({ url, remoteAddress, headers })

t.test(
  'an account asks so often a minute, from wherever and by whatever credential, and no other pays for it',
  async (t) => {
    const { app, person } = await startOwn(t, LIMITED)
    const [ada, bob] = [await person(), await person()]
    // Signing in has cost two: a token and a wallet.
    const first = await ada.get('/api/jobs')
    t.match(first.headers, { 'ratelimit-limit': String(MAX), 'ratelimit-remaining': String(MAX - 3) })
    t.match(first.headers['ratelimit-reset'], /^[1-9]\d?$/)
    await app.inject({ method: 'HEAD', url: '/api/jobs', headers: { authorization: ada.authorization } })
    const last = await app.inject({ url: '/api/wallet', headers: { cookie: ada.cookie }, remoteAddress: '192.0.2.1' })
    t.equal(last.headers['ratelimit-remaining'], String(MAX - 5), 'each counts once')
    t.strictSame(await times(MAX - 5, () => ada.get('/api/jobs')), { 200: MAX - 5 })

    isLimited(t, await ada.get('/api/jobs'))
    isLimited(t, await app.inject({ url: '/api/wallet', headers: { cookie: ada.cookie }, remoteAddress: '192.0.2.2' }))
    isLimited(t, await ada.reserve(5))
    isLimited(t, await ada.post('/api/jobs', 'not even JSON'))
    t.equal((await bob.get('/api/jobs')).statusCode, 200)
    t.strictSame(await bob.balance(), { credits: 0, held: 0 })
  },
)

t.test('a person and their token share one limit', async (t) => {
  const { app, person } = await startOwn(t, LIMITED)
  const ada = await person()
  const token = bearer(app, await logIn(app, ada))
  const { headers } = await token.get('/api/wallet')
  const after = await ada.get('/api/wallet')
  t.equal(Number(after.headers['ratelimit-remaining']), Number(headers['ratelimit-remaining']) - 1)
})

t.test('what a hook of the route refuses counts as well', async (t) => {
  const { app, person } = await startOwn(t, LIMITED)
  const [ada, bob] = [await person(), await person()]
  const token = bearer(app, await logIn(app, ada))
  const left = Number((await token.get('/api/wallet')).headers['ratelimit-remaining'])
  t.strictSame(await times(left + 2, () => token.get('/api/oauthToken/x')), { 403: left, 429: 2 })
  const remaining = Number((await bob.get('/api/wallet')).headers['ratelimit-remaining'])
  t.strictSame(await times(remaining + 1, () => bob.get('/api/admin/apps')), { 403: remaining, 429: 1 })
  const withHeader = () =>
    app.inject({
      method: 'POST',
      url: '/oauth/token',
      remoteAddress: '192.0.2.77',
      headers: { authorization: 'Basic eDp5', 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'grant_type=refresh_token',
    })
  t.strictSame(await times(MAX + 1, withHeader), { 401: MAX, 429: 1 })
})

t.test('requests without an account are limited by address: one of IPv4, a /64 of IPv6', async (t) => {
  const { app } = await startOwn(t, LIMITED)
  t.strictSame(await times(MAX + 2, () => from(app, '192.0.2.1')), { 200: MAX, 429: 2 })
  isLimited(t, await from(app, '::ffff:192.0.2.1'))
  t.equal((await from(app, '192.0.2.2')).statusCode, 200)
  let host = 0
  const neighbours = () => from(app, `2001:db8:1:2::${(++host).toString(16)}`)
  t.strictSame(await times(MAX + 1, neighbours), { 200: MAX, 429: 1 })
  t.equal((await from(app, '2001:db8:1:3::1')).statusCode, 200)

  const unauthorized = () => from(app, '192.0.2.3', {}, '/api/wallet')
  t.strictSame(await times(MAX + 1, unauthorized), { 401: MAX, 429: 1 }, 'who shows nothing at all is nobody')
})

t.test('the window ends', async (t) => {
  const { app } = await startOwn(t, LIMITED)
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  t.teardown(() => mock.timers.reset())
  await times(MAX, () => from(app, '192.0.2.1'))
  mock.timers.tick(59_000)
  const { statusCode, headers } = await from(app, '192.0.2.1')
  t.match([statusCode, headers], [429, { 'retry-after': '1', 'ratelimit-reset': '1' }])
  mock.timers.tick(1_001)
  t.equal((await from(app, '192.0.2.1')).statusCode, 200)
})

t.test('expired tokens shut nobody out', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await startOwn(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ...LIMITED })
  const ada = clerk.signIn()
  const now = Math.floor(Date.now() / 1000)
  const old = await clerk.token({ ...ada, iat: now - 200, nbf: now - 200, exp: now - 100 })
  const wallet = (token: string) => from(app, '192.0.2.1', { authorization: `Bearer ${token}` }, '/api/wallet')
  t.strictSame(await times(MAX + 5, () => wallet(old)), { 401: MAX, 429: 5 })
  t.equal((await wallet(await clerk.token(ada))).statusCode, 200)
})

t.test('settle keys: wrong ones are limited by address, the right one by its app', async (t) => {
  const { app, admin, person } = await startOwn(t, LIMITED)
  const slug = unique('keyed')
  const operator = await admin()
  const { settle_key } = (
    await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0, settle_key: 'rotate' })
  ).json().app
  const { id: account_id } = await person()
  const fail = (key: string, remoteAddress: string) => () =>
    app.inject({
      method: 'POST',
      url: '/api/jobs/fail',
      remoteAddress,
      headers: { 'x-app-key': key },
      payload: { job_id: crypto.randomUUID(), account_id },
    })
  const busy = fail(settle_key, '192.0.2.1')
  t.strictSame(await times(2 * MAX, busy), { 404: 2 * MAX }, 'a server asks for all of its people')
  t.match((await busy()).headers, { 'ratelimit-limit': String(100 * MAX) })
  const read = () => from(app, '192.0.2.1', { 'x-app-key': settle_key }, `/api/jobs?account_id=${account_id}`)
  t.strictSame(await times(2 * MAX, read), { 200: 2 * MAX }, 'and reads for them')

  const keys = ['junk', settle_key.replace(/.$/, (last: string) => (last === '0' ? '1' : '0'))]
  let next = 0
  const guess = () => fail(keys[next++ % 2] ?? '', '192.0.2.2')()
  t.strictSame(await times(MAX + 1, guess), { 403: MAX, 429: 1 })
  t.equal((await fail(settle_key, '192.0.2.2')()).statusCode, 404, 'the right one passes, also from there')
  isLimited(t, await guess())
})

t.test('signing in is stricter, by address, and says so on the page too', async (t) => {
  const { app } = await startOwn(t, LIMITED)
  const strict = MAX / 5
  const signin = (type: string, payload: string, url = '/signin') =>
    app.inject({ method: 'POST', url, payload, headers: { 'content-type': type }, remoteAddress: '192.0.2.1' })
  const json = () => signin('application/json', '{"email":"ada@example.com"}')
  t.strictSame(await times(strict, json), { 303: strict })
  isLimited(t, await json(), strict)
  isLimited(t, await signin('application/json', '{"token":"x"}', '/api/session'), strict)
  const page = await signin('application/x-www-form-urlencoded', 'email=ada@example.com')
  t.match(
    [page.statusCode, page.headers['retry-after'], page.body],
    [429, /^\d+$/, /Too many requests. Try again in \d+ seconds\./],
  )
  t.match(page.headers['content-type'], /^text\/html/)
  t.equal((await from(app, '192.0.2.1', {}, '/signin')).statusCode, 200, 'the page itself can be seen')
})

t.test('device logins are ten a minute, counted by all replicas together', async (t) => {
  const [one, two] = [await startOwn(t), await startOwn(t)]
  let next = 0
  const begin = () =>
    [one, two][next++ % 2]?.app.inject({
      method: 'POST',
      url: '/api/device/start',
      remoteAddress: '192.0.2.77',
    }) as Promise<Reply>
  t.strictSame(await times(10, begin), { 200: 10 })
  isLimited(t, await begin(), 10, 'too_many_attempts')
  isLimited(t, await begin(), 10, 'too_many_attempts')
})

t.test('health and files are not limited', async (t) => {
  const { app } = await startOwn(t, { RATE_LIMIT_MAX: '1' })
  for (const url of ['/healthz', '/readyz', '/assets/style.css', '/api/docs/static/index.css']) {
    t.strictSame(await times(3, () => from(app, '192.0.2.1', {}, url)), { 200: 3 }, url)
  }
  const webhook = () => app.inject({ method: 'POST', url: '/api/webhooks/clerk', payload: {} })
  t.strictSame(await times(3, webhook), { 404: 3 })
})

t.test(
  'with TRUST_PROXY the address is the one that our own proxy saw, and a forged one before it counts for nothing',
  async (t) => {
    const env = { ...LIMITED, LOCAL_IDENTITY: 'expose', TRUST_PROXY: '10.0.0.0/8,2001:db8:ffff::1' }
    const { app } = await startOwn(t, env)
    for (const proxy of ['10.1.2.3', '2001:db8:ffff::1']) {
      const client = proxy.startsWith('10') ? '198.51.100.1' : '198.51.100.2'
      let forged = 0
      const ask = () => from(app, proxy, { 'x-forwarded-for': `203.0.113.${++forged}, ${client}, 10.9.9.9` })
      t.strictSame(await times(MAX + 1, ask), { 200: MAX, 429: 1 })
      t.equal((await from(app, proxy, { 'x-forwarded-for': '198.51.100.3' })).statusCode, 200)
    }
    let forged = 0
    const stranger = () => from(app, '192.0.2.1', { 'x-forwarded-for': `203.0.113.${++forged}` })
    t.strictSame(await times(MAX + 1, stranger), { 200: MAX, 429: 1 }, 'who is no proxy of ours forwards nobody')
  },
)

t.test('a forwarded address counts as itself, however the proxy writes it', async (t) => {
  const { app } = await startOwn(t, { ...LIMITED, LOCAL_IDENTITY: 'expose', TRUST_PROXY: '10.0.0.0/8' })
  let n = 0
  const port = () => 1024 + ++n
  const written: Record<string, () => string> = {
    'a port each time': () => `198.51.100.1:${port()}`,
    'a port, mapped into IPv6': () => `[::ffff:198.51.100.2]:${port()}`,
    'brackets and a port': () => `[2001:db8:1:1::1]:${port()}`,
    brackets: () => `[2001:db8:1:2::${(++n).toString(16)}]`,
    'a zone': () => `fe80::1%eth${++n}`,
    'a proxy of ours with a port': () => `203.0.113.${++n % 250}, 198.51.100.5, 10.9.9.9:${port()}`,
  }
  for (const [how, write] of Object.entries(written)) {
    const ask = () => from(app, '10.1.2.3', { 'x-forwarded-for': write() })
    t.strictSame(await times(MAX + 1, ask), { 200: MAX, 429: 1 }, how)
  }
  // What is no address cannot be counted by: its proxy answers for it.
  const words = ['unknown', '_hidden', '198.51.100', '0x7f.1', '', 'x:y:z', '[::1', '198.51.100.1:port']
  const ask = () => from(app, '10.4.4.4', { 'x-forwarded-for': `203.0.113.${++n % 250}, ${words[n % words.length]}` })
  t.strictSame(await times(MAX + 1, ask), { 200: MAX, 429: 1 })
  isLimited(t, await from(app, '10.4.4.4'))
})

t.test('without TRUST_PROXY forwarded headers change nothing, and are mentioned once', async (t) => {
  const lines: string[] = []
  const { app } = await startOwn(t, { ...LIMITED, LOCAL_IDENTITY: 'expose' }, (line) => lines.push(line))
  let forged = 0
  const ask = () =>
    from(app, '192.0.2.1', {
      'x-forwarded-for': `203.0.113.${++forged}`,
      forwarded: `for=203.0.113.${forged}`,
      'x-forwarded-host': 'elsewhere.example',
      'x-forwarded-proto': 'https',
    })
  t.strictSame(await times(MAX + 1, ask), { 200: MAX, 429: 1 })
  t.equal(lines.filter((line) => line.includes('TRUST_PROXY')).length, 1)
})
