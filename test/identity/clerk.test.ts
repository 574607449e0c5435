import { getCookieSuffix } from '@clerk/shared/keys'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { start } from '../support/start.ts'

// Most of these wait for somebody who does not answer.
t.jobs = 2

const OURS = 'http://localhost:3000'
const APP = 'https://app.example.com'
const seconds = (fromNow: number) => Math.floor(Date.now() / 1000) + fromNow

/** The service with a stand-in for Clerk, and somebody signed in there: with a JWT, and with our cookie. */
async function setUp(t: Test, env: Record<string, string> = {}) {
  const clerk = await startClerk(t)
  const { app, db } = await start(t, { ALLOWED_ORIGINS: APP, ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ...env })
  const { ada, cookie } = await signIn()

  async function signIn() {
    const ada = clerk.signIn()
    const payload = { token: await clerk.token(ada) }
    const reply = await app.inject({ method: 'POST', url: '/api/session', payload, headers: { origin: OURS } })
    return { ada, cookie: `focus_session_3000=${reply.cookies[0]?.value}` }
  }

  const ask = (headers: Record<string, string>, template?: string) =>
    app.inject({ url: '/api/sessionToken', headers, query: template === undefined ? {} : { template } })
  return {
    clerk,
    app,
    ada,
    cookie,
    ask,
    withCookie: (template?: string) => ask({ cookie }, template),
    withBearer: (token: string, template?: string) => ask({ authorization: `Bearer ${token}` }, template),
    signIn,
    sessions: async (sid = ada.sid) => {
      const rows = await db.selectFrom('sessions').select('clerk_sid').where('clerk_sid', '=', sid).execute()
      return rows.length
    },
    mints: () => clerk.calls.filter((call) => call.includes('/tokens')).length,
  }
}

t.test('our session gets its JWT from Clerk, and it opens the wallet', async (t) => {
  const { clerk, app, ada, withCookie } = await setUp(t)
  const reply = await withCookie()
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['cache-control'], 'no-store')
  t.match(reply.headers.vary, /\bOrigin\b/i)
  t.strictSame(clerk.calls, [`POST /v1/sessions/${ada.sid}/tokens`])
  const { token, expires_at } = reply.json()
  t.equal(decodeJwt(token).sub, ada.sub)
  t.equal(Date.parse(expires_at), Number(decodeJwt(token).exp) * 1000)
  const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  t.equal(wallet.json().account.clerk_id, ada.sub)
})

t.test('a JWT of an app with half a minute left is answered as it is', async (t) => {
  const { clerk, ada, withBearer, mints } = await setUp(t)
  const token = await clerk.token({ ...ada, azp: undefined, exp: seconds(35) })
  t.equal((await withBearer(token)).json().token, token)
  t.equal(mints(), 0)
})

t.test('a JWT of our own pages never leaves them: another is minted, from a header and from __session', async (t) => {
  const { clerk, ada, ask, withBearer, mints } = await setUp(t)
  const token = await clerk.token({ ...ada, exp: seconds(35) })
  for (const answer of [await withBearer(token), await ask({ cookie: `__session=${token}` })]) {
    t.equal(answer.statusCode, 200)
    t.not(answer.json().token, token)
    t.equal(decodeJwt(answer.json().token).azp, undefined)
  }
  t.equal(mints(), 2)
})

t.test(
  "Clerk's cookie is read under the name of our publishable key, before the one that neighbours may set",
  async (t) => {
    const { clerk, app, ada } = await setUp(t)
    const bob = clerk.signIn()
    const name = `__session_${await getCookieSuffix(clerk.env.CLERK_PUBLISHABLE_KEY)}`
    const whose = async (cookie: string) =>
      (await app.inject({ url: '/api/wallet', headers: { cookie } })).json().account?.clerk_id
    const [hers, his] = [await clerk.token(ada), await clerk.token(bob)]
    t.equal(await whose(`${name}=${hers}`), ada.sub)
    t.equal(await whose(`__session=${his}; ${name}=${hers}`), ada.sub)
    t.equal(await whose(`__session=${his}; ${name}=`), bob.sub, 'an empty one is none')
    t.equal(await whose(`__session_00000000=${his}`), undefined, 'the cookie of another Clerk application')
  },
)

