import { decodeJwt } from 'jose'
import t from 'tap'
import { type App, start, unique } from '../support/start.ts'

const OURS = 'http://localhost:3000'
const APP = 'https://app.example.com'
const ALLOWED = { ALLOWED_ORIGINS: `${APP},http://localhost:5173` }

/** As a browser sends the page's form. */
const submit = (app: App, fields: Record<string, string>, headers: Record<string, string> = { origin: OURS }) =>
  app.inject({
    method: 'POST',
    url: '/signin',
    payload: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })

const location = (reply: { headers: Record<string, unknown> }) => String(reply.headers.location)

t.test('somebody types an address and lands at the app with a token that works', async (t) => {
  const { app } = await start(t, ALLOWED)
  const back = `${APP}/page?a=1#route`
  const page = await app.inject({ url: '/signin', query: { redirect_to: back } })
  t.equal(page.statusCode, 200)
  t.match(page.body, /for trying out/)
  t.match(page.body, /<label for="email">/)
  const hidden = [...page.body.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)]
  const fields = Object.fromEntries(hidden.map(([, name = '', value = '']) => [name, value.replaceAll('&amp;', '&')]))
  t.strictSame(fields, { redirect_to: back, token_in: 'query' })

  const reply = await submit(app, { email: 'ada@example.com', ...fields })
  t.equal(reply.statusCode, 303)
  t.match(reply.cookies, [{ name: 'focus_session_3000', httpOnly: true }])
  const target = new URL(location(reply))
  const token = target.searchParams.get('token') ?? ''
  t.equal(target.href, `${APP}/page?a=1&token=${token}#route`)
  t.match(decodeJwt(token), { sub: /^user_[0-9A-Za-z]{27}$/, azp: APP, iss: OURS, sts: 'active', sid: /^sess_/ })
  const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  t.equal(wallet.statusCode, 200)
})

t.test('JSON signs in as well as a form, and needs no Origin where no browser sends it', async (t) => {
  const { app } = await start(t, ALLOWED)
  const signIn = (payload: object, headers = {}) => app.inject({ method: 'POST', url: '/signin', payload, headers })
  for (const headers of [{}, { origin: OURS }]) {
    const reply = await signIn({ email: 'ada@example.com', redirect_to: `${APP}/` }, headers)
    t.equal(reply.statusCode, 303)
    t.match(location(reply), /^https:\/\/app\.example\.com\/\?token=eyJ/)
  }
  const home = await signIn({ email: 'ada@example.com' })
  t.equal(location(home), '/account')
  t.equal((await submit(app, { email: 'ada@example.com' }, {})).statusCode, 303, 'a form from curl')
})

t.test('who is signed in already goes straight back', async (t) => {
  const { app, person } = await start(t, ALLOWED)
  const { cookie, clerkId } = await person()
  const visit = (query: Record<string, string>) => app.inject({ url: '/signin', query, headers: { cookie } })
  const reply = await visit({ redirect_to: `${APP}/page` })
  t.equal(reply.statusCode, 303)
  t.equal(reply.headers['cache-control'], 'no-store')
  t.equal(decodeJwt(new URL(location(reply)).searchParams.get('token') ?? '').sub, clerkId)
  t.equal(location(await visit({})), '/account')
  const hostile = await visit({ redirect_to: 'https://elsewhere.example/' })
  t.equal(hostile.statusCode, 400)
  t.equal(hostile.headers.location, undefined)
})

t.test('one address is one person, however it is typed', async (t) => {
  const { person } = await start(t)
  const email = `${unique('Ada')}@Example.com`
  const { clerkId } = await person(email)
  for (const typed of [email.toLowerCase(), email.toUpperCase(), `  ${email}\t`]) {
    t.equal((await person(typed)).clerkId, clerkId, typed)
  }
  t.not((await person(`x${email}`)).clerkId, clerkId)
  const { app: other } = await start(t, { PUBLIC_URL: 'http://127.0.0.1:3001' })
  const reply = await other.inject({ method: 'POST', url: '/signin', payload: { email } })
  const cookie = `focus_session_3001=${reply.cookies[0]?.value}`
  const wallet = await other.inject({ url: '/api/wallet', headers: { cookie } })
  t.equal(wallet.json().account.clerk_id, clerkId, 'on another instance too')
})

