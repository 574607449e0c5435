import t from 'tap'
import { clientOf, form, registerClient } from '../support/oauth.ts'
import { start, startOwn, unique } from '../support/start.ts'

/** An app with a resource and a settle key, another app, and a client that somebody lets use the resource. */
async function prepared(t: Parameters<typeof start>[0]) {
  const service = await start(t)
  const root = await service.admin()
  const resource = `https://${unique('mcp')}.example.com/mcp`
  const owner = await registerClient(root, { resources: [resource] })
  const client = clientOf(service.app, await registerClient(root))
  const keyOf = async (slug: string): Promise<string> =>
    (await root.put(`/api/admin/apps/${slug}`, { settle_key: 'rotate' })).json().app.settle_key
  const ask = (token: string, headers: Record<string, string>, app = service.app) =>
    app.inject({ url: '/oauth/introspect', ...form({ token }), headers: { ...form({}).headers, ...headers } })
  return {
    ...service,
    root,
    resource,
    owner,
    client,
    key: await keyOf(owner.client_id),
    keyOf,
    ask,
    ada: await service.person(),
  }
}

const basic = (user: string, password: string) => ({
  authorization: `Basic ${btoa(`${encodeURIComponent(user)}:${encodeURIComponent(password)}`)}`,
})

t.test('the app whose resource a token is for is told whose it is, for what and until when', async (t) => {
  const { ada, client, resource, owner, key, ask, db, config } = await prepared(t)
  const { access_token } = await client.logIn(ada, { resource, scope: 'account spend' })
  const { id } = await db.selectFrom('grants').select('id').where('account_id', '=', ada.id).executeTakeFirstOrThrow()
  for (const headers of [{ 'x-app-key': key }, basic(owner.client_id, key)]) {
    const answer = await ask(access_token, headers as Record<string, string>)
    t.equal(answer.headers['cache-control'], 'no-store')
    const { iat, exp, ...told } = answer.json()
    t.strictSame(told, {
      active: true,
      sub: ada.id,
      username: ada.email,
      client_id: client.asked.client_id,
      scope: 'account spend',
      aud: resource,
      iss: config.publicUrl,
      token_type: 'Bearer',
      grant_id: id,
    })
    t.equal(exp - iat, 3_600)
    t.ok(Math.abs(iat - Date.now() / 1000) < 60)
  }
  const nameless = await client.logIn(ada, { resource, scope: 'spend' })
  t.match((await ask(nameless.access_token, { 'x-app-key': key })).json(), { active: true, username: undefined })
  const { access_token: ours } = await client.logIn(ada)
  t.match(
    (await ask(ours, { 'x-app-key': key })).json(),
    { active: false },
    'a token for this service is of its client',
  )
})

t.test('to everybody else no token is active, and who does not authenticate is told how', async (t) => {
  const { ada, client, resource, owner, key, keyOf, ask, root } = await prepared(t)
  const { access_token, refresh_token } = await client.logIn(ada, { resource })
  const other = await registerClient(root)
  const otherKey = await keyOf(other.client_id)
  const clientsKey = await keyOf(client.asked.client_id ?? '')
  for (const headers of [{ 'x-app-key': otherKey }, { 'x-app-key': clientsKey }, basic(other.client_id, otherKey)]) {
    const answer = await ask(access_token, headers as Record<string, string>)
    t.match([answer.statusCode, answer.json()], [200, { active: false }])
    t.strictSame(Object.keys(answer.json()), ['active'])
  }
  for (const token of [refresh_token, `focus_at_${'0'.repeat(49)}`, `${access_token}x`, 'x', ada.token])
    t.strictSame((await ask(token, { 'x-app-key': key })).json(), { active: false }, token)
  for (const headers of [
    {},
    { 'x-app-key': 'x' },
    { 'x-app-key': `${key.slice(0, -1)}x` },
    { 'x-app-key': '', ...basic(owner.client_id, key) },
    basic(other.client_id, key),
    basic('', key),
    { authorization: `Bearer ${access_token}` },
    { authorization: 'Basic %' },
    { cookie: ada.cookie },
  ] as Record<string, string>[]) {
    const answer = await ask(access_token, headers)
    t.match(
      [answer.statusCode, answer.json()],
      [401, { error: 'invalid_client', active: false }],
      JSON.stringify(headers),
    )
    t.match(answer.headers['www-authenticate'], /^Basic /)
  }
  t.equal((await ask(access_token, { 'x-app-key': key, origin: 'http://localhost:3000' })).statusCode, 403)
  t.match((await ask('', { 'x-app-key': key })).json(), { error: 'invalid_request' })
})

t.test('a token that has ended is inactive at once, on every instance', async (t) => {
  const { app, ada, client, resource, key, ask, db, root } = await prepared(t)
  const elsewhere = await startOwn(t)
  const isActive = async (token: string) => {
    const answers = [app, elsewhere.app].map(async (one) => (await ask(token, { 'x-app-key': key }, one)).json().active)
    const [here, there] = await Promise.all(answers)
    t.equal(here, there)
    return here
  }
  const first = await client.logIn(ada, { resource })
  t.equal(await isActive(first.access_token), true)
  await client.revoke(first.access_token)
  t.equal(await isActive(first.access_token), false, 'revoked by its client')
  const second = await client.logIn(ada, { resource })
  await client.revoke(second.refresh_token)
  t.equal(await isActive(second.access_token), false, 'with its refresh token')
  const third = await client.logIn(ada, { resource })
  await db
    .updateTable('tokens')
    .set({ expires_at: new Date(Date.now() - 1_000) })
    .where('account_id', '=', ada.id)
    .execute()
  t.equal(await isActive(third.access_token), false, 'expired')
  const last = await client.logIn(ada, { resource })
  await root.post('/api/admin/accounts/erase', { clerk_id: ada.clerkId })
  t.equal(await isActive(last.access_token), false, 'erased')
})
