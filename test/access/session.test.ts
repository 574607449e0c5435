import { createHash } from 'node:crypto'
import { decodeJwt } from 'jose'
import t from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { localClerkId } from '../../src/identity/local.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { type App, start, unique } from '../support/start.ts'

const OURS = 'http://localhost:3000'
const APP = 'https://app.example.com'
const ALLOWED = { ALLOWED_ORIGINS: APP }

/** Turns a JWT into our cookie, as our sign-in page does. */
const openSession = (app: App, token: unknown, headers: Record<string, string> = { origin: OURS }) =>
  app.inject({ method: 'POST', url: '/api/session', payload: { token }, headers })

t.test('a fresh JWT becomes a cookie that no script can read, for seven days', async (t) => {
  const clerk = await startClerk(t)
  const { app, db } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const ada = clerk.signIn()
  const reply = await openSession(app, await clerk.token(ada))
  t.equal(reply.statusCode, 200)
  const [cookie, ...more] = reply.cookies
  t.strictSame(more, [])
  t.match(cookie, { name: 'focus_session_3000', httpOnly: true, sameSite: 'Lax', path: '/', maxAge: 7 * 86_400 })
  t.notOk(cookie?.secure, 'http would not send it back')
  t.notOk(cookie?.domain, 'for this host alone')
  const days = (Date.parse(reply.json().expires_at) - Date.now()) / 86_400_000
  t.ok(days > 6.99 && days <= 7)

  const secret = cookie?.value ?? ''
  t.ok(Buffer.from(secret, 'base64url').length >= 32, 'cannot be guessed')
  t.notMatch(reply.body, secret)
  const rows = await db.selectFrom('sessions').selectAll().where('account_id', '=', accountIdOf(ada.sub)).execute()
  t.equal(rows.length, 1)
  t.notMatch(JSON.stringify(rows), secret, 'the secret is not stored')
  t.ok(rows.some(({ session_hash }) => session_hash === createHash('sha256').update(secret).digest('base64url')))
})

t.test('on https the cookie is bound to this very host', async (t) => {
  const { app } = await start(t, { PUBLIC_URL: 'https://localhost:8443' })
  const { cookies } = await app.inject({ method: 'POST', url: '/signin', payload: { email: 'ada@example.com' } })
  t.match(cookies, [{ name: '__Host-focus_session', httpOnly: true, secure: true, sameSite: 'Lax', path: '/' }])
  t.notOk(cookies[0]?.domain)
  const secret = cookies[0]?.value
  const get = (cookie: string) => app.inject({ url: '/api/wallet', headers: { cookie } })
  t.equal((await get(`__Host-focus_session=${secret}`)).statusCode, 200)
  for (const name of ['focus_session', 'focus_session_8443']) {
    t.equal((await get(`${name}=${secret}`)).statusCode, 401, 'the name that any neighbour could set')
  }
})

t.test(
  'several services on one host sign in beside each other: a browser sends each all of their cookies',
  async (t) => {
    const jar: string[] = []
    const services = [
      await start(t),
      await start(t, { PUBLIC_URL: 'http://localhost:3001' }),
      await start(t, { PUBLIC_URL: 'http://localhost' }),
    ]
    const people: string[] = []
    for (const { app } of services) {
      const { cookies } = await app.inject({
        method: 'POST',
        url: '/signin',
        payload: { email: `${unique('one')}@example.com` },
      })
      for (const { name, value } of cookies) jar.push(`${name}=${value}`)
    }
    for (const { app } of services) {
      const wallet = await app.inject({ url: '/api/wallet', headers: { cookie: jar.join('; ') } })
      t.equal(wallet.statusCode, 200)
      people.push(wallet.json().account.id)
    }
    t.equal(new Set(people).size, services.length, 'each its own person')
  },
)

t.test('only our own page turns a JWT into a cookie', async (t) => {
  const { app, person } = await start(t, ALLOWED)
  const { token } = await person()
  for (const headers of [
    { origin: APP },
    { origin: 'https://elsewhere.example' },
    { origin: 'null' },
    { origin: 'http://127.0.0.1:3000' },
    {},
  ] as Record<string, string>[]) {
    const reply = await openSession(app, token, headers)
    t.match([reply.statusCode, reply.json().error], [403, 'origin_not_allowed'], JSON.stringify(headers))
    t.strictSame(reply.cookies, [])
  }
  for (const wrong of ['garbage', `${token}x`, '']) {
    const reply = await openSession(app, wrong)
    t.match([reply.statusCode, reply.json()], [401, { error: 'invalid_token', signin_url: String }])
    t.strictSame(reply.cookies, [])
  }
  for (const wrong of [undefined, null, 7, ['x']]) t.equal((await openSession(app, wrong)).statusCode, 400)
})

