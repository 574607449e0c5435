import { sql } from 'kysely'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { deliver, webhookSecret } from '../support/clerk-webhook.ts'
import { newAddress, startLogin } from '../support/device.ts'
import { type App, earlier, start, unique } from '../support/start.ts'

const OURS = 'http://localhost:3000'
const APP = 'https://app.example.com'
const FOREIGN = 'https://elsewhere.example.com'

/** Every route that changes something, and who may use it. What is under /console has one gate: test/console/gate.test.ts. `person`: only somebody on our own pages. */
const ROUTES: Record<
  string,
  'person' | 'person or PAT' | 'signing in or out' | 'account' | 'oauth' | 'admin' | 'anybody' | 'app'
> = {
  'POST /api/device/complete': 'person',
  'POST /api/session': 'person',
  'POST /device': 'person',
  'POST /account/revoke': 'person',
  'POST /account/revoke-app': 'person',
  'POST /oauth/authorize': 'person',
  'POST /account/budget': 'person',
  'POST /account/tokens/new': 'person',
  'POST /account/tokens/:id': 'person',
  'POST /grant': 'person',
  'POST /signin': 'signing in or out',
  'POST /signout': 'signing in or out',
  'DELETE /api/session': 'signing in or out',
  'POST /api/jobs': 'account',
  'POST /api/jobs/complete': 'account',
  'POST /api/jobs/fail': 'account',
  'POST /api/jobs/:id/heartbeat': 'account',
  'DELETE /api/tokens/:id': 'account',
  'POST /api/tokens': 'person or PAT',
  'PATCH /api/tokens/:id': 'person or PAT',
  'DELETE /api/grants/:id': 'account',
  'PATCH /api/grants/:id': 'person or PAT',
  'POST /api/device/start': 'anybody',
  'POST /api/device/poll': 'anybody',
  'POST /oauth/device_authorization': 'anybody',
  'POST /oauth/token': 'anybody',
  'POST /oauth/revoke': 'anybody',
  'POST /oauth/introspect': 'app',
  'POST /api/purchases': 'account',
  'PUT /api/wallet/auto-topup': 'person',
  'POST /api/wallet/auto-topup/resume': 'person',
  'DELETE /api/wallet/auto-topup': 'account',
  'POST /buy': 'person',
  'POST /buy/auto-topup': 'person',
  'POST /buy/auto-topup/off': 'person',
  'POST /buy/auto-topup/resume': 'person',
  'POST /buy/card': 'person',
  'POST /buy/local/:id': 'person',
  'POST /api/admin/keys': 'admin',
  'DELETE /api/admin/keys/:id': 'admin',
  'POST /api/admin/jobs/:id/refund': 'admin',
  'PUT /api/admin/packs/:slug': 'admin',
  'DELETE /api/admin/packs/:slug': 'admin',
  'POST /api/webhooks/clerk': 'anybody',
  'POST /api/webhooks/stripe': 'anybody',
  'PUT /api/admin/apps/:slug': 'admin',
  'POST /api/admin/credits': 'admin',
  'POST /api/admin/accounts/revoke-tokens': 'admin',
  'POST /api/admin/accounts/close': 'admin',
  'DELETE /api/admin/accounts/:id/tokens/:token_id': 'admin',
  'DELETE /api/admin/accounts/:id/grants/:grant_id': 'admin',
  'POST /api/admin/jobs/:id/end': 'admin',
  'POST /api/admin/accounts/erase': 'admin',
  'POST /api/admin/apps/:slug/webhooks': 'admin',
  'DELETE /api/admin/webhooks/:id': 'admin',
  'PATCH /api/admin/webhooks/:id': 'admin',
  'POST /api/admin/webhooks/:id/rotate': 'admin',
  'POST /api/admin/webhooks/:id/test': 'admin',
  'POST /api/admin/webhooks/replay': 'admin',
  'POST /api/admin/webhooks/dismiss': 'admin',
}

