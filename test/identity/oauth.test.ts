import t from 'tap'
import { errorBody, startClerk } from '../support/clerk-stand-in.ts'
import { type App, start, startOwn } from '../support/start.ts'

type Clerk = Awaited<ReturnType<typeof startClerk>>
interface Owner {
  sub: string
  sid: string
}

/** A provider's token as Clerk lists it. */
const connected = (token: string, more: object = {}) => ({
  object: 'oauth_access_token',
  external_account_id: 'eac_1',
  token,
  provider: 'oauth_x',
  public_metadata: {},
  label: null,
  scopes: ['users.read', 'tweet.read'],
  ...more,
})

async function withClerk(t: Parameters<typeof startClerk>[0], log?: (line: string) => void) {
  const clerk = await startClerk(t)
  const { app } = await startOwn(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey }, log)
  const somebody = clerk.signIn()
  const connections = clerk.users.get(somebody.sub) ?? {}
  return { app, clerk, somebody, connections, get: (url: string) => get(app, clerk, somebody, url) }
}

async function get(app: App, clerk: Clerk, somebody: Owner, url: string) {
  return app.inject({ url, headers: { authorization: `Bearer ${await clerk.token({ ...somebody })}` } })
}

t.test(
  'a provider is asked for with and without oauth_, and its token comes with what Clerk knows of it',
  async (t) => {
    const { clerk, somebody, connections, get } = await withClerk(t)
    const expires_at = 1_800_000_000_000
    connections.oauth_google = [connected('google-token', { expires_at })]
    connections.oauth_custom_focus = [connected('custom-token', { expires_at: expires_at / 1000, scopes: null })]
    connections.oauth_github = [connected('github-token', { scopes: undefined })]
    const scopes = ['users.read', 'tweet.read']
    const iso = '2027-01-15T08:00:00.000Z'
    const external_account_id = 'eac_1'
    for (const [name, answer] of [
      ['google', { token: 'google-token', provider: 'google', scopes, expires_at: iso, external_account_id }],
      ['oauth_google', { token: 'google-token', provider: 'google', scopes, expires_at: iso, external_account_id }],
      [
        'custom_focus',
        { token: 'custom-token', provider: 'custom_focus', scopes: [], expires_at: iso, external_account_id },
      ],
      ['github', { token: 'github-token', provider: 'github', scopes: [], expires_at: null, external_account_id }],
    ] as const) {
      const reply = await get(`/api/oauthToken/${name}`)
      t.equal(reply.statusCode, 200, name)
      t.equal(reply.headers['cache-control'], 'no-store')
      t.strictSame(reply.json(), answer, name)
    }
    t.equal(clerk.count(new RegExp(`^GET /v1/users/${somebody.sub}/oauth_access_tokens/oauth_google$`)), 2)
  },
)

t.test('our session cookie serves as well as a token', async (t) => {
  const { app, clerk, somebody, connections } = await withClerk(t)
  connections.oauth_x = [connected('x-token')]
  const { PUBLIC_URL: origin } = clerk.env
  const payload = { token: await clerk.token({ ...somebody }) }
  const signin = await app.inject({ method: 'POST', url: '/api/session', headers: { origin }, payload })
  const cookie = signin.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  t.match((await app.inject({ url: '/api/xToken', headers: { cookie } })).json(), { token: 'x-token' })
})

t.test('xToken tries x, then twitter', async (t) => {
  const { clerk, connections, get } = await withClerk(t)
  connections.oauth_twitter = [connected('old-token')]
  t.match((await get('/api/xToken')).json(), { token: 'old-token', provider: 'twitter' })
  connections.oauth_x = [connected('new-token')]
  t.match((await get('/api/xToken')).json(), { token: 'new-token', provider: 'x' })
  t.strictSame(
    clerk.calls.map((call) => call.split('/').at(-1)),
    ['oauth_x', 'oauth_twitter', 'oauth_x'],
  )
})

t.test('of several connected accounts it is the first, or the one that is asked for', async (t) => {
  const { connections, get } = await withClerk(t)
  connections.oauth_x = [connected('first'), connected('second', { external_account_id: 'eac_2' })]
  connections.oauth_twitter = [connected('third', { external_account_id: 'eac_3' })]
  for (const [url, token] of [
    ['/api/oauthToken/x', 'first'],
    ['/api/oauthToken/x?external_account_id=eac_2', 'second'],
    ['/api/xToken?external_account_id=eac_1', 'first'],
    ['/api/xToken?external_account_id=eac_3', 'third'],
  ] as const) {
    t.equal((await get(url)).json().token, token, url)
  }
  for (const url of ['/api/oauthToken/x?external_account_id=eac_3', '/api/xToken?external_account_id=eac_4']) {
    t.match((await get(url)).json(), { error: 'not_connected' }, url)
  }
})