t.test('a JWT about to expire is replaced by a fresh one', async (t) => {
  const { clerk, ada, withBearer, mints } = await setUp(t)
  const token = await clerk.token({ ...ada, exp: seconds(20) })
  const { token: fresh } = (await withBearer(token)).json()
  t.not(fresh, token)
  t.ok(Number(decodeJwt(fresh).exp) - seconds(0) > 50)
  t.equal(mints(), 1)
})

t.test('a JWT that belongs to no session stays as it is, and there is no template for it', async (t) => {
  const { clerk, ada, withBearer, mints } = await setUp(t)
  clerk.templates.add('video')
  const token = await clerk.token({ ...ada, sid: undefined, azp: undefined, exp: seconds(10) })
  t.equal((await withBearer(token)).json().token, token)
  const reply = await withBearer(token, 'video')
  t.match([reply.statusCode, reply.json().error], [404, 'token_not_available'])
  t.equal(mints(), 0)
})

t.test('a template is minted by Clerk, for a JWT and for our session', async (t) => {
  const { clerk, ada, withCookie, withBearer } = await setUp(t)
  clerk.templates.add('video_v-2')
  for (const reply of [await withCookie('video_v-2'), await withBearer(await clerk.token(ada), 'video_v-2')]) {
    t.equal(reply.statusCode, 200)
    t.match(decodeJwt(reply.json().token), { sub: ada.sub, template: 'video_v-2' })
    t.equal(reply.headers['cache-control'], 'no-store')
  }
  t.strictSame(new Set(clerk.calls), new Set([`POST /v1/sessions/${ada.sid}/tokens/video_v-2`]))
})

t.test('an unknown template is 404 and ends nothing; a malformed one is never sent to Clerk', async (t) => {
  const { clerk, ada, withCookie, withBearer, sessions } = await setUp(t)
  for (const template of ['a/b', '../../users', 'a?b=c', 'a b', '', 'x'.repeat(65)]) {
    const reply = await withCookie(template)
    t.match([reply.statusCode, reply.json().error], [404, 'template_not_found'], template)
  }
  t.strictSame(clerk.calls, [])
  for (const reply of [await withCookie('unknown'), await withBearer(await clerk.token(ada), 'unknown')]) {
    t.match([reply.statusCode, reply.json().error], [404, 'template_not_found'])
    t.strictSame(reply.cookies, [])
  }
  t.equal(await sessions(), 1)
  t.equal((await withCookie()).statusCode, 200)
})

t.test('a session that has ended at Clerk ends here too, with and without a template', async (t) => {
  const { clerk, app, ask, signIn, sessions } = await setUp(t)
  clerk.templates.add('video')
  for (const status of ['ended', 'revoked', 'removed', 'expired', undefined]) {
    for (const template of [undefined, 'video']) {
      const { ada, cookie } = await signIn()
      if (status) clerk.sessions.set(ada.sid, { userId: ada.sub, status })
      else clerk.sessions.delete(ada.sid)
      const reply = await ask({ cookie }, template)
      t.match([reply.statusCode, reply.json()], [401, { error: 'session_ended', signin_url: String }], `${status}`)
      t.match(reply.cookies, [{ name: 'focus_session_3000', value: '', path: '/' }], 'the cookie is cleared')
      t.equal(reply.headers['cache-control'], 'no-store')
      t.equal(await sessions(ada.sid), 0)
      t.equal((await app.inject({ url: '/api/wallet', headers: { cookie } })).statusCode, 401)
    }
  }
})

t.test('a JWT of an ended session gets no new one', async (t) => {
  const { clerk, ada, withBearer } = await setUp(t)
  const token = await clerk.token({ ...ada, exp: seconds(20) })
  clerk.sessions.set(ada.sid, { userId: ada.sub, status: 'ended' })
  const reply = await withBearer(token)
  t.match([reply.statusCode, reply.json().error], [401, 'session_ended'])
  t.strictSame(reply.cookies, [])
})

t.test('nothing is minted from an expired JWT, not even within the clock skew', async (t) => {
  const { clerk, ada, ask, withBearer, mints } = await setUp(t)
  clerk.templates.add('video')
  for (const exp of [seconds(-60), seconds(-1)]) {
    const token = await clerk.token({ ...ada, exp })
    for (const template of [undefined, 'video']) {
      for (const reply of [await withBearer(token, template), await ask({ cookie: `__session=${token}` }, template)]) {
        t.match([reply.statusCode, reply.json()], [401, { error: 'token_expired', signin_url: String }], `${exp}`)
        t.equal(reply.headers['cache-control'], 'no-store')
      }
    }
  }
  t.equal(mints(), 0)
})