/** The changing routes of the router's own tree. */
function changingRoutes(app: App): string[] {
  const routes: string[] = []
  const path: string[] = []
  for (const line of app.printRoutes({ commonPrefix: false }).split('\n')) {
    const found = /^([│ ├└─]*)(\S+) \(([A-Z, ]+)\)$/.exec(line)
    if (!found) continue
    const [, indent = '', part = '', methods = ''] = found
    // A continued line of one node repeats its name without a branch.
    const depth = Math.ceil(indent.length / 4)
    path.length = Math.max(depth - 1, 0)
    path.push(part)
    const url = path.join('').replace(/^\/\//, '/')
    for (const method of methods.split(', ')) {
      if (!['GET', 'HEAD', 'OPTIONS'].includes(method) && !url.startsWith('/console/')) routes.push(`${method} ${url}`)
    }
  }
  return routes
}

t.test('every route that changes something stands in the table', async (t) => {
  const { app } = await start(t)
  await app.ready()
  t.strictSame(changingRoutes(app).toSorted(), Object.keys(ROUTES).toSorted())
})

t.test('person-only routes accept only our own pages', async (t) => {
  const clerk = await startClerk(t)
  const ada = clerk.signIn()
  const { app } = await start(t, {
    ...clerk.env,
    CLERK_JWT_KEY: clerk.jwtKey,
    ALLOWED_ORIGINS: APP,
    ADMIN_CLERK_IDS: ada.sub,
  })
  const ours = () => clerk.token(ada)
  const open = async (token: string) =>
    app.inject({ method: 'POST', url: '/api/session', payload: { token }, headers: { origin: OURS } })
  const cookies = (await open(await ours())).cookies
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ')

  const pat = async (scope: string) => {
    const login = await startLogin(app, { scope })
    const headers = { cookie, origin: OURS }
    const payload = { user_code: login.user_code }
    await app.inject({ method: 'POST', url: '/api/device/complete', headers, payload, remoteAddress: newAddress() })
    return (await login.poll()).json().token as string
  }
  const redirected = async (token_in: string) => {
    const query = { redirect_to: `${APP}/`, token_in }
    const { location } = (await app.inject({ url: '/signin', query, headers: { cookie } })).headers
    return String(location).split('token=')[1] ?? ''
  }
  const bearers: Record<string, string> = {
    'a PAT of scope account': await pat('account'),
    'a PAT of scope oauth': await pat('oauth'),
    'a PAT of scope admin': await pat('admin'),
    "a JWT of an app's azp": await clerk.token({ ...ada, azp: APP }),
    'a JWT without azp': await clerk.token({ ...ada, azp: undefined }),
    'a JWT of a foreign azp': await clerk.token({ ...ada, azp: FOREIGN }),
    'a JWT of ours without a session': await clerk.token({ ...ada, sid: undefined }),
    'an expired JWT of ours': await clerk.token({ ...ada, iat: 1, exp: Math.floor(Date.now() / 1000) - 60 }),
    'a JWT from the query of a redirect': await redirected('query'),
    'a JWT from the fragment of a redirect': await redirected('fragment'),
    'a JWT from sessionToken': (
      await app.inject({ url: '/api/sessionToken', headers: { authorization: `Bearer ${await ours()}` } })
    ).json().token,
  }
  type Headers = Record<string, string>
  const refused: Record<string, Headers> = {
    nothing: {},
    'our cookie alone': { cookie },
    "our cookie from an app's page": { cookie, origin: APP },
    'our cookie from another site': { cookie, origin: FOREIGN },
    'our cookie by a link': { cookie, 'sec-fetch-site': 'none' },
    "Clerk's cookie from an app's page": { cookie: `__session=${await ours()}`, origin: APP },
    "a JWT of ours from an app's page": { authorization: `Bearer ${await ours()}`, origin: APP },
  }
  for (const [name, token] of Object.entries(bearers)) {
    refused[name] = { authorization: `Bearer ${token}` }
    refused[`${name}, claiming our page`] = { authorization: `Bearer ${token}`, origin: OURS }
  }
  const entitled: Record<string, Headers> = {
    'our cookie from our page': { cookie, origin: OURS },
    'our cookie, same origin': { cookie, 'sec-fetch-site': 'same-origin' },
    "Clerk's cookie from our page": { cookie: `__session=${await ours()}`, origin: OURS },
    'a JWT of ours': { authorization: `Bearer ${await ours()}` },
  }
  const decide = async (headers: Headers) => {
    const login = await startLogin(app)
    const answer = await app.inject({
      method: 'POST',
      url: '/api/device/complete',
      headers,
      payload: { user_code: login.user_code },
      remoteAddress: newAddress(),
    })
    return { status: answer.statusCode, device: (await login.poll()).statusCode }
  }
  for (const [who, headers] of Object.entries(refused)) {
    const { status, device } = await decide(headers)
    t.ok([401, 403].includes(status), `${who}: ${status}`)
    t.equal(device, 202, `${who}: the device waits on`)
  }
  for (const [who, headers] of Object.entries(entitled)) {
    t.strictSame(await decide(headers), { status: 200, device: 200 }, who)
  }

  for (const [who, token] of Object.entries(bearers)) {
    const answer = await open(token)
    t.equal(answer.statusCode, 401, `${who} opens no session`)
    t.strictSame(answer.cookies, [], who)
  }

  // Our pages know the cookie alone.
  for (const url of ['/device', '/account/revoke']) {
    for (const [who, headers] of Object.entries(refused)) {
      const { statusCode } = await app.inject({ method: 'POST', url, headers, payload: { id: 'x', user_code: 'x' } })
      t.ok([303, 401, 403].includes(statusCode), `${who} at ${url}: ${statusCode}`)
    }
  }
})

t.test('a token from a query works until it expires and is never renewed', async (t) => {
  const clerk = await startClerk(t)
  clerk.templates.add('video')
  const ada = clerk.signIn()
  const { app, db } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ALLOWED_ORIGINS: APP })
  const opened = await app.inject({
    method: 'POST',
    url: '/api/session',
    payload: { token: await clerk.token(ada) },
    headers: { origin: OURS },
  })
  const cookie = opened.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const handedOut = async (token_in: string) => {
    const query = { redirect_to: `${APP}/`, token_in }
    const { location } = (await app.inject({ url: '/signin', query, headers: { cookie } })).headers
    return String(location).split('token=')[1] ?? ''
  }
  const ask = (token: string, template?: string) =>
    app.inject({
      url: '/api/sessionToken',
      query: template ? { template } : {},
      headers: { authorization: `Bearer ${token}` },
    })
  const token = await handedOut('query')
  t.equal((await ask(token)).json().token, token, 'as it is, while it is fresh')
  t.match((await ask(token, 'video')).json(), { error: 'token_not_renewable', signin_url: String })
  const fragment = await handedOut('fragment')
  t.equal((await ask(fragment, 'video')).statusCode, 200)

  const { now } = Date
  t.intercept(Date, 'now', { value: () => now() + 40_000 })
  t.match((await ask(token)).json(), { error: 'token_not_renewable' }, 'nor when it is about to expire')
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (const spelling of [`${token}=`, `${token}==`, ...[...digits].map((last) => token.slice(0, -1) + last)]) {
    t.equal((await ask(spelling)).statusCode, 401, `nor in another spelling of its signature: …${spelling.slice(-4)}`)
  }
  t.equal((await ask(fragment)).statusCode, 200, 'a token of a fragment is renewed')
  t.notMatch(JSON.stringify(await db.selectFrom('handed_out_tokens').selectAll().execute()), token, 'stored as a hash')
})

