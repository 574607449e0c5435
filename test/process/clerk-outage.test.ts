import t from 'tap'
import { errorBody, type Fault } from '../support/clerk-stand-in.ts'
import { startLogin } from '../support/device.ts'
import { until } from '../support/until.ts'
import { withClerk } from '../support/with-clerk.ts'

// These tests mostly wait for time-outs. Each has a service and a Clerk of its own.
t.jobs = 6

const ALL = /./
const OAUTH = /oauth_access_tokens/

const gatewayPage = { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' }
const refused = (status: number, headers = {}): Fault => ({ status, headers, body: errorBody('some_code', 'theirs') })

interface Row {
  upstream: string
  fault: Fault
  times?: number
  answer: number
  code: string | undefined
  calls: number
  atLeast?: number
  atMost: number
}

const unavailable = { answer: 503, code: 'identity_provider_unavailable' }
const table: Row[] = [
  { upstream: 'nothing at all', fault: { instead: 'silent' }, ...unavailable, calls: 1, atLeast: 4_900, atMost: 6_000 },
  {
    upstream: 'an answer after 7 s',
    fault: { delayMs: 7_000 },
    ...unavailable,
    calls: 1,
    atLeast: 4_900,
    atMost: 6_000,
  },
  { upstream: 'a cut connection', fault: { instead: 'cut' }, ...unavailable, calls: 2, atMost: 2_000 },
  {
    upstream: 'a cut connection once',
    fault: { instead: 'cut' },
    times: 1,
    answer: 200,
    code: undefined,
    calls: 2,
    atMost: 2_000,
  },
  { upstream: '500', fault: refused(500), ...unavailable, calls: 2, atMost: 2_000 },
  { upstream: '500 once', fault: refused(500), times: 1, answer: 200, code: undefined, calls: 2, atMost: 2_000 },
  { upstream: '503 with a page', fault: { ...gatewayPage, status: 503 }, ...unavailable, calls: 2, atMost: 2_000 },
  { upstream: '200 with a page', fault: gatewayPage, ...unavailable, calls: 2, atMost: 2_000 },
  {
    upstream: '200 and half of it',
    fault: { status: 200, body: '{"data": [' },
    ...unavailable,
    calls: 2,
    atMost: 2_000,
  },
  { upstream: '401', fault: refused(401), answer: 500, code: 'internal_error', calls: 1, atMost: 2_000 },
  { upstream: '403', fault: refused(403), answer: 500, code: 'internal_error', calls: 1, atMost: 2_000 },
  {
    upstream: '429',
    fault: refused(429, { 'retry-after': '7' }),
    answer: 429,
    code: 'rate_limited',
    calls: 1,
    atMost: 2_000,
  },
]

t.test('whatever Clerk does, the answer is right and there within 5 s', async (t) => {
  const lines: string[] = []
  const { clerk, timed } = await withClerk(t, { log: (line) => lines.push(line) })
  for (const { upstream, fault, times, answer, code, calls, atLeast = 0, atMost } of table) {
    clerk.heal()
    lines.length = 0
    t.equal((await timed('/api/oauthToken/x')).reply.statusCode, 200, 'it works before')
    const before = clerk.calls.length
    clerk.fail(OAUTH, fault, times)
    const { reply, ms } = await timed('/api/oauthToken/x')
    const made = clerk.calls.length - before
    t.comment(`Clerk: ${upstream} → ${reply.statusCode} ${code ?? ''} after ${ms.toFixed(0)} ms, ${made} calls`)
    t.equal(reply.statusCode, answer, upstream)
    t.equal(reply.json().error, code, upstream)
    t.ok(ms >= atLeast && ms < atMost, `${upstream}: ${ms.toFixed(0)} ms`)
    t.equal(made, calls, `${upstream}: calls`)
    t.notMatch(reply.body, /theirs|some_code|gateway/, 'nothing of theirs')
    t.equal(/misconfigured/.test(lines.join('')), answer === 500, `${upstream}: whether the log says misconfigured`)
    if (answer === 429) t.equal(reply.headers['retry-after'], '7')
    if (answer === 503) t.match(reply.headers['retry-after'], /^[1-9]$/)
    if (answer === 500) t.strictSame(Object.keys(reply.json()), ['error', 'message', 'request_id'])
  }
})

t.test('several calls for one answer share its 5 s', async (t) => {
  const slow = { delayMs: 2_700 }
  const known = await withClerk(t)
  const unknown = await withClerk(t, { withKey: false })
  const one = '/api/oauthToken/x'
  for (const [name, url, { app, clerk, somebody, timed }, where, fault] of [
    ['keys, then a token', one, unknown, ALL, slow],
    ['x, then twitter', '/api/xToken', known, OAUTH, slow],
    ['minting, then why not', '/api/sessionToken?template=unknown', known, ALL, slow],
    ['a failure, then once more', one, known, OAUTH, { ...refused(500), ...slow }],
  ] as const) {
    clerk.users.set(somebody.sub, {})
    // What is slow the first time in a process is not measured.
    await app.inject('/readyz')
    const before = clerk.calls.length
    clerk.fail(where, fault)
    const { reply, ms } = await timed(url)
    clerk.heal()
    t.equal(reply.statusCode, 503, name)
    t.ok(ms >= 4_900 && ms < 6_000, `${name}: ${ms.toFixed(0)} ms`)
    t.equal(clerk.calls.length - before, 2, `${name}: both calls were made`)
  }
})

t.test('nobody listens: 503 at once', async (t) => {
  const { app, clerk, timed } = await withClerk(t)
  clerk.stop()
  const { reply, ms } = await timed('/api/xToken')
  t.equal(reply.json().error, 'identity_provider_unavailable')
  t.ok(ms < 2_000)
  t.equal((await app.inject('/healthz')).statusCode, 200)
})

t.test('a garbled answer to minting ends nobody’s session', async (t) => {
  const { app, clerk, bearer } = await withClerk(t)
  const token = (await bearer()).authorization.slice('Bearer '.length)
  const origin = clerk.env.PUBLIC_URL
  const signin = await app.inject({ method: 'POST', url: '/api/session', headers: { origin }, payload: { token } })
  const cookie = signin.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  clerk.fail(/tokens/, gatewayPage)
  t.equal((await app.inject({ url: '/api/sessionToken', headers: { cookie } })).statusCode, 503)
  clerk.heal()
  t.equal((await app.inject({ url: '/api/sessionToken', headers: { cookie } })).statusCode, 200)
})

t.test('while Clerk is down it is not asked by everybody, and once it answers, all goes on', async (t) => {
  const lines: string[] = []
  const { clerk, timed } = await withClerk(t, { log: (line) => lines.push(line) })
  clerk.fail(ALL, { status: 500 })
  for (let i = 0; i < 3; i++) t.equal((await timed('/api/oauthToken/x')).reply.statusCode, 503)
  const asked = clerk.calls.length
  t.equal(asked, 5, 'five failures open the circuit, the sixth call is not made')

  const crowd = await Promise.all(Array.from({ length: 30 }, () => timed('/api/oauthToken/x')))
  for (const { reply, ms } of crowd) {
    t.equal(reply.statusCode, 503)
    t.ok(Number(reply.headers['retry-after']) >= 1 && Number(reply.headers['retry-after']) <= 5)
    t.ok(ms < 2_000, `${ms.toFixed(0)} ms`)
  }
  t.equal(clerk.calls.length, asked, 'and nobody asks')

  await until(async () => {
    await Promise.all(Array.from({ length: 10 }, () => timed('/api/oauthToken/x')))
    return clerk.calls.length > asked
  })
  t.equal(clerk.calls.length, asked + 1, 'after the pause one asks for all')
  clerk.heal()
  await until(async () => (await timed('/api/oauthToken/x')).reply.statusCode === 200)
  const after = await Promise.all(Array.from({ length: 10 }, () => timed('/api/oauthToken/x')))
  for (const { reply } of after) t.equal(reply.statusCode, 200)
  t.match(lines.join(''), /does not answer; calls are suspended[\s\S]*answers again/)
})

t.test('refusals do not open the circuit, because Clerk answered', async (t) => {
  const { clerk, timed } = await withClerk(t)
  for (const status of [401, 404, 422, 429]) {
    clerk.fail(OAUTH, refused(status))
    for (let i = 0; i < 6; i++) await timed('/api/oauthToken/x')
    clerk.heal()
    t.equal((await timed('/api/oauthToken/x')).reply.statusCode, 200, `after ${status}`)
  }
})

for (const withKey of [true, false]) {
  t.test(
    `wallet, jobs, PATs and device polling go on while Clerk is silent, ${withKey ? 'with CLERK_JWT_KEY' : 'with a key read before'}`,
    async (t) => {
      const { app, clerk, bearer, timed } = await withClerk(t, { withKey })
      await timed('/api/wallet')
      const origin = clerk.env.PUBLIC_URL
      const { authorization } = await bearer()
      const payload = { token: authorization.slice('Bearer '.length) }
      const signin = await app.inject({ method: 'POST', url: '/api/session', headers: { origin }, payload })
      const cookie = signin.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
      const { user_code, poll } = await startLogin(app)
      const approval = { method: 'POST', url: '/api/device/complete', headers: { authorization } } as const
      t.equal((await app.inject({ ...approval, payload: { user_code } })).statusCode, 200)
      const pat = { authorization: `Bearer ${(await poll()).json().token}` }
      const pending = await startLogin(app)
      clerk.fail(ALL, { instead: 'silent' })
      const waiting = Array.from({ length: 20 }, () => timed('/api/xToken'))

      for (const headers of [{ authorization }, await bearer(), { cookie, origin }, pat]) {
        const began = performance.now()
        t.equal((await app.inject({ url: '/api/wallet', headers })).statusCode, 200)
        const job = { app: 'clips', action: 'render', cost_estimate: 0 }
        const created = await app.inject({ method: 'POST', url: '/api/jobs', headers, payload: job })
        t.equal(created.statusCode, 200)
        const { job_id } = created.json()
        const done = { job_id, actual_cost: 0 }
        const completed = await app.inject({ method: 'POST', url: '/api/jobs/complete', headers, payload: done })
        t.equal(completed.statusCode, 200)
        t.ok(performance.now() - began < 3_000, 'without waiting for Clerk')
      }
      t.equal((await pending.poll()).statusCode, 202, 'devices poll on')
      for (const { reply } of await Promise.all(waiting)) t.equal(reply.statusCode, 503)
    },
  )
}