t.test('the token comes as the app asked, replaces an older one, and everything else is kept', async (t) => {
  const { app, person } = await start(t, ALLOWED)
  const { cookie } = await person()
  const lands = async (redirect_to: string, token_in?: string) => {
    const query = { redirect_to, ...(token_in && { token_in }) }
    const reply = await app.inject({ url: '/signin', query, headers: { cookie } })
    return location(reply).replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, 'JWT')
  }
  t.equal(await lands(`${APP}/cb`), `${APP}/cb?token=JWT`)
  t.equal(await lands(`${APP}/cb?token=old&x=%20+1#h`), `${APP}/cb?x=%20+1&token=JWT#h`)
  t.equal(await lands(`${APP}/cb?x=1`, 'query'), `${APP}/cb?x=1&token=JWT`)
  t.equal(await lands(`${APP}/cb?x=1#token=old&h=1`, 'fragment'), `${APP}/cb?x=1#h=1&token=JWT`)
  t.equal(await lands(`${APP}/cb?x=1#h`, 'none'), `${APP}/cb?x=1#h`)
  t.equal(await lands('http://localhost:5173/cb'), 'http://localhost:5173/cb?token=JWT', 'http on this machine')
  t.equal(await lands(`${OURS}/account?x=1`), `${OURS}/account?x=1`, 'our own pages know the cookie')
  const odd = await app.inject({ url: '/signin', query: { redirect_to: `${APP}/`, token_in: 'cookie' } })
  t.equal(odd.statusCode, 400)
})

