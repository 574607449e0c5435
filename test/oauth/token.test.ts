import { sql } from 'kysely'
import t from 'tap'
import { cleanUp } from '../../src/background/clean-up.ts'
import { startLogin } from '../support/device.ts'
import { clientOf, form, registerClient, wallet } from '../support/oauth.ts'
import { earlier, start, unique } from '../support/start.ts'

/** A service, somebody, and a client that they have approved. */
async function approved(t: Parameters<typeof start>[0], more: object = {}) {
  const service = await start(t)
  const registered = await registerClient(await service.admin(), more)
  const ada = await service.person()
  return { ...service, ada, registered, client: clientOf(service.app, registered) }
}

t.test('a code becomes an access token of an hour and a refresh token', async (t) => {
  const { app, ada, client, db } = await approved(t)
  const answer = await client.redeem(await client.code(ada))
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['cache-control'], 'no-store')
  const tokens = answer.json()
  t.match(tokens, {
    access_token: /^focus_at_[0-9A-Za-z]{49}$/,
    refresh_token: /^focus_rt_[0-9A-Za-z]{49}$/,
    token_type: 'Bearer',
    expires_in: 3600,
    scope: 'account',
  })
  t.equal((await wallet(app, tokens.access_token)).json().account.id, ada.id)
  t.equal((await wallet(app, tokens.refresh_token)).statusCode, 401, 'a refresh token opens nothing')
  for (const url of ['/api/oauthToken/x', '/api/admin/apps']) {
    const refused = await app.inject({ url, headers: { authorization: `Bearer ${tokens.access_token}` } })
    t.equal(refused.statusCode, 403, url)
  }
  const stored = JSON.stringify([
    await db.selectFrom('tokens').selectAll().execute(),
    await db.selectFrom('authorizations').selectAll().execute(),
    await db.selectFrom('refresh_tokens').selectAll().execute(),
  ])
  for (const secret of [tokens.access_token, tokens.refresh_token]) t.notOk(stored.includes(secret), 'stored as a hash')
  t.strictSame((await ada.get('/api/tokens')).json().tokens, [], 'it is none of the personal access tokens')
})

t.test('a code is refused to another client, redirect_uri or verifier, and after a minute', async (t) => {
  const { ada, admin, client, db } = await approved(t)
  const other = await registerClient(await admin())
  const code = await client.code(ada)
  for (const more of [
    { client_id: other.client_id },
    { client_id: 'nobody-has-registered-this' },
    { redirect_uri: other.redirect_uri },
    { code_verifier: 'x'.repeat(43) },
    { code_verifier: `${client.code_verifier}x` },
    { code: `${code}x` },
  ]) {
    const refused = await client.redeem(code, more)
    t.equal(refused.statusCode, 400, JSON.stringify(more))
    t.match(refused.json().error, /^invalid_(grant|client)$/, JSON.stringify(more))
  }
  await db
    .updateTable('authorizations')
    .set({ expires_at: earlier('expires_at', '60 seconds') })
    .execute()
  t.match((await client.redeem(code)).json(), { error: 'invalid_grant' }, 'after 60 seconds')
})

t.test('a code used twice ends its tokens, but only for one who has its verifier', async (t) => {
  const { app, ada, client } = await approved(t)
  const code = await client.code(ada)
  const tokens = (await client.redeem(code)).json()
  t.match((await client.redeem(code, { code_verifier: 'x'.repeat(43) })).json(), { error: 'invalid_grant' })
  t.equal((await wallet(app, tokens.access_token)).statusCode, 200, 'who has only seen the code signs nobody out')

  t.match((await client.redeem(code)).json(), { error: 'invalid_grant' })
  t.match((await wallet(app, tokens.access_token)).json(), { error: 'token_revoked' })
  t.match((await client.refresh(tokens.refresh_token)).json(), { error: 'invalid_grant' })
})