t.test('signing out ends the session on the server, not only in the browser', async (t) => {
  const { app, person, db } = await start(t, ALLOWED)
  const ada = await person()
  const signOut = (headers: Record<string, string>) => app.inject({ method: 'DELETE', url: '/api/session', headers })
  const alive = async () => (await app.inject({ url: '/api/wallet', headers: { cookie: ada.cookie } })).statusCode

  for (const headers of [{}, { origin: 'https://elsewhere.example' }, { origin: 'null' }] as Record<string, string>[]) {
    t.equal((await signOut({ cookie: ada.cookie, ...headers })).statusCode, 403, JSON.stringify(headers))
    t.equal(await alive(), 200)
  }
  const reply = await signOut({ cookie: ada.cookie, origin: APP })
  t.equal(reply.statusCode, 204)
  t.equal(reply.body, '')
  t.match(reply.cookies, [{ name: 'focus_session_3000', value: '', path: '/', httpOnly: true }])
  t.equal(Number(reply.cookies[0]?.expires), 0)
  t.equal(await alive(), 401)
  t.strictSame(await db.selectFrom('sessions').selectAll().where('account_id', '=', ada.id).execute(), [])
  t.equal((await signOut({ cookie: ada.cookie, origin: OURS })).statusCode, 204, 'again')
  t.equal((await signOut({ origin: OURS })).statusCode, 204, 'nobody was signed in')
})

t.test('a session ends after seven days', async (t) => {
  const { app, person, db } = await start(t)
  const { cookie, id } = await person()
  await db.updateTable('sessions').set({ expires_at: new Date() }).where('account_id', '=', id).execute()
  for (const url of ['/api/wallet', '/api/sessionToken']) {
    t.equal((await app.inject({ url, headers: { cookie } })).statusCode, 401, url)
  }
})

t.test('a cookie that is none of ours opens nothing', async (t) => {
  const { app, person } = await start(t)
  const { cookie } = await person()
  const secret = cookie.split('=')[1] ?? ''
  const hash = createHash('sha256').update(secret).digest('base64url')
  for (const value of ['', 'x', hash, `${secret}x`, secret.slice(1), "' or 1=1 --", '%00', 'x'.repeat(8000)]) {
    const reply = await app.inject({ url: '/api/wallet', headers: { cookie: `focus_session_3000=${value}` } })
    t.match([reply.statusCode, reply.json().error], [401, 'not_signed_in'], value.slice(0, 50))
  }
})

t.test('a cookie opens every protected operation', async (t) => {
  const { app, admin } = await start(t)
  const { cookie } = await admin()
  const { paths } = (await app.inject('/api/openapi.json')).json()
  for (const [path, methods] of Object.entries<Record<string, { security?: object[] }>>(paths)) {
    for (const [method, { security }] of Object.entries(methods)) {
      if (security && !security.some((way) => 'bearerAuth' in way)) continue
      const url = path.replace(/\{\w+\}/g, 'x')
      const { statusCode } = await app.inject({ method: method as 'get', url, headers: { cookie, origin: OURS } })
      t.notOk([401, 403].includes(statusCode), `${method} ${path}: ${statusCode}`)
    }
  }
})

t.test('a cookie changes something only from an origin of ours or an allowed one', async (t) => {
  const { app, admin } = await start(t, ALLOWED)
  const { cookie, clerkId, id } = await admin()
  const slug = unique('app')
  const job = { app: slug, action: 'render', cost_estimate: 0 }
  const writes = {
    'POST /api/jobs': job,
    'POST /api/admin/credits': {
      clerk_id: clerkId,
      amount: 1,
      kind: 'topup',
      reference: unique('ref'),
      reason: 'test',
    },
    [`PUT /api/admin/apps/${slug}`]: { starter_credits: 0 },
  }
  const jobs = async () => (await app.inject({ url: `/api/jobs?app=${slug}`, headers: { cookie } })).json().jobs.length

  for (const [write, payload] of Object.entries(writes)) {
    const [method, url = ''] = write.split(' ')
    const send = (headers: Record<string, string>) =>
      app.inject({ method: method as 'POST', url, payload, headers: { cookie, ...headers } })
    for (const headers of [
      {},
      { origin: 'https://elsewhere.example' },
      { origin: 'null' },
      { origin: 'http://app.example.com' },
      { origin: `${APP}.elsewhere.example` },
      { origin: 'http://127.0.0.1:3000' },
      { referer: `${OURS}/account` },
      { 'sec-fetch-site': 'same-origin' },
    ] as Record<string, string>[]) {
      const reply = await send(headers)
      t.match(
        [reply.statusCode, reply.json().error],
        [403, 'origin_not_allowed'],
        `${write} ${JSON.stringify(headers)}`,
      )
    }
    for (const origin of [OURS, APP]) t.equal((await send({ origin })).statusCode, 200, `${write} from ${origin}`)
  }
  t.equal(await jobs(), 2, 'only the two that were allowed')
  t.equal((await app.inject({ url: '/api/wallet', headers: { cookie } })).statusCode, 200, 'reading needs no Origin')
  const from = { cookie, origin: 'https://elsewhere.example' }
  const read = await app.inject({ url: '/api/wallet', headers: from })
  t.equal(read.headers['access-control-allow-origin'], undefined, 'and elsewhere nobody can read it')
  t.equal(read.json().account.id, id)
})

