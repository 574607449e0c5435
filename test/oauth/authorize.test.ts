import t from 'tap'
import { clientOf, form, parametersOf, registerClient, wallet } from '../support/oauth.ts'
import { HOSTILE, OURS } from '../support/pages.ts'
import { start, unique } from '../support/start.ts'

async function prepared(t: Parameters<typeof start>[0], more: object = {}) {
  const service = await start(t)
  const registered = await registerClient(await service.admin(), more)
  return { ...service, ada: await service.person(), registered, client: clientOf(service.app, registered) }
}

t.test('a wrong client or redirect_uri is refused on our page, signed in or not, and redirected nowhere', async (t) => {
  const { admin, ada, client, registered } = await prepared(t)
  const other = await registerClient(await admin())
  const { redirect_uri } = registered
  for (const more of [
    { client_id: undefined },
    { client_id: 'nobody-has-registered-this' },
    { client_id: `${registered.client_id}\0` },
    { client_id: 'x'.repeat(2_000) },
    { redirect_uri: undefined },
    { redirect_uri: other.redirect_uri },
    { redirect_uri: `${redirect_uri}/` },
    { redirect_uri: `${redirect_uri}#a` },
    { redirect_uri: redirect_uri.replace('https://', 'https://user@') },
    { redirect_uri: redirect_uri.replace('.com/', '.com:8443/') },
    { redirect_uri: 'javascript:alert(1)' },
  ]) {
    for (const who of [undefined, ada]) {
      const answer = await client.visit(who, more)
      t.equal(answer.statusCode, 400, JSON.stringify(more))
      t.equal(answer.headers.location, undefined)
      t.match(answer.body, /This link does not work|must not contain a NUL character/)
      t.notMatch(answer.body, /<form/)
    }
    const pressed = await client.press(ada, 'approve', {
      ...more,
      redirect_uri: more.redirect_uri ?? redirect_uri,
    } as never)
    if (more.redirect_uri) t.match([pressed.statusCode, pressed.headers.location], [400, undefined], 'nor by the form')
  }
  const { app } = await start(t)
  for (const name of ['client_id', 'redirect_uri']) {
    const twice = `${new URLSearchParams({ ...client.asked })}&${new URLSearchParams({ [name]: client.asked[name] ?? '' })}`
    const answer = await app.inject({ url: `/oauth/authorize?${twice}`, headers: { cookie: ada.cookie } })
    t.match([answer.statusCode, answer.headers.location], [400, undefined], `${name} twice`)
  }
})

t.test('what else is wrong with a request is told to the client, with its state and our iss', async (t) => {
  const { app, ada, client, registered } = await prepared(t)
  for (const [more, error] of [
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'code token' }, 'unsupported_response_type'],
    [{ response_type: undefined }, 'invalid_request'],
    [{ response_mode: 'fragment' }, 'invalid_request'],
    [{ code_challenge: undefined }, 'invalid_request'],
    [{ code_challenge: 'short' }, 'invalid_request'],
    [{ code_challenge_method: undefined }, 'invalid_request'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ code_challenge_method: 's256' }, 'invalid_request'],
    [{ scope: 'admin' }, 'invalid_scope'],
    [{ scope: 'account admin' }, 'invalid_scope'],
    [{ scope: 'openid' }, 'invalid_scope'],
    [{ resource: 'https://elsewhere.example.com' }, 'invalid_target'],
    [{ resource: 'not a url' }, 'invalid_target'],
    [{ resource: `${OURS}/#fragment` }, 'invalid_target'],
    [{ request: 'eyJ' }, 'request_not_supported'],
    [{ request_uri: 'https://a.example.com' }, 'request_uri_not_supported'],
  ] as const) {
    for (const who of [undefined, ada]) {
      const answer = await client.visit(who, more)
      t.equal(answer.statusCode, 303, JSON.stringify(more))
      t.ok(String(answer.headers.location).startsWith(`${registered.redirect_uri}?`), 'to the client')
      t.match(parametersOf(answer.headers.location), { error, state: 'xyz', iss: OURS, error_description: String })
    }
    const pressed = await client.press(ada, 'approve', more as never)
    if (!Object.values(more).includes(undefined as never))
      t.match(parametersOf(pressed.headers.location), { error }, `the form too: ${JSON.stringify(more)}`)
  }
  for (const name of ['state', 'scope', 'resource', 'code_challenge', 'response_type']) {
    const asked = { ...client.asked, scope: 'account', resource: OURS }
    const twice = `${new URLSearchParams(asked)}&${new URLSearchParams({ [name]: 'again' })}`
    const { headers } = await app.inject({ url: `/oauth/authorize?${twice}`, headers: { cookie: ada.cookie } })
    const told = parametersOf(headers.location)
    t.match(told, { error: name === 'resource' ? 'invalid_target' : 'invalid_request' }, `${name} twice`)
    t.equal(told.state, name === 'state' ? undefined : 'xyz', 'a state that is there twice is none')
  }
  const long = await client.visit(undefined, { state: 'x'.repeat(2_000) })
  t.match(parametersOf(long.headers.location), { error: 'invalid_request' }, 'a sign-in could not return to it')
})