t.test('a hostile redirect_to is a page without a link to it, and signs nobody in', async (t) => {
  const { app, person } = await start(t, ALLOWED)
  const { cookie } = await person()
  for (const redirect_to of [
    'https://elsewhere.example/steal',
    'https://app.example.com.elsewhere.example/',
    'https://app.example.com@elsewhere.example/',
    '//elsewhere.example/',
    'javascript:alert(document.domain)',
    'http://app.example.com/',
    'https://app.example.com\\@elsewhere.example/',
    '"><script>alert(1)</script>',
    `${APP}/${'x'.repeat(2048)}`,
    ' ',
  ]) {
    for (const reply of [
      await app.inject({ url: '/signin', query: { redirect_to } }),
      await app.inject({ url: '/signin', query: { redirect_to }, headers: { cookie } }),
      await submit(app, { email: 'ada@example.com', redirect_to }),
    ]) {
      t.equal(reply.statusCode, 400, redirect_to.slice(0, 60))
      t.match(reply.headers['content-type'], /^text\/html/)
      t.equal(reply.headers.location, undefined)
      t.strictSame(reply.cookies, [])
      t.notMatch(reply.body, /steal|javascript:|alert\(|<a |href="(?!\/assets)/)
      t.notMatch(String(reply.headers['content-security-policy']), /elsewhere/)
    }
    const payload = { email: 'ada@example.com', redirect_to }
    const json = await app.inject({ method: 'POST', url: '/signin', payload })
    t.match([json.statusCode, json.json().field, json.cookies], [400, 'redirect_to', []])
  }
  const twice = await app.inject(`/signin?redirect_to=${APP}&redirect_to=https://elsewhere.example`)
  t.equal(twice.statusCode, 400, 'two of them')
})

t.test('a refused redirect_to names its origin and how the operator allows it', async (t) => {
  const { app } = await start(t, ALLOWED)
  const origin = 'https://elsewhere.example'
  const signIn = (redirect_to: string) => app.inject({ url: '/signin', query: { redirect_to } })
  const { body } = await signIn(`${origin}/steal?x=1`)
  t.match(body, `<strong>${origin}</strong>`)
  t.match(body, `focus admin apps set &lt;app&gt; --origin ${origin}`)
  t.match(body, 'ALLOWED_ORIGINS')
  for (const odd of [
    `https://user@elsewhere.example/`,
    `${APP}\\@x`,
    'javascript:alert(1)',
    `${origin}/${'x'.repeat(2048)}`,
  ]) {
    const page = await signIn(odd)
    t.match([page.statusCode, page.body.includes('must be an https URL')], [400, true], odd)
    t.notMatch(page.body, /elsewhere|alert\(/)
  }
  const payload = { email: 'ada@example.com', redirect_to: `${origin}/` }
  const { message } = (await app.inject({ method: 'POST', url: '/signin', payload })).json()
  t.match(message, `has the origin ${origin}, which is not allowed`)
  t.match(message, `focus admin apps set <app> --origin ${origin}`)
})

t.test('the page names the app by its registration, and says why a device leads here', async (t) => {
  const { app, admin } = await start(t, ALLOWED)
  const root = await admin()
  await root.put('/api/admin/apps/podcasts', {
    starter_credits: 0,
    name: 'Pod & Cast',
    origins: ['https://pods.example.com'],
  })
  await root.put('/api/admin/apps/unnamed', { starter_credits: 0, origins: ['https://unnamed.example.com'] })
  const pageFor = async (redirect_to: string) => (await app.inject({ url: '/signin', query: { redirect_to } })).body
  const pods = await pageFor('https://pods.example.com/a')
  t.match(pods, 'Sign in to continue to <strong>Pod &amp; Cast</strong> at pods.example.com.')
  t.match(pods, '<a href="https://pods.example.com/a">Back to Pod &amp; Cast</a> without signing in')
  t.match(await pageFor('https://unnamed.example.com/'), '<strong>unnamed</strong> at unnamed.example.com.')
  t.match(
    await pageFor(`${APP}/`),
    'Sign in to continue to <strong>app.example.com</strong>.',
    'allowed, not registered',
  )
  t.match(await pageFor(`${OURS}/device?user_code=BCDF-1234`), 'A device asks for access to your account.')
  t.match(await pageFor(`${OURS}/device`), 'Sign in to enter the code that your device shows.')
  t.notMatch(await pageFor(`${OURS}/account`), /continue to|A device|your device/)
})

t.test('nobody is signed in from a page that is not ours', async (t) => {
  const { app } = await start(t, ALLOWED)
  for (const origin of [APP, 'https://elsewhere.example', 'null', 'http://127.0.0.1:3000', 'http://localhost:5173']) {
    const reply = await submit(app, { email: 'mallory@example.com' }, { origin })
    t.equal(reply.statusCode, 403, origin)
    t.strictSame(reply.cookies, [])
  }
})

t.test('a wrong address is told so, keeping what was typed as text', async (t) => {
  const { app } = await start(t, ALLOWED)
  const typed = '"><script>alert(1)</script>'
  const reply = await submit(app, { email: typed, redirect_to: `${APP}/page?a=1&b="` })
  t.equal(reply.statusCode, 400)
  t.notMatch(reply.body, '<script>alert')
  t.match(reply.body, 'value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"', 'and it stays in its field')
  t.match(reply.body, /aria-invalid="true" aria-describedby="fault"/)
  t.match(reply.body, /id="fault"[^>]*role="alert"/)
  t.match(reply.body, `value="${APP}/page?a=1&amp;b=%22"`, 'where to go next is not lost')
  for (const email of ['', ' ', 'ada', '@example.com', 'ada@', 'a da@example.com', 'a@b@c']) {
    t.equal((await submit(app, { email })).statusCode, 400, email)
    const json = await app.inject({ method: 'POST', url: '/signin', payload: { email } })
    t.match([json.statusCode, json.json().field], [400, 'email'])
  }
  for (const email of [`${'x'.repeat(250)}@example.com`, 'a\0@example.com', '\ud800@example.com']) {
    t.equal((await app.inject({ method: 'POST', url: '/signin', payload: { email } })).statusCode, 400)
  }
  t.equal((await submit(app, {})).statusCode, 400, 'no address at all')
})

t.test('the page may not be framed, stored, or send its form elsewhere', async (t) => {
  const { app } = await start(t, ALLOWED)
  const target = { redirect_to: `${APP}/page` }
  for (const [reply, forms] of [
    [await app.inject('/signin'), "'self'"],
    [await app.inject({ url: '/signin', query: target }), `'self' ${APP}`],
    [await submit(app, { email: 'wrong', ...target }), `'self' ${APP}`],
    [await app.inject({ url: '/signin', query: { redirect_to: 'https://elsewhere.example' } }), "'self'"],
    [await submit(app, { email: 'ada@example.com' }, { origin: APP }), "'self'"],
  ] as const) {
    t.equal(reply.headers['cache-control'], 'no-store')
    t.equal(reply.headers['referrer-policy'], 'same-origin')
    t.equal(reply.headers['x-content-type-options'], 'nosniff')
    const policy = Object.fromEntries(
      String(reply.headers['content-security-policy'])
        .split(';')
        .map((directive) => directive.trim().split(/ (.*)/) as [string, string]),
    )
    t.match(policy, {
      'default-src': "'none'",
      'frame-ancestors': "'none'",
      'base-uri': "'none'",
      'script-src': "'self'",
    })
    t.equal(policy['form-action'], forms)
    t.notOk('upgrade-insecure-requests' in policy)
    t.notMatch(reply.body, /<script(?! src)|<style|\son\w+=/, 'nothing inline')
  }
  const signedIn = await submit(app, { email: 'ada@example.com', ...target })
  t.equal(signedIn.headers['cache-control'], 'no-store', 'the address has a token in it')
  t.equal(signedIn.headers['referrer-policy'], 'same-origin')
})

t.test('the account page is for who is signed in, and lets them sign out', async (t) => {
  const { app, person } = await start(t, ALLOWED)
  const { cookie, clerkId } = await person()
  const page = await app.inject({ url: '/account', headers: { cookie } })
  t.equal(page.statusCode, 200)
  t.match(page.body, clerkId)
  t.equal(page.headers['cache-control'], 'no-store')
  for (const [, asset = ''] of page.body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
    t.equal((await app.inject(asset)).statusCode, 200, asset)
  }
  const nobody = await app.inject('/account')
  t.match([nobody.statusCode, location(nobody)], [303, /^\/signin/])
  t.equal((await app.inject(location(nobody))).statusCode, 200)
  t.equal(location(await app.inject('/')), '/account')
})

t.test('the local identity answers this machine alone, on every route', async (t) => {
  const { app, admin } = await start(t, ALLOWED)
  const { authorization, cookie } = await admin()
  const routes = [
    'GET /',
    'GET /account',
    'GET /signin',
    'POST /signin',
    'GET /assets/style.css',
    'GET /api/openapi.json',
    'GET /api/docs',
    'GET /api/docs/json',
    'GET /api/wallet',
    'POST /api/jobs',
    'GET /api/sessionToken',
    'POST /api/session',
    'DELETE /api/session',
    'GET /api/admin/apps',
    'OPTIONS /api/wallet',
    'GET /healthz',
    'GET /readyz',
    'GET /nothing',
  ]
  for (const route of routes) {
    const [method, url = ''] = route.split(' ')
    const send = (headers: Record<string, string>) =>
      app.inject({ method: method as 'GET', url, headers: { authorization, cookie, origin: OURS, ...headers } })
    for (const headers of [
      { host: 'account.example.com' },
      { host: '192.168.1.5:3000' },
      { host: 'localhost.elsewhere.example:3000' },
      { host: '127.0.0.1.nip.io' },
      { host: '0.0.0.0:3000' },
      { forwarded: 'for=203.0.113.7' },
      { 'x-forwarded-for': '127.0.0.1' },
      { 'x-forwarded-host': 'localhost' },
      { 'x-forwarded-proto': 'https' },
      { 'X-Forwarded-Server': 'proxy' },
    ] as Record<string, string>[]) {
      const reply = await send(headers)
      t.equal(reply.statusCode, 403, `${route} ${JSON.stringify(headers)}`)
      t.match(reply.body, 'The local identity serves this machine only.')
      t.strictSame(reply.cookies, [])
    }
    for (const host of ['localhost:3000', '127.0.0.1:3000', '[::1]:3000', 'localhost']) {
      t.not((await send({ host })).statusCode, 403, `${route} at ${host}`)
    }
  }
})

t.test('LOCAL_IDENTITY=expose allows other hosts, without a built-in administrator', async (t) => {
  const { app, person } = await start(t, { LOCAL_IDENTITY: 'expose', PUBLIC_URL: 'http://focus.internal:3000' })
  for (const headers of [{ host: 'focus.internal:3000' }, { 'x-forwarded-for': '203.0.113.7' }]) {
    t.equal((await app.inject({ url: '/signin', headers })).statusCode, 200)
  }
  const nobody = await app.inject('/account')
  t.equal((await app.inject(location(nobody))).statusCode, 200, 'the account page leads to a sign-in that works')
  const admin = await person('admin@example.com')
  t.equal((await admin.get('/api/admin/apps')).statusCode, 403)
  const { app: configured } = await start(t, { LOCAL_IDENTITY: 'expose', ADMIN_CLERK_IDS: admin.clerkId })
  const reply = await configured.inject({ method: 'POST', url: '/signin', payload: { email: 'admin@example.com' } })
  const cookie = `focus_session_3000=${reply.cookies[0]?.value}`
  t.equal((await configured.inject({ url: '/api/admin/apps', headers: { cookie } })).statusCode, 200, 'unless named')
})

t.test("without it, admin@example.com administers, and the example app's credits wait", async (t) => {
  const { admin, person } = await start(t)
  const { apps } = (await (await admin()).get('/api/admin/apps')).json()
  t.match(
    apps.find(({ slug }: { slug: string }) => slug === 'video'),
    { starter_credits: 20 },
  )
  t.equal((await (await person('admin@example.org')).get('/api/admin/apps')).statusCode, 403)
})

t.test('only the sign-in takes forms', async (t) => {
  const { app, person } = await start(t)
  const { authorization } = await person()
  const reply = await app.inject({
    method: 'POST',
    url: '/api/jobs',
    payload: 'app=video&action=render&cost_estimate=1',
    headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
  })
  t.match([reply.statusCode, reply.json().error], [415, 'unsupported_media_type'])
})