t.test('a bearer token needs no Origin: nobody sends it unknowingly', async (t) => {
  const { person } = await start(t, ALLOWED)
  const ada = await person()
  for (const headers of [{}, { origin: 'https://elsewhere.example' }, { origin: 'null' }] as Record<string, string>[]) {
    t.equal((await ada.reserve(0, headers)).statusCode, 200, JSON.stringify(headers))
  }
})

t.test('our session gets a fresh JWT, never stored by anybody, for allowed origins alone', async (t) => {
  const { app, person } = await start(t, ALLOWED)
  const { cookie, clerkId } = await person()
  const ask = (headers: Record<string, string>) =>
    app.inject({ url: '/api/sessionToken', headers: { cookie, ...headers } })

  for (const headers of [{}, { origin: OURS }, { origin: APP }] as Record<string, string>[]) {
    const reply = await ask(headers)
    t.equal(reply.statusCode, 200)
    t.equal(reply.headers['cache-control'], 'no-store')
    t.match(reply.headers.vary, /\bOrigin\b/i)
    const { token, expires_at } = reply.json()
    const { sub, exp = 0, iat = 0, azp, iss, sid } = decodeJwt(token)
    const party = headers.origin === APP ? APP : undefined
    t.match({ sub, azp, iss, sid }, { sub: clerkId, azp: party, iss: OURS, sid: /^sess_/ })
    t.equal(exp - iat, 60)
    t.equal(Date.parse(expires_at), exp * 1000)
    const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
    t.equal(wallet.json().account.clerk_id, clerkId, 'and it works')
  }
  for (const origin of ['https://elsewhere.example', 'null', `${APP}:444`]) {
    const reply = await ask({ origin })
    t.match([reply.statusCode, reply.json().error], [403, 'origin_not_allowed'], origin)
    t.equal(reply.headers['cache-control'], 'no-store')
    t.match(reply.headers.vary, /\bOrigin\b/i)
  }
})

t.test('sessionToken never redirects, whatever a browser says that it accepts', async (t) => {
  const { app } = await start(t, ALLOWED)
  for (const headers of [
    { accept: 'text/html', 'sec-fetch-dest': 'document' },
    { accept: 'text/html', referer: `${APP}/page` },
    { origin: APP },
  ] as Record<string, string>[]) {
    const reply = await app.inject({ url: '/api/sessionToken', headers })
    t.equal(reply.statusCode, 401)
    t.equal(reply.headers.location, undefined)
    t.equal(reply.headers['cache-control'], 'no-store')
    t.match(reply.headers.vary, /\bOrigin\b/i)
    t.match(reply.headers['content-type'], /^application\/json/)
    const { error, message, signin_url } = reply.json()
    t.match({ error, message }, { error: 'not_signed_in', message: String })
    t.equal(new URL(signin_url).searchParams.get('redirect_to'), headers.referer ?? headers.origin ?? null)
  }
})

t.test('a template that is none is 404, before anybody is asked for it', async (t) => {
  const { app, person } = await start(t)
  const { cookie } = await person()
  for (const template of ['unknown', 'a/b', '../users', '%2e%2e', 'a?b', '', 'x'.repeat(65), 'ü']) {
    const reply = await app.inject({ url: '/api/sessionToken', query: { template }, headers: { cookie } })
    t.match([reply.statusCode, reply.json().error], [404, 'template_not_found'], template)
  }
  const twice = await app.inject({ url: '/api/sessionToken?template=a&template=b', headers: { cookie } })
  t.equal(twice.statusCode, 400)
  const nobody = await app.inject({ url: '/api/sessionToken?template=unknown' })
  t.equal(nobody.statusCode, 401, 'who is asking comes first')
})

t.test('a signed-out session mints nothing more, also from a JWT of it', async (t) => {
  const { app, person } = await start(t)
  const { cookie, token, authorization } = await person()
  await app.inject({ method: 'DELETE', url: '/api/session', headers: { cookie, origin: OURS } })
  t.equal((await app.inject({ url: '/api/sessionToken', headers: { cookie } })).statusCode, 401)
  const fresh = await app.inject({ url: '/api/sessionToken', headers: { authorization } })
  t.equal(fresh.json().token, token, 'a fresh JWT is answered as it is, for the seconds that it lives')
})

t.test('an account has at most a hundred sessions: another one ends the oldest', async (t) => {
  const { app, db } = await start(t)
  const email = `${unique('often')}@example.com`
  const signIn = async () => {
    const { cookies } = await app.inject({ method: 'POST', url: '/signin', payload: { email } })
    return `${cookies[0]?.name}=${cookies[0]?.value}`
  }
  const opens = async (cookie: string) => (await app.inject({ url: '/api/wallet', headers: { cookie } })).statusCode
  const cookies: string[] = []
  for (let n = 0; n < 102; n++) cookies.push(await signIn())
  t.strictSame(await Promise.all(cookies.slice(0, 4).map(opens)), [401, 401, 200, 200])
  t.equal(await opens(cookies.at(-1) ?? ''), 200)
  const account_id = accountIdOf(localClerkId(email))
  t.equal(
    (await db.selectFrom('sessions').select('session_hash').where('account_id', '=', account_id).execute()).length,
    100,
  )
})