t.test('whoever is not signed in signs in first and comes back to the same request', async (t) => {
  const { app, client } = await prepared(t)
  const sent = await client.visit(undefined)
  t.equal(sent.statusCode, 303)
  const signin = new URL(String(sent.headers.location), OURS)
  t.equal(signin.pathname, '/signin')
  const back = new URL(signin.searchParams.get('redirect_to') ?? '')
  t.equal(back.pathname, '/oauth/authorize')
  t.strictSame(Object.fromEntries(back.searchParams), client.asked)
  const page = await app.inject(String(sent.headers.location))
  t.match(page.headers['content-security-policy'], new URL(client.asked.redirect_uri ?? '').origin)
})

t.test('the page says who asks, where it leads, what for and as whom; a button decides', async (t) => {
  const { app, ada, client, registered, db } = await prepared(t, { name: HOSTILE })
  const { body, headers, statusCode } = await client.visit(ada)
  t.equal(statusCode, 200)
  t.equal(headers['cache-control'], 'no-store')
  t.match(headers['content-security-policy'], /frame-ancestors 'none'/)
  for (const text of [ada.email, new URL(registered.redirect_uri).host, '/callback', 'spend credits'])
    t.match(body, text)
  t.notMatch(body, '<script>alert(1)', 'a name is text')
  t.match(body, /&lt;script&gt;/)

  const codes = async () => (await db.selectFrom('authorizations').selectAll().execute()).length
  const before = await codes()
  for (const action of ['', 'APPROVE', 'yes']) t.equal((await client.press(ada, action)).statusCode, 200, action)
  await client.visit(ada, { action: 'approve', account: ada.id })
  t.equal((await app.inject({ method: 'HEAD', url: '/oauth/authorize', query: client.asked })).statusCode, 405)
  t.equal(await codes(), before, 'looking decides nothing')

  const denied = await client.press(ada, 'deny')
  t.equal(denied.statusCode, 303)
  t.match(parametersOf(denied.headers.location), { error: 'access_denied', state: 'xyz', iss: OURS })
  const approved = await client.press(ada, 'approve')
  t.equal(approved.statusCode, 303)
  t.strictSame(Object.keys(parametersOf(approved.headers.location)).sort(), ['code', 'iss', 'state'])
})