t.test('of two who redeem a code at the same time none keeps tokens', async (t) => {
  const { app, ada, client } = await approved(t)
  const code = await client.code(ada)
  const answers = await Promise.all([client.redeem(code), client.redeem(code), client.redeem(code)])
  t.ok(answers.filter(({ statusCode }) => statusCode === 200).length <= 1)
  for (const answer of answers.filter(({ statusCode }) => statusCode === 200)) {
    t.equal((await wallet(app, answer.json().access_token)).statusCode, 401)
  }
})

t.test('a refresh answers new tokens and ends the ones before', async (t) => {
  const { app, ada, client, db } = await approved(t)
  const first = await client.logIn(ada)
  const answer = await client.refresh(first.refresh_token)
  t.equal(answer.statusCode, 200)
  const second = answer.json()
  t.match(second, { token_type: 'Bearer', expires_in: 3600, scope: 'account' })
  t.not(second.refresh_token, first.refresh_token)
  t.equal((await wallet(app, second.access_token)).statusCode, 200)
  const rows = await db
    .selectFrom('tokens')
    .select(sql<number>`extract(epoch from expires_at - now())::float8`.as('left'))
    .where('account_id', '=', ada.id)
    .orderBy('created_at')
    .execute()
  t.ok(Number(rows[0]?.left) <= 10, 'requests under way have ten seconds')
  t.ok(Number(rows[1]?.left) > 3_500)

  await db
    .updateTable('refresh_tokens')
    .set({ expires_at: earlier('expires_at', '30 days') })
    .execute()
  t.match((await client.refresh(second.refresh_token)).json(), { error: 'invalid_grant' }, 'after 30 days without use')
})

t.test('a refresh whose answer was lost is answered again for ten seconds', async (t) => {
  const { app, ada, client, db } = await approved(t)
  const { refresh_token } = await client.logIn(ada)
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => client.refresh(refresh_token)))
  const tokens = one?.json()
  t.equal(tokens.scope, 'account')
  for (const again of [two, three, await client.refresh(refresh_token)]) {
    t.match(again?.json(), { access_token: tokens.access_token, refresh_token: tokens.refresh_token })
  }
  t.equal((await wallet(app, tokens.access_token)).statusCode, 200)

  await db
    .updateTable('refresh_tokens')
    .set({ used_at: earlier('used_at', '10 seconds') })
    .execute()
  t.match((await client.refresh(refresh_token)).json(), { error: 'invalid_grant' }, 'later it is a theft')
  t.match((await wallet(app, tokens.access_token)).json(), { error: 'token_revoked' })
  t.match((await client.refresh(tokens.refresh_token)).json(), { error: 'invalid_grant' }, 'its family has ended')
})

t.test('an answer that was used was not lost: then the token before ends the family at once', async (t) => {
  const { app, ada, client } = await approved(t)
  const first = await client.logIn(ada)
  const second = (await client.refresh(first.refresh_token)).json()
  const third = (await client.refresh(second.refresh_token)).json()
  t.match((await client.refresh(first.refresh_token)).json(), { error: 'invalid_grant' })
  t.match((await client.refresh(third.refresh_token)).json(), { error: 'invalid_grant' })
  t.equal((await wallet(app, third.access_token)).statusCode, 401)
})

t.test('one login that ends leaves the others of its app', async (t) => {
  const { app, ada, client } = await approved(t)
  const [phone, laptop] = [await client.logIn(ada), await client.logIn(ada)]
  t.equal((await client.revoke(phone.refresh_token)).statusCode, 200)
  t.equal((await wallet(app, phone.access_token)).statusCode, 401)
  t.equal((await wallet(app, laptop.access_token)).statusCode, 200)
  t.equal((await client.refresh(laptop.refresh_token)).statusCode, 200)
})