t.test('an expired JWT opens no session either', async (t) => {
  const { clerk, app, ada, sessions } = await setUp(t)
  for (const exp of [seconds(-60), seconds(-1)]) {
    const payload = { token: await clerk.token({ ...ada, exp }) }
    const reply = await app.inject({ method: 'POST', url: '/api/session', payload, headers: { origin: OURS } })
    t.match([reply.statusCode, reply.json().error, reply.cookies], [401, 'token_expired', []])
  }
  const payload = { token: await clerk.token({ ...ada, sid: undefined }) }
  const reply = await app.inject({ method: 'POST', url: '/api/session', payload, headers: { origin: OURS } })
  t.match([reply.statusCode, reply.json().error], [401, 'invalid_token'], 'nor does one that belongs to no session')
  t.equal(await sessions(), 1, 'only that of signing in')
})

t.test('foreign origins get 403 before Clerk is asked', async (t) => {
  const { clerk, ada, cookie, ask } = await setUp(t)
  const authorization = `Bearer ${await clerk.token({ ...ada, exp: seconds(20) })}`
  for (const headers of [{ cookie }, { authorization }] as Record<string, string>[]) {
    for (const origin of ['https://elsewhere.example', 'null']) {
      const reply = await ask({ ...headers, origin })
      t.match([reply.statusCode, reply.json().error], [403, 'origin_not_allowed'])
      t.equal(reply.headers['access-control-allow-origin'], undefined)
    }
  }
  t.strictSame(clerk.calls, [])
  t.equal((await ask({ cookie, origin: APP })).headers['access-control-allow-origin'], APP)
})

for (const [what, fault] of [
  ['answers 500', { status: 500 }],
  ['answers 503 with a page', { status: 503, body: '<html>', headers: { 'content-type': 'text/html' } }],
  ['breaks the connection', { instead: 'cut' }],
] as const) {
  t.test(`Clerk that ${what} is asked once more, and then it is a 503 that says when to try again`, async (t) => {
    const { clerk, withCookie, sessions, mints } = await setUp(t)
    clerk.fail(/tokens/, fault, 1)
    t.equal((await withCookie()).statusCode, 200, 'a single failure goes unnoticed')
    t.equal(mints(), 2)

    clerk.fail(/tokens/, fault)
    const reply = await withCookie()
    t.match([reply.statusCode, reply.json().error], [503, 'identity_provider_unavailable'])
    t.match(reply.headers['retry-after'], /^\d+$/)
    t.equal(reply.headers['cache-control'], 'no-store')
    t.equal(mints(), 4, 'one retry')
    t.equal(await sessions(), 1, 'the session stays')
    clerk.heal()
    t.equal((await withCookie()).statusCode, 200)
  })
}

t.test('Clerk that is silent or slow costs five seconds, whatever has to be asked', async (t) => {
  const { clerk, withCookie, sessions } = await setUp(t)
  async function timed(template?: string) {
    const before = performance.now()
    const reply = await withCookie(template)
    return { reply, took: (performance.now() - before) / 1000 }
  }
  clerk.templates.add('silent')
  clerk.fail(/tokens\/silent/, { instead: 'silent' })
  // A second look-up and a retry do not get another five seconds each.
  clerk.fail(/tokens\/slow/, { status: 404, delayMs: 3_000 })
  clerk.fail(/GET .*sessions/, { instead: 'silent' })
  clerk.fail(/tokens\/faulty/, { status: 500, delayMs: 3_000 }, 1)
  clerk.fail(/tokens\/faulty/, { instead: 'silent' })
  const all = await Promise.all([timed('silent'), timed('slow'), timed('faulty')])
  for (const { reply } of all) {
    t.match([reply.statusCode, reply.json().error], [503, 'identity_provider_unavailable'])
    t.match(reply.headers['retry-after'], /^\d+$/)
  }
  // Relative, because a busy machine delays all of them.
  const times = all.map(({ took }) => took)
  t.ok(Math.min(...times) > 4.5, `${times} s`)
  t.ok(Math.max(...times) - Math.min(...times) < 2, `${times} s`)
  t.equal(await sessions(), 1, 'the session stays')
})