t.test(
  'an expired connection is not handed out while a live one exists, and the answer names its account',
  async (t) => {
    const { connections, get } = await withClerk(t)
    const [past, future] = [Date.now() - 60_000, Date.now() + 3_600_000]
    connections.oauth_x = [
      connected('expired', { expires_at: past }),
      connected('live', { expires_at: future, external_account_id: 'eac_2' }),
    ]
    const live = { token: 'live', external_account_id: 'eac_2' }
    t.match((await get('/api/oauthToken/x')).json(), live)
    t.match((await get('/api/xToken')).json(), live)
    t.match((await get('/api/xToken?external_account_id=eac_1')).json(), {
      token: 'expired',
      external_account_id: 'eac_1',
    })
    connections.oauth_x = [connected('expired', { expires_at: past })]
    t.match((await get('/api/xToken')).json(), { token: 'expired', provider: 'x' }, 'the only one there is')
    connections.oauth_twitter = [connected('old', { external_account_id: 'eac_3' })]
    t.match((await get('/api/xToken')).json(), { token: 'old', provider: 'twitter' }, 'one without an end is live')
  },
)

t.test('the connected accounts are listed, without their tokens', async (t) => {
  const { clerk, connections, get, app } = await withClerk(t)
  t.strictSame((await get('/api/oauthToken')).json(), { connections: [] })
  const account = { object: 'external_account', approved_scopes: 'users.read tweet.read', email_address: '' }
  connections.external_accounts = [
    { ...account, id: 'eac_1', provider: 'oauth_x', username: 'ada' },
    {
      ...account,
      id: 'gac_2',
      external_account_id: 'eac_2',
      provider: 'oauth_google',
      username: null,
      email_address: 'ada@example.com',
      approved_scopes: '',
    },
  ]
  const reply = await get('/api/oauthToken')
  t.equal(reply.headers['cache-control'], 'no-store')
  t.strictSame(reply.json(), {
    connections: [
      { provider: 'x', external_account_id: 'eac_1', name: 'ada', scopes: ['users.read', 'tweet.read'] },
      { provider: 'google', external_account_id: 'eac_2', name: 'ada@example.com', scopes: [] },
    ],
  })
  const gone = `Bearer ${await clerk.token({ sub: 'user_gone', sid: 'sess_gone' })}`
  t.equal((await app.inject({ url: '/api/oauthToken', headers: { authorization: gone } })).statusCode, 401)
  clerk.fail(/^GET .v1.users.[^/]+$/, { status: 422, body: errorBody('something_new', 'in the words of Clerk') })
  const refused = await get('/api/oauthToken')
  t.match([refused.statusCode, refused.json().error], [503, 'identity_provider_unavailable'])
  t.equal((await app.inject('/api/oauthToken')).statusCode, 401)
})

t.test('what cannot be the name of a provider is 404, and Clerk is not asked', async (t) => {
  const { clerk, get } = await withClerk(t)
  const odd = [
    'X',
    'x.y',
    '..',
    '%2e%2e',
    'x%2Fy',
    'x%3Fa=b',

    'oauth_',
    'oauth_oauth_x',
    'a'.repeat(65),
    '%F0%9F%98%80',
    'x%20',
  ]
  for (const name of odd) {
    const reply = await get(`/api/oauthToken/${name}`)
    t.equal(reply.statusCode, 404, name)
    t.match(reply.json().error, /^(unknown_provider|not_found)$/, name)
  }
  t.strictSame(clerk.calls, [])
})

t.test('no token of a provider is 404 with the reason as its code, and none of the words of Clerk', async (t) => {
  const { clerk, get } = await withClerk(t)
  for (const [status, code, error] of [
    [404, 'oauth_token_provider_not_enabled', 'unknown_provider'],
    [400, 'oauth_unsupported_provider', 'unknown_provider'],
    [422, 'oauth_missing_access_token', 'reconnect_required'],
    [422, 'oauth_missing_refresh_token', 'reconnect_required'],
    [400, 'oauth_token_retrieval_error', 'reconnect_required'],
    [422, 'something_new', 'reconnect_required'],
  ] as const) {
    clerk.fail(/oauth_access_tokens/, { status, body: errorBody(code, 'in the words of Clerk') })
    for (const url of ['/api/oauthToken/google', '/api/xToken']) {
      const reply = await get(url)
      t.equal(reply.statusCode, 404, code)
      t.match(reply.json(), { error, message: /\w/ }, code)
      t.notMatch(reply.body, /words of Clerk|oauth_/)
      t.equal(reply.headers['cache-control'], 'no-store')
    }
    clerk.heal()
  }
  t.match((await get('/api/oauthToken/google')).json(), { error: 'not_connected' })
  t.match((await get('/api/xToken')).json(), { error: 'not_connected' })
})