t.test('a closed account is closed for a JWT that still lives', async (t) => {
  const clerk = await startClerk(t)
  const root = clerk.signIn()
  const { app, db } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ADMIN_CLERK_IDS: root.sub })
  const authorization = `Bearer ${await clerk.token(root)}`
  const { account } = (await app.inject({ url: '/api/wallet', headers: { authorization } })).json()
  await db.updateTable('accounts').set({ closed_at: new Date() }).where('id', '=', account.id).execute()
  const login = await startLogin(app)
  const payloads: Record<string, object> = {
    'POST /api/device/complete': { user_code: login.user_code },
    'POST /api/session': { token: authorization.slice(7) },
    'POST /api/jobs': { app: 'clips', action: 'a', cost_estimate: 0 },
  }
  // Jobs of a closed account were settled when it was closed, its tokens and grants revoked; pages and OAuth know the cookie alone.
  const without = /jobs\/|tokens|grants|^POST \/(device|account|oauth|buy|grant)/
  for (const [route, who] of Object.entries(ROUTES)) {
    if (!['person', 'account', 'oauth', 'admin'].includes(who) || without.test(route)) continue
    const [method, path = ''] = route.split(' ')
    const url = path.replace(/:\w+/g, 'x')
    const headers = { authorization, ...(url === '/api/session' && { origin: OURS }) }
    const payload = payloads[route] ?? {}
    const answer = await app.inject({ method: method as 'POST', url, headers, payload })
    t.match([answer.statusCode, answer.json().error], [403, 'account_closed'], route)
  }
  for (const url of ['/api/oauthToken/x', '/api/xToken', '/api/admin/apps', '/api/sessionToken']) {
    const answer = await app.inject({ url, headers: { authorization } })
    t.match([answer.statusCode, answer.json().error], [403, 'account_closed'], url)
  }
  t.equal((await login.poll()).statusCode, 202)
  await app.inject({ url: '/api/wallet?app=video', headers: { authorization } })
  const entries = db.selectFrom('ledger_entries').select('seq').where('account_id', '=', account.id)
  t.strictSame(await entries.execute(), [], 'looking grants nothing either')
})