t.test('a refresh may ask for less, not for more, and keeps what was approved', async (t) => {
  const { app, ada, client } = await approved(t)
  const first = await client.logIn(ada, { scope: 'account oauth' })
  const provider = (token: string) =>
    app.inject({ url: '/api/oauthToken/x', headers: { authorization: `Bearer ${token}` } })
  t.equal((await provider(first.access_token)).json().error, 'not_connected', 'the scope is enough')
  const narrow = (await client.refresh(first.refresh_token, { scope: 'account' })).json()
  t.equal(narrow.scope, 'account')
  t.match((await provider(narrow.access_token)).json(), { error: 'insufficient_scope' })
  const wide = (await client.refresh(narrow.refresh_token)).json()
  t.equal(wide.scope, 'account oauth')

  const small = await client.logIn(ada)
  for (const scope of ['account oauth', 'oauth', 'admin', 'everything']) {
    t.match((await client.refresh(small.refresh_token, { scope })).json(), { error: 'invalid_scope' }, scope)
  }
  t.equal((await client.refresh(small.refresh_token)).statusCode, 200, 'a refused one uses nothing up')
})

t.test('a refresh token is of one client', async (t) => {
  const { admin, ada, client } = await approved(t)
  const { refresh_token } = await client.logIn(ada)
  const other = await registerClient(await admin())
  t.match((await client.refresh(refresh_token, { client_id: other.client_id })).json(), { error: 'invalid_grant' })
  t.match((await client.revoke(refresh_token, { client_id: other.client_id })).json(), { error: 'invalid_grant' })
  for (const forged of ['x', `focus_rt_${'0'.repeat(49)}`, refresh_token.slice(0, -1)]) {
    t.match((await client.refresh(forged)).json(), { error: 'invalid_grant' }, forged)
  }
  t.equal((await client.refresh(refresh_token)).statusCode, 200)
})

t.test('a token for an app of its own does not open this API', async (t) => {
  const { app, admin, ada, client, db } = await approved(t)
  const resource = `https://${unique('mcp')}.example.com/mcp`
  const owner = await registerClient(await admin(), { resources: [resource] })
  const code = await client.code(ada, { resource })
  for (const other of [
    `${resource}/`,
    'https://elsewhere.example.com',
    'http://localhost:3000',
    'mcp',
    `${resource}#a`,
  ]) {
    t.match((await client.redeem(code, { resource: other })).json(), { error: 'invalid_target' }, other)
  }
  const tokens = (await client.redeem(code, { resource })).json()
  const refused = await wallet(app, tokens.access_token)
  t.match([refused.statusCode, refused.json().error], [401, 'invalid_token'])
  t.match((await client.refresh(tokens.refresh_token, { resource: 'http://localhost:3000' })).json(), {
    error: 'invalid_target',
  })
  const next = await client.refresh(tokens.refresh_token, { resource })
  t.equal(next.statusCode, 200)
  const grant = await db.selectFrom('grants').selectAll().where('account_id', '=', ada.id).executeTakeFirstOrThrow()
  t.match(grant, { client_id: client.asked.client_id, app_slug: owner.client_id, resource, scopes: ['account'] })

  for (const ours of ['http://localhost:3000', 'http://localhost:3000/']) {
    const answer = await client.redeem(await client.code(ada, { resource: ours }), {
      resource: 'http://localhost:3000/',
    })
    t.equal((await wallet(app, answer.json().access_token)).statusCode, 200, ours)
  }
})