t.test('a secret key that Clerk refuses is our fault: 500 without a word of it', async (t) => {
  const { clerk, withCookie, sessions, mints } = await setUp(t)
  for (const status of [401, 403]) {
    clerk.heal()
    clerk.fail(/tokens/, { status })
    const reply = await withCookie()
    t.match([reply.statusCode, reply.json().error], [500, 'internal_error'])
    t.notMatch(reply.body, /clerk|key|secret|stand_in|You asked/i)
    t.notMatch(reply.body, clerk.secretKey)
  }
  t.equal(mints(), 2, 'a retry would not mend it')
  t.equal(await sessions(), 1)
})

t.test("Clerk's rate limit is passed on with its time", async (t) => {
  const { clerk, withCookie, mints } = await setUp(t)
  clerk.fail(/tokens/, { status: 429, headers: { 'retry-after': '17' } }, 1)
  const reply = await withCookie()
  t.match([reply.statusCode, reply.json().error, reply.headers['retry-after']], [429, 'rate_limited', '17'])
  t.equal(mints(), 1)
  clerk.fail(/tokens/, { status: 429 }, 1)
  t.match((await withCookie()).headers['retry-after'], /^\d+$/, 'also where Clerk names none')
})

for (const fault of [{ instead: 'silent' }, { instead: 'cut' }, { status: 500, body: 'oops' }] as const) {
  const what = JSON.stringify(fault).replaceAll(/[{}"]/g, '')
  t.test(`keys that cannot be had (${what}) are a 503 and not a bad token`, async (t) => {
    const { clerk, app } = await setUp(t)
    const { app: byJwks } = await start(t, clerk.env)
    const wallet = async (target: typeof app) => {
      const authorization = `Bearer ${await clerk.token(clerk.signIn())}`
      return target.inject({ url: '/api/wallet', headers: { authorization } })
    }
    clerk.fail(/jwks/, fault)
    const before = performance.now()
    const reply = await wallet(byJwks)
    t.match([reply.statusCode, reply.json().error], [503, 'identity_provider_unavailable'])
    t.match(reply.headers['retry-after'], /^\d+$/)
    t.ok(performance.now() - before < 15_000)
    t.equal((await wallet(app)).statusCode, 200, 'with CLERK_JWT_KEY nobody notices')
    clerk.heal()
    t.equal((await wallet(byJwks)).statusCode, 200)
  })
}

t.test('keys that Clerk refuses to our secret key are our fault: 500', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_SECRET_KEY: 'sk_test_of_another' })
  const headers = { authorization: `Bearer ${await clerk.token(clerk.signIn())}` }
  const reply = await app.inject({ url: '/api/wallet', headers })
  t.match([reply.statusCode, reply.json().error], [500, 'internal_error'])
  t.notMatch(reply.body, /sk_test|clerk/i)
})

t.test('with Clerk nobody signs in by typing an address, and the page says so', async (t) => {
  const { app, ada, cookie, clerk } = await setUp(t)
  const reply = await app.inject({ method: 'POST', url: '/signin', payload: { email: 'ada@example.com' } })
  t.equal(reply.statusCode, 404)
  t.strictSame(reply.cookies, [])
  const page = await app.inject('/signin')
  t.equal(page.statusCode, 200)
  t.notMatch(page.body, /<input[^>]+email/)

  const back = `/signin?redirect_to=${encodeURIComponent(`${APP}/page`)}`
  const straight = await app.inject({ url: back, headers: { cookie } })
  t.equal(straight.statusCode, 303, 'who is signed in goes straight back')
  const token = new URL(String(straight.headers.location)).searchParams.get('token') ?? ''
  t.equal(decodeJwt(token).sub, ada.sub)

  clerk.fail(/tokens/, { status: 500 }, 2)
  const away = await app.inject({ url: back, headers: { cookie } })
  t.equal(away.statusCode, 503)
  t.match(away.headers['retry-after'], /^\d+$/)
  t.match(away.headers['content-type'], /^text\/html/)

  clerk.sessions.delete(ada.sid)
  const ended = await app.inject({ url: back, headers: { cookie } })
  t.equal(ended.statusCode, 200, 'whose session has ended signs in again')
  t.match(ended.cookies, [{ name: 'focus_session_3000', value: '' }])
})