t.test("what a banned administrator's last minute added to apps is nobody's", async (t) => {
  const clerk = await startClerk(t)
  const [root, other] = [clerk.signIn(), clerk.signIn()]
  const env = { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, CLERK_WEBHOOK_SECRET: webhookSecret }
  const { app, db } = await start(t, { ...env, ADMIN_CLERK_IDS: `${root.sub},${other.sub}` })
  const put = async (who: object, origins: string[], redirect_uris: string[], slug: string) => {
    const headers = { authorization: `Bearer ${await clerk.token({ ...who })}` }
    const payload = { starter_credits: 0, origins, redirect_uris, resources: [`${origins.at(-1)}/${slug}`] }
    return (await app.inject({ method: 'PUT', url: `/api/admin/apps/${slug}`, headers, payload })).statusCode
  }
  const isAllowed = async (origin: string) =>
    (await app.inject({ url: '/healthz', headers: { origin } })).headers['access-control-allow-origin'] === origin
  const [slug, theirs] = [unique('app'), unique('app')]
  const site = (name: string) => `https://${name}-${slug}.example.com`
  t.equal(await put(root, [site('old')], [`${site('old')}/back`], slug), 200)
  await db
    .updateTable('app_additions')
    .set({ added_at: earlier('added_at', '3 minutes') })
    .execute()
  t.equal(await put(other, [site('other')], [], theirs), 200)
  t.equal(await put(root, [site('old'), site('late')], [`${site('old')}/back`, `${site('late')}/back`], slug), 200)
  t.ok(await isAllowed(site('late')))
  const headers = { authorization: `Bearer ${await clerk.token({ ...root })}` }
  const made = { name: 'late', scopes: ['topup'] }
  const { key } = (await app.inject({ method: 'POST', url: '/api/admin/keys', headers, payload: made })).json()
  t.ok(key)
  const hooks = async (method: 'POST' | 'PATCH', path: string, payload: object) =>
    (await app.inject({ method, url: `/api/admin/${path}`, headers, payload })).json().endpoint
  const hook = { url: `${site('hooks')}/focus`, events: ['job.completed'] }
  const [before, after, moved] = await Promise.all([1, 2, 3].map(() => hooks('POST', `apps/${slug}/webhooks`, hook)))
  await sql`alter table admin_actions disable trigger admin_actions_append_only`.execute(db)
  await db
    .updateTable('admin_actions')
    .set({ created_at: earlier('created_at', '3 minutes') })
    .where('target', 'in', [`webhook ${before.id}`, `webhook ${moved.id}`])
    .execute()
  await sql`alter table admin_actions enable trigger admin_actions_append_only`.execute(db)
  await hooks('PATCH', `webhooks/${moved.id}`, { url: `${site('late')}/focus` })

  // The ban was a minute and a half ago: its delivery is late. What came before the JWT could have outlived it stays.
  const timestamp = Date.now() - 90_000
  const event = { type: 'user.updated', timestamp, data: { id: root.sub, banned: true } }
  t.equal((await deliver(app, event)).statusCode, 200)
  t.notOk(await isAllowed(site('late')))
  t.ok(await isAllowed(site('old')))
  t.ok(await isAllowed(site('other')), 'of an administrator who still is one')
  const kept = await db.selectFrom('apps').selectAll().where('slug', '=', slug).executeTakeFirstOrThrow()
  t.match(kept, { origins: [site('old')], redirect_uris: [`${site('old')}/back`], resources: [] })
  t.equal(kept.redirect_uris.length, 1)
  const keys = db.selectFrom('service_keys').select('revoked_at').where('created_by', '=', root.sub)
  t.match(await keys.execute(), [{ revoked_at: Date }], 'nor is a service key')
  const left = await db
    .selectFrom('webhook_endpoints')
    .select(['id', 'paused_at'])
    .where('app_slug', '=', slug)
    .execute()
  t.match(
    new Map(left.map(({ id, paused_at }) => [id, paused_at])),
    new Map([
      [before.id, null],
      [moved.id, Date],
    ]),
    'nor an endpoint, and one that was pointed elsewhere is paused',
  )
  t.notOk(left.some(({ id }) => id === after.id))
  t.equal(await put(root, [site('late')], [], slug), 403)
})