t.test('what is no form, has no client or comes twice is refused with its RFC error', async (t) => {
  const { app, ada, client, registered } = await approved(t)
  const code = await client.code(ada)
  const good: [string, string][] = Object.entries({
    grant_type: 'authorization_code',
    ...registered,
    code,
    code_verifier: client.code_verifier,
  })
  const twice = (name: string): [string, string][] => [...good, [name, Object.fromEntries(good)[name] ?? 'x']]
  for (const name of ['grant_type', 'client_id', 'redirect_uri', 'code', 'code_verifier', 'scope']) {
    const two: [string, string][] = [...twice(name), ...(name === 'scope' ? [[name, 'x'] as [string, string]] : [])]
    t.match((await client.token(two)).json(), { error: 'invalid_request' }, `${name} twice`)
  }
  const resources: [string, string][] = [
    ...good,
    ['resource', 'https://a.example.com'],
    ['resource', 'https://b.example.com'],
  ]
  t.match((await client.token(resources)).json(), { error: 'invalid_target' }, 'a token is for one resource')
  for (const [name] of good) {
    const answer = await client.token(good.filter(([other]) => other !== name))
    t.match([answer.statusCode, answer.json().error], [400, 'invalid_request'], `without ${name}`)
  }
  t.match((await client.token({ ...registered, grant_type: 'password' })).json(), { error: 'unsupported_grant_type' })
  t.match((await client.token({ ...registered, grant_type: 'client_credentials' })).json(), {
    error: 'unsupported_grant_type',
  })
  t.match((await client.token([...good, ['client_secret', 'x']])).json(), { error: 'invalid_client' })
  const basic = await app.inject({
    url: '/oauth/token',
    ...form(good),
    headers: { ...form(good).headers, authorization: `Basic ${btoa(`${registered.client_id}:`)}` },
  })
  t.match([basic.statusCode, basic.json().error, basic.headers['www-authenticate']], [401, 'invalid_client', /^Basic /])

  const json = await app.inject({ method: 'POST', url: '/oauth/token', payload: Object.fromEntries(good) })
  t.match([json.statusCode, json.json().error], [400, 'invalid_request'], 'JSON where a form belongs')
  for (const url of ['/oauth/token', '/oauth/revoke', '/oauth/device_authorization']) {
    const got = await app.inject({ url, query: Object.fromEntries(good) })
    t.match([got.statusCode, got.json().error, got.headers.allow], [405, 'invalid_request', 'POST'], `GET ${url}`)
    const empty = await app.inject({ method: 'POST', url })
    t.match([empty.statusCode, empty.json().error], [400, 'invalid_request'], `nothing to ${url}`)
  }
  t.equal((await client.token([...good, ['unknown', 'a'], ['unknown', 'b'], ['scope', '']])).statusCode, 200)
})

t.test('revoking ends a token at once and says nothing about those that do not exist', async (t) => {
  const { app, ada, client } = await approved(t)
  const first = await client.logIn(ada)
  t.equal((await client.revoke(first.access_token, { token_type_hint: 'refresh_token' })).statusCode, 200)
  t.equal((await wallet(app, first.access_token)).statusCode, 401)
  const second = (await client.refresh(first.refresh_token)).json()
  t.equal((await client.revoke(second.refresh_token)).statusCode, 200)
  t.equal((await wallet(app, second.access_token)).statusCode, 401, 'with the refresh token its access tokens end')
  for (const token of ['x', second.refresh_token, `focus_at_${'0'.repeat(49)}`]) {
    t.equal((await client.revoke(token)).statusCode, 200, token)
  }
})

t.test('what the account page ends, an administrator or a closed account, is ended at once', async (t) => {
  const { app, admin, ada, client, db, person } = await approved(t)
  const root = await admin()
  const dead = async (tokens: { access_token: string; refresh_token: string }, how: string) => {
    t.equal((await wallet(app, tokens.access_token)).statusCode, 401, how)
    t.match((await client.refresh(tokens.refresh_token)).json(), { error: 'invalid_grant' }, how)
  }
  const first = await client.logIn(ada)
  const bob = await person()
  const { id } = await db.selectFrom('grants').select('id').where('account_id', '=', ada.id).executeTakeFirstOrThrow()
  const revoke = (who: typeof ada) =>
    app.inject({
      url: '/account/revoke-app',
      ...form({ id }),
      headers: { ...form({}).headers, cookie: who.cookie, origin: 'http://localhost:3000' },
    })
  t.equal((await revoke(bob)).statusCode, 303)
  t.equal((await wallet(app, first.access_token)).statusCode, 200, 'nobody else can')
  const listed = (await app.inject({ url: '/account', headers: { cookie: ada.cookie } })).body
  t.match(listed, `The ${client.asked.client_id}`)
  t.equal((await revoke(ada)).headers.location, '/account#apps')
  await dead(first, 'revoked on the account page')
  t.match((await client.redeem(await client.code(ada))).json().scope, 'account', 'it can be approved again')

  const second = await client.logIn(ada)
  await root.post('/api/admin/accounts/revoke-tokens', { clerk_id: ada.clerkId })
  await dead(second, 'revoked by an administrator')

  const third = await client.logIn(bob)
  const code = await client.code(bob)
  await root.post('/api/admin/accounts/erase', { clerk_id: bob.clerkId })
  await dead(third, 'erased')
  t.match((await client.redeem(code)).json(), { error: 'invalid_grant' })
})