t.test('the form works from our own page alone, for the person whom it was shown to', async (t) => {
  const { app, ada, client, person } = await prepared(t)
  const bob = await person()
  for (const headers of [
    { origin: 'https://evil.example.com' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    {},
  ] as Record<string, string>[]) {
    t.equal((await client.press(ada, 'approve', {}, headers)).statusCode, 403, JSON.stringify(headers))
  }
  const another = await client.press({ ...ada, cookie: bob.cookie }, 'approve')
  t.match([another.statusCode, another.headers.location], [200, undefined], 'who has signed in meanwhile is asked')
  t.match(another.body, bob.email)
  const nobody = await client.press({ ...ada, cookie: '' }, 'approve')
  t.match(nobody.headers.location, /^\/signin\?/)
  const framed = await app.inject({
    url: '/oauth/authorize',
    query: client.asked,
    headers: { cookie: ada.cookie, 'sec-fetch-dest': 'iframe' },
  })
  t.equal(framed.statusCode, 403)
  const bearer = await app.inject({
    url: '/oauth/authorize',
    ...form({ ...client.asked, account: ada.id, action: 'approve' }),
    headers: { ...form({}).headers, authorization: ada.authorization, origin: OURS },
  })
  t.match(bearer.headers.location, /^\/signin\?/, 'a token is no person')
})

t.test(
  'a click counts once the page was in front for a while; else, and for connected services, a box is ticked',
  async (t) => {
    const { ada, client } = await prepared(t)
    const covered = await client.press(ada, 'approve', { in_front: '' })
    t.match(
      [covered.statusCode, covered.headers.location, covered.body],
      [400, undefined, /name="sure" type="checkbox"/],
    )
    t.match((await client.press(ada, 'deny', { in_front: '' })).statusCode, 303, 'saying no needs none of it')
    const ticked = await client.press(ada, 'approve', { in_front: '', sure: 'yes' })
    t.match(parametersOf(ticked.headers.location), { code: String })
  },
)

t.test('connected services take a second step', async (t) => {
  const { ada, client } = await prepared(t)
  t.match((await client.visit(ada, { scope: 'account oauth' })).body, /name="sure" type="checkbox"/)
  t.notMatch((await client.visit(ada)).body, /name="sure"/)
  const one = await client.press(ada, 'approve', { scope: 'account oauth' })
  t.match([one.statusCode, one.headers.location, one.body], [400, undefined, /Tick the box/])
  const two = await client.press(ada, 'approve', { scope: 'account oauth', sure: 'yes' })
  t.match(parametersOf(two.headers.location), { code: String })
})

t.test('who has approved as much before is not asked again, but on this machine and for more', async (t) => {
  const { ada, admin, client, person } = await prepared(t)
  const isAsked = async (more: Record<string, string>, who = ada) => (await client.visit(who, more)).statusCode === 200
  await client.code(ada)
  const again = await client.visit(ada)
  t.equal(again.statusCode, 303)
  const { code = '', state, iss } = parametersOf(again.headers.location)
  t.match({ state, iss }, { state: 'xyz', iss: OURS })
  t.equal((await client.redeem(code)).statusCode, 200)
  t.ok(await isAsked({ scope: 'account oauth' }), 'for more')
  t.ok(await isAsked({}, await person()), 'somebody else')
  await client.code(ada, { scope: 'oauth' })
  t.notOk(await isAsked({ scope: 'oauth account' }), 'what was approved adds up')

  const resource = `https://${unique('mcp')}.example.com`
  await registerClient(await admin(), { resources: [resource] })
  t.ok(await isAsked({ resource }), 'for another resource')
  t.match(parametersOf((await client.visit(ada, { resource, scope: 'oauth' })).headers.location), {
    error: 'invalid_scope',
  })

  const { app } = await start(t)
  const native = await registerClient(await admin(), { redirect_uris: ['http://127.0.0.1/callback'] })
  const program = clientOf(app, { ...native, redirect_uri: 'http://127.0.0.1:49152/callback' })
  await program.logIn(ada)
  const asked = await program.visit(ada)
  t.match([asked.statusCode, asked.body], [200, /a program on this computer/])
})

t.test('an app of another site signs people in and stays so, with nothing but fetch', async (t) => {
  const { app, ada, client } = await prepared(t)
  const origin = 'https://another-site.example.com'
  const cross = (url: string, fields: Record<string, string>) =>
    app.inject({ url, ...form(fields), headers: { ...form({}).headers, origin } })
  const { client_id = '', redirect_uri = '' } = client.asked
  const code = await client.code(ada)
  const first = await cross('/oauth/token', {
    grant_type: 'authorization_code',
    client_id,
    redirect_uri,
    code,
    code_verifier: client.code_verifier,
  })
  t.match(first.headers, { 'access-control-allow-origin': '*', 'access-control-allow-credentials': undefined })
  const { access_token, refresh_token } = first.json()
  const next = await cross('/oauth/token', { grant_type: 'refresh_token', client_id, refresh_token })
  t.equal(next.statusCode, 200)
  t.equal(next.headers['access-control-allow-origin'], '*')
  const refused = await cross('/oauth/token', { grant_type: 'refresh_token', client_id, refresh_token: 'x' })
  t.match([refused.statusCode, refused.headers['access-control-allow-origin']], [400, '*'])
  for (const [method, url] of [
    ['POST', '/oauth/token'],
    ['POST', '/oauth/revoke'],
    ['GET', '/.well-known/oauth-authorization-server'],
    ['GET', '/.well-known/oauth-protected-resource'],
  ] as const) {
    const headers = { origin, 'access-control-request-method': method, 'access-control-request-headers': 'x-a' }
    const preflight = await app.inject({ method: 'OPTIONS', url, headers })
    t.match(preflight.headers, { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'x-a' }, url)
    t.equal(preflight.headers['access-control-allow-credentials'], undefined, url)
    t.match(preflight.headers['access-control-allow-methods'], method, url)
  }
  for (const allowed of [OURS, origin]) {
    const answer = await app.inject({ url: '/.well-known/oauth-authorization-server', headers: { origin: allowed } })
    t.equal(answer.headers['access-control-allow-origin'], '*')
    t.equal(answer.headers['access-control-allow-credentials'], undefined, 'never with a cookie')
  }
  t.equal((await wallet(app, access_token)).statusCode, 200)
})