t.test('when x and twitter both refuse, xToken says what helps most, and a token at either wins', async (t) => {
  const { clerk, connections, get } = await withClerk(t)
  const notEnabled = { status: 404, body: errorBody('oauth_token_provider_not_enabled', '') }
  const reconnect = { status: 422, body: errorBody('oauth_missing_refresh_token', '') }
  for (const [x, twitter, error] of [
    [notEnabled, notEnabled, 'unknown_provider'],
    [notEnabled, undefined, 'not_connected'],
    [undefined, notEnabled, 'not_connected'],
    [reconnect, undefined, 'reconnect_required'],
    [undefined, reconnect, 'reconnect_required'],
  ] as const) {
    if (x) clerk.fail(/oauth_x$/, x)
    if (twitter) clerk.fail(/oauth_twitter$/, twitter)
    t.match((await get('/api/xToken')).json(), { error })
    clerk.heal()
  }
  clerk.fail(/oauth_x$/, reconnect)
  connections.oauth_twitter = [connected('still-good')]
  t.match((await get('/api/xToken')).json(), { token: 'still-good' })
})

t.test('somebody whom Clerk does not know any more is told to sign in', async (t) => {
  const { app, clerk } = await withClerk(t)
  const gone = { sub: 'user_gone', sid: 'sess_gone' }
  const reply = await get(app, clerk, gone, '/api/xToken')
  t.equal(reply.statusCode, 401)
  t.match(reply.json(), { error: 'user_not_found', signin_url: /\/signin/ })
  t.equal(clerk.calls.length, 1, 'twitter is not asked for')
})

t.test('nobody gets a token without saying who they are', async (t) => {
  const { app, clerk } = await withClerk(t)
  for (const url of ['/api/xToken', '/api/oauthToken/x']) {
    for (const headers of [{}, { authorization: 'Bearer a.b.c' }, { cookie: 'focus_session_3000=nothing' }]) {
      const reply = await app.inject({ url, headers })
      t.equal(reply.statusCode, 401)
      t.match(reply.json(), { signin_url: /\/signin/ })
    }
  }
  t.strictSame(clerk.calls, [])
})

t.test('a refusal of Clerk that we do not know is 500 without detail, and our log has its code', async (t) => {
  const lines: string[] = []
  const { clerk, get } = await withClerk(t, (line) => lines.push(line))
  clerk.fail(/oauth_access_tokens/, { status: 400, body: errorBody('something_new', 'in the words of Clerk') })
  const reply = await get('/api/oauthToken/x')
  t.equal(reply.statusCode, 500)
  t.strictSame(Object.keys(reply.json()), ['error', 'message', 'request_id'])
  t.notMatch(reply.body, /something_new|words of Clerk/)
  t.match(lines.join(''), /something_new/)
})

t.test('no log line has a token, ours or theirs', async (t) => {
  const lines: string[] = []
  const { app, clerk, somebody, connections } = await withClerk(t, (line) => lines.push(line))
  connections.oauth_x = [connected('token-of-x')]
  const token = await clerk.token({ ...somebody })
  for (const fault of [undefined, { status: 500 }, { status: 401 }, { body: 'page', status: 200 }] as const) {
    if (fault) clerk.fail(/oauth_access_tokens/, fault)
    await app.inject({ url: '/api/xToken', headers: { authorization: `Bearer ${token}` } })
    clerk.heal()
  }
  t.ok(lines.length > 3, 'there is a log')
  t.notMatch(lines.join(''), new RegExp(`${token.split('.')[2]}|token-of-x|${clerk.secretKey}`))
})

t.test('with the local identity nobody is connected', async (t) => {
  const { person } = await start(t)
  const ada = await person()
  for (const url of ['/api/xToken', '/api/oauthToken/google']) {
    const reply = await ada.get(url)
    t.equal(reply.statusCode, 404)
    t.equal(reply.json().error, 'not_connected')
  }
  t.equal((await ada.get('/api/oauthToken/A')).json().error, 'unknown_provider')
})

t.test('for developing, the local identity answers the tokens that the operator set', async (t) => {
  const { app, person } = await start(t, { LOCAL_OAUTH_TOKENS: 'twitter=x-token,google=google-token' })
  const ada = await person()
  t.strictSame((await ada.get('/api/xToken')).json(), {
    token: 'x-token',
    provider: 'twitter',
    scopes: [],
    expires_at: null,
    external_account_id: 'local',
  })
  const { connections } = (await ada.get('/api/oauthToken')).json()
  t.match(connections, [{ provider: 'twitter', external_account_id: 'local' }, { provider: 'google' }])
  t.match((await ada.get('/api/oauthToken/oauth_google')).json(), { token: 'google-token', provider: 'google' })
  t.equal((await ada.get('/api/oauthToken/github')).json().error, 'not_connected')
  t.equal((await app.inject('/api/xToken')).statusCode, 401, 'still to people who are signed in alone')
})