t.test('an app narrows where sign-ins return to at its origins', async (t) => {
  const { app, admin } = await start(t)
  const operator = await admin()
  const slug = unique('app')
  const site = `https://${slug}.example.com`
  const put = (return_paths?: string[]) =>
    operator.put(`/api/admin/apps/${slug}`, {
      starter_credits: 0,
      origins: [site],
      ...(return_paths && { return_paths }),
    })
  const headers = { cookie: operator.cookie }
  const returns = async (url: string) =>
    (await app.inject({ url: '/signin', query: { redirect_to: url, token_in: 'fragment' }, headers })).statusCode
  await put()
  t.equal(await returns(`${site}/anywhere`), 303, 'everywhere at first')
  t.strictSame((await put(['/callback', '/auth/'])).json().app.return_paths, ['/callback', '/auth/'])
  for (const [status, path] of [
    [303, '/callback'],
    [303, '/callback?state=1#x'],
    [303, '/auth/'],
    [303, '/auth/done'],
    [400, '/callback/more'],
    [400, '/callbacks'],
    [400, '/auth'],
    [400, '/'],
    [400, '/auth/../open?to=elsewhere'],
    [400, '/auth/%2e%2e/open'],
  ] as const) {
    t.equal(await returns(site + path), status, path)
  }
  const unsigned = async (referer: string) =>
    new URL((await app.inject({ url: '/api/wallet', headers: { referer } })).json().signin_url).searchParams.get(
      'redirect_to',
    )
  t.equal(await unsigned(`${site}/callback`), `${site}/callback`)
  t.equal(await unsigned(`${site}/other`), null, 'signin_url leads to no page that would be refused')
  for (const wrong of ['callback', '//elsewhere.example.com', '/a?b', '/a b', '/a\\b']) {
    t.equal((await put([wrong])).statusCode, 400, wrong)
  }
  await put([])
  t.equal(await returns(`${site}/anywhere`), 303)
})