t.test('of one app twenty logins live; the next one ends the oldest', async (t) => {
  const { app, ada, client } = await approved(t)
  const first = await client.logIn(ada)
  const second = await client.logIn(ada)
  for (let n = 0; n < 19; n++) await client.logIn(ada)
  t.match((await client.refresh(first.refresh_token)).json(), { error: 'invalid_grant' })
  t.equal((await wallet(app, second.access_token)).statusCode, 200)
})

t.test('a login refreshes sixty times an hour at most', async (t) => {
  const { ada, client } = await approved(t)
  let { refresh_token } = await client.logIn(ada)
  for (let n = 0; n < 60; n++) refresh_token = (await client.refresh(refresh_token)).json().refresh_token
  const refused = await client.refresh(refresh_token)
  t.match(
    [refused.statusCode, refused.json().error, refused.headers['retry-after']],
    [429, 'too_many_attempts', /^\d+$/],
  )
  const other = await client.logIn(ada)
  t.equal((await client.refresh(other.refresh_token)).statusCode, 200, 'another login is not concerned')
})

t.test('an access token is no person, and goes nowhere else', async (t) => {
  const { app, ada, client } = await approved(t)
  const { access_token, refresh_token } = await client.logIn(ada, { scope: 'account oauth' })
  const login = await startLogin(app)
  const ask = (method: 'GET' | 'POST', url: string, payload?: object, token = access_token) =>
    app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}`, origin: 'http://localhost:3000' },
      ...(payload && { payload }),
    })
  const approve = await ask('POST', '/api/device/complete', { user_code: login.user_code })
  t.match([approve.statusCode, approve.json().error], [401, 'session_required'])
  t.match((await ask('GET', '/api/sessionToken')).json(), { error: 'token_not_available' })
  t.equal((await ask('POST', '/api/session', { token: access_token })).statusCode, 401)
  for (const token of [access_token, refresh_token]) {
    t.match((await ask('GET', '/api/xMe', undefined, token)).json(), { error: 'x_token_required' }, 'X does not see it')
  }
  const inQuery = await app.inject(`/api/wallet?access_token=${access_token}`)
  t.equal(inQuery.statusCode, 401, 'not by a query, which ends up in logs')
  const rows = await ask('GET', '/api/admin/apps')
  t.equal(rows.statusCode, 403)
})

t.test('what has ended is cleaned away, and what was used stays until it would have expired', async (t) => {
  const { app, ada, client, db } = await approved(t)
  const first = await client.logIn(ada)
  const second = (await client.refresh(first.refresh_token)).json()
  const count = async (table: 'authorizations' | 'refresh_tokens') =>
    (await db.selectFrom(table).selectAll().execute()).length
  await cleanUp(db)
  const before = [await count('authorizations'), await count('refresh_tokens')]
  await cleanUp(db)
  t.strictSame([await count('authorizations'), await count('refresh_tokens')], before, 'nothing that is still of use')
  await db
    .updateTable('tokens')
    .set({ expires_at: earlier('expires_at', '2 days') })
    .where('authorization_id', 'is not', null)
    .execute()
  await cleanUp(db)
  t.match((await wallet(app, second.access_token)).json(), { error: 'invalid_token' }, 'an access token after a day')
  t.equal((await client.refresh(second.refresh_token)).statusCode, 200)
  await db
    .updateTable('refresh_tokens')
    .set({ expires_at: earlier('expires_at', '31 days') })
    .execute()
  await db
    .updateTable('authorizations')
    .set({ expires_at: earlier('expires_at', '32 days') })
    .execute()
  await cleanUp(db)
  t.strictSame([await count('authorizations'), await count('refresh_tokens')], [0, 0])
  t.match((await client.refresh(second.refresh_token)).json(), { error: 'invalid_grant' })
})
