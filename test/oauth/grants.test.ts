import t from 'tap'
import { limit } from '../../src/ledger/operations.ts'
import { bearer, logIn } from '../support/device.ts'
import { clientOf, form, parametersOf, registerClient, wallet } from '../support/oauth.ts'
import { OURS } from '../support/pages.ts'
import { type Person, personWith, start, startOwn, unique } from '../support/start.ts'
import { withClerk } from '../support/with-clerk.ts'

/** An app with a resource and a settle key, a client of it, and somebody with credits. */
async function prepared(t: Parameters<typeof start>[0]) {
  const service = await start(t)
  const { app, db } = service
  const root = await service.admin()
  const resource = `https://${unique('mcp')}.example.com/mcp`
  const { client_id: slug } = await registerClient(root, { resources: [resource] })
  const { app: saved } = (await root.put(`/api/admin/apps/${slug}`, { settle_key: 'rotate' })).json()
  const client = clientOf(app, await registerClient(root))
  const byKey = (body: object, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/api/jobs',
      payload: { app: slug, action: 'search', cost_estimate: 5, ...body },
      headers: { 'x-app-key': saved.settle_key, ...headers },
    })
  const page = (who: Person, url: string, fields?: Record<string, string>) =>
    app.inject({
      url,
      ...(fields && form(fields)),
      headers: { cookie: who.cookie, origin: OURS, ...(fields && form({}).headers) },
    })
  const grantsOf = async (who: Person) => (await who.get('/api/grants')).json().grants
  return {
    ...service,
    root,
    resource,
    slug,
    key: saved.settle_key,
    client,
    byKey,
    page,
    grantsOf,
    db,
    ada: await personWith(app, 50),
  }
}

t.test(
  'with a live grant of scope spend, the server of its app reserves without the token, within the budget',
  async (t) => {
    const { app, ada, client, resource, slug, key, byKey, grantsOf, db } = await prepared(t)
    const without = await byKey({ account_id: ada.id })
    t.match(
      [without.statusCode, without.json()],
      [403, { error: 'grant_required', grant_url: `${OURS}/grant?app=${slug}` }],
    )
    await client.logIn(ada, { resource, scope: 'account' })
    t.match((await byKey({ account_id: ada.id })).json(), { error: 'grant_required' }, 'without the scope')

    await client.logIn(ada, { resource, scope: 'account spend', budget: '12', period: 'month' })
    const [grant] = await grantsOf(ada)
    t.match(grant, {
      app: slug,
      resource,
      scopes: ['account', 'spend'],
      budget: 12,
      period: 'month',
      spent: 0,
      resets_at: /-01T00:00:00.000Z$/,
    })
    const first = await byKey(
      { account_id: ada.id.toUpperCase(), grant_id: grant.id.toUpperCase() },
      { 'idempotency-key': 'k1' },
    )
    t.match([first.statusCode, first.json()], [200, { account_id: ada.id, status: 'started' }])
    const { job_id } = first.json()
    t.equal(
      (await byKey({ account_id: ada.id, grant_id: grant.id }, { 'idempotency-key': 'k1' })).json().error,
      undefined,
    )
    t.strictSame(
      await db
        .selectFrom('jobs')
        .select(['grant_id', 'token_id', 'budget_ids'])
        .where('id', '=', job_id)
        .executeTakeFirst(),
      {
        grant_id: grant.id,
        token_id: null,
        budget_ids: [grant.id],
      },
    )
    t.match(await ada.balance(), { credits: 45, held: 5 })
    await byKey({ account_id: ada.id })
    const beyond = await byKey({ account_id: ada.id })
    t.match(
      [beyond.statusCode, beyond.json()],
      [403, { error: 'budget_exceeded', budget: 12, spent: 10, change_url: `${OURS}/account#apps` }],
    )
    const settle = (body: object) =>
      app.inject({
        method: 'POST',
        url: '/api/jobs/complete',
        payload: { account_id: ada.id, ...body },
        headers: { 'x-app-key': key },
      })
    t.equal((await settle({ job_id, actual_cost: 1 })).statusCode, 200)
    t.match(await grantsOf(ada), [{ spent: 6 }])
    t.equal((await byKey({ account_id: ada.id })).statusCode, 200, 'a settlement makes room')
  },
)

t.test('what somebody of the local identity has allowed ends once Clerk signs people in', async (t) => {
  const { ada, client, resource, slug, key, byKey } = await prepared(t)
  const { access_token } = await client.logIn(ada, { resource, scope: 'spend' })
  t.equal((await byKey({ account_id: ada.id })).statusCode, 200)
  const { app } = await withClerk(t)
  const reserved = await app.inject({
    method: 'POST',
    url: '/api/jobs',
    payload: { app: slug, action: 'search', cost_estimate: 1, account_id: ada.id },
    headers: { 'x-app-key': key },
  })
  t.match(reserved.json(), { error: 'grant_required' })
  const headers = { ...form({}).headers, 'x-app-key': key }
  const told = await app.inject({ url: '/oauth/introspect', ...form({ token: access_token }), headers })
  t.strictSame(told.json(), { active: false })
})

t.test('nobody else reserves by a grant', async (t) => {
  const { app, ada, admin, client, key, resource, slug, byKey, person, root } = await prepared(t)
  await client.logIn(ada, { resource, scope: 'spend' })
  const [grant] = (await ada.get('/api/grants')).json().grants
  const bob = await person()
  const other = await registerClient(await admin())
  const { app: its } = (await root.put(`/api/admin/apps/${other.client_id}`, { settle_key: 'rotate' })).json()
  const elsewhere = { 'x-app-key': its.settle_key }
  t.match((await byKey({ account_id: ada.id, app: other.client_id }, elsewhere)).json(), { error: 'grant_required' })
  t.match(
    (await byKey({ account_id: ada.id, app: other.client_id, grant_id: grant.id }, elsewhere)).json(),
    { error: 'grant_required' },
    'the grant of another app',
  )
  t.match((await byKey({ account_id: ada.id }, elsewhere)).json(), { error: 'settle_key_invalid' })
  t.match((await byKey({ account_id: ada.id, app: other.client_id })).json(), { error: 'settle_key_invalid' })
  t.match(
    (await byKey({ account_id: bob.id, grant_id: grant.id })).json(),
    { error: 'grant_required' },
    "somebody else's grant",
  )
  t.match((await byKey({ account_id: '00000000-0000-4000-8000-000000000000' })).json(), { error: 'grant_required' })
  t.match((await byKey({})).json(), { error: 'invalid_request', field: 'account_id' })
  t.match((await byKey({ account_id: ada.id }, { origin: OURS })).json(), { error: 'settle_key_in_browser' })
  const job = { app: slug, action: 'search', cost_estimate: 1 }
  t.match((await bob.post('/api/jobs', { ...job, account_id: ada.id })).json(), { field: 'account_id' })
  t.match((await ada.post('/api/jobs', { ...job, grant_id: grant.id })).json(), { field: 'grant_id' })
  t.equal((await ada.post('/api/jobs', { ...job, account_id: ada.id })).statusCode, 200)
  const both = { 'x-app-key': key, authorization: bob.authorization }
  t.match((await byKey({ account_id: ada.id }, both)).json(), { field: 'account_id' }, 'a token says whose credits')
  const token = (await client.logIn(ada, { resource, scope: 'account spend' })).access_token
  const asBearer = await app.inject({
    method: 'POST',
    url: '/api/jobs',
    payload: job,
    headers: { authorization: `Bearer ${token}` },
  })
  t.equal(asBearer.statusCode, 401, 'a token for the resource opens nothing here')
})

t.test('several grants are told apart by grant_id; a person gives one to the app itself on /grant', async (t) => {
  const { app, ada, person, client, resource, slug, byKey, page, grantsOf } = await prepared(t)
  const shown = await page(ada, `/grant?app=${slug}`)
  t.match([shown.statusCode, shown.body], [200, /Let this app spend your credits\?/])
  t.match((await app.inject(`/grant?app=${slug}`)).headers.location, /^\/signin\?/)
  t.equal((await page(ada, '/grant?app=no-such-app')).statusCode, 404)
  const give = (fields: Record<string, string>, who = ada) =>
    page(who, '/grant', { app: slug, account: ada.id, ...fields })
  for (const budget of ['', '0', '-5', '1.5e3', 'all', '9'.repeat(17)])
    t.match([(await give({ budget })).statusCode, budget], [400, budget])
  t.equal(
    (await give({ budget: '20' }, await person())).statusCode,
    200,
    'somebody else has signed in meanwhile: the page again',
  )
  const foreign = await app.inject({
    url: '/grant',
    ...form({ app: slug, account: ada.id, budget: '5' }),
    headers: { cookie: ada.cookie, ...form({}).headers, origin: 'https://evil.example.com' },
  })
  t.equal(foreign.statusCode, 403)
  t.strictSame(await grantsOf(ada), [], 'nothing of this allows anything')

  const given = await give({ budget: '1,020', period: 'day', back: 'redirect_to=https%3A%2F%2Fevil.example.com%2F' })
  t.equal(given.statusCode, 303)
  const after = await page(ada, String(given.headers.location))
  t.match(after.body, /may spend your credits: up to 1,020 credits a day, 0 spent/)
  t.notMatch(after.body, 'evil.example.com', 'no way back to a site that is not allowed')
  t.match(await grantsOf(ada), [
    { client_id: slug, app: slug, resource: null, scopes: ['spend'], budget: 1020, period: 'day' },
  ])
  t.equal((await byKey({ account_id: ada.id })).statusCode, 200)

  await client.logIn(ada, { resource, scope: 'spend' })
  const [newer, older] = await grantsOf(ada)
  const ambiguous = await byKey({ account_id: ada.id })
  t.match(
    [ambiguous.statusCode, ambiguous.json()],
    [409, { error: 'grant_ambiguous', grant_ids: [newer.id, older.id] }],
  )
  t.equal((await byKey({ account_id: ada.id, grant_id: newer.id })).statusCode, 200)
})

t.test('who revokes ends tokens and reserving at once, here and elsewhere; open holds are settled', async (t) => {
  const { app, ada, person, slug, byKey, key, grantsOf, page } = await prepared(t)
  const own = clientOf(app, { client_id: slug, redirect_uri: `https://${slug}.example.com/callback` })
  const { access_token, refresh_token } = await own.logIn(ada, { scope: 'account spend' })
  t.equal((await wallet(app, access_token)).statusCode, 200)
  const { job_id } = (await byKey({ account_id: ada.id })).json()
  const [{ id }] = await grantsOf(ada)
  const bob = await person()
  t.equal(
    (await app.inject({ method: 'DELETE', url: `/api/grants/${id}`, headers: { authorization: bob.authorization } }))
      .statusCode,
    404,
  )
  t.equal((await page(bob, '/account/revoke-app', { id })).statusCode, 303)
  t.equal((await wallet(app, access_token)).statusCode, 200)
  const revoke = () =>
    app.inject({ method: 'DELETE', url: `/api/grants/${id}`, headers: { authorization: ada.authorization } })
  t.strictSame([(await revoke()).statusCode, (await revoke()).statusCode], [204, 204])
  t.match((await wallet(app, access_token)).json(), { error: 'token_revoked' })
  t.match((await own.refresh(refresh_token)).json(), { error: 'invalid_grant' })
  t.match((await byKey({ account_id: ada.id })).json(), { error: 'grant_required' })
  const elsewhere = await startOwn(t)
  t.equal((await wallet(elsewhere.app, access_token)).statusCode, 401)
  t.strictSame(await grantsOf(ada), [])
  const settled = await app.inject({
    method: 'POST',
    url: '/api/jobs/complete',
    payload: { job_id, account_id: ada.id, actual_cost: 3 },
    headers: { 'x-app-key': key },
  })
  t.equal(settled.statusCode, 200)
  t.match(await ada.balance(), { credits: 47, held: 0 })
})

t.test('a budget is typed where a server may spend, and optional where a token may', async (t) => {
  const { ada, app, client, resource, grantsOf, slug } = await prepared(t)
  const empty = await client.press(ada, 'approve', { resource, scope: 'spend', budget: '' })
  t.match([empty.statusCode, empty.headers.location, empty.body], [400, undefined, /Enter how many credits/])
  const wrong = await client.press(ada, 'approve', { resource, scope: 'spend', budget: 'lots' })
  t.match([wrong.statusCode, wrong.body], [400, /whole number of credits/])
  t.notMatch((await client.visit(ada, { resource, scope: 'account' })).body, /name="budget"/, 'it cannot spend')
  t.strictSame(await grantsOf(ada), [])

  const own = clientOf(app, { client_id: slug, redirect_uri: `https://${slug}.example.com/callback` })
  const { access_token } = await own.logIn(ada, { budget: '4', period: 'all' })
  const reserve = (cost_estimate: number) =>
    app.inject({
      method: 'POST',
      url: '/api/jobs',
      payload: { app: 'clips', action: 'render', cost_estimate },
      headers: { authorization: `Bearer ${access_token}` },
    })
  t.equal((await reserve(3)).statusCode, 200)
  t.match((await reserve(3)).json(), {
    error: 'budget_exceeded',
    budget: 4,
    spent: 3,
    resets_at: null,
    change_url: `${OURS}/account#apps`,
  })
  await own.logIn(ada, { scope: 'account oauth' })
  t.match(await grantsOf(ada), [{ budget: 4, spent: 3 }], 'approving more without a budget keeps the one that there is')
  await own.logIn(ada, { scope: 'account oauth', budget: '10' })
  t.match(await grantsOf(ada), [{ budget: 10, period: null, spent: 3 }])
  t.equal((await reserve(3)).statusCode, 200, 'it holds at once')
})

t.test('budgets are changed by a person, or by a token without limits; never by an app', async (t) => {
  const { app, ada, client, resource, slug, page, grantsOf, person } = await prepared(t)
  const own = clientOf(app, { client_id: slug, redirect_uri: `https://${slug}.example.com/callback` })
  const { access_token } = await own.logIn(ada)
  await client.logIn(ada, { resource, scope: 'spend', budget: '10', period: 'month' })
  const [{ id }] = await grantsOf(ada)
  const patch = (payload: object, headers: Record<string, string>, grant = id) =>
    app.inject({ method: 'PATCH', url: `/api/grants/${grant}`, payload, headers })
  for (const headers of [
    { authorization: `Bearer ${access_token}` },
    { authorization: ada.authorization },
    { cookie: ada.cookie },
  ] as Record<string, string>[])
    t.ok([401, 403].includes((await patch({ budget: 11 }, headers)).statusCode), JSON.stringify(Object.keys(headers)))
  t.equal((await patch({ budget: 11 }, { cookie: ada.cookie, origin: 'https://evil.example.com' })).statusCode, 403)
  const bob = await person()
  t.equal((await patch({ budget: 11 }, { cookie: bob.cookie, origin: OURS })).statusCode, 404)
  t.match(await grantsOf(ada), [{ budget: 10 }, {}])

  const asAda = { cookie: ada.cookie, origin: OURS }
  t.match((await patch({ budget: 30 }, asAda)).json(), { grant: { budget: 30, period: 'month' } })
  t.match((await patch({ budget: null }, asAda)).json(), { grant: { budget: null, period: null, spent: null } })
  t.match((await patch({ period: 'day' }, asAda)).json(), { field: 'period' })
  t.match((await patch({ budget: -1 }, asAda)).statusCode, 400)
  t.match((await patch({ budget: 10, period: 'week' }, asAda)).json(), { grant: { budget: 10, period: 'week' } })

  const secret = await logIn(app, ada)
  const pat = bearer(app, secret)
  const authorization = { authorization: `Bearer ${secret}` }
  t.match((await patch({ budget: 40, period: 'day' }, authorization)).statusCode, 200, 'a token without limits')
  const [{ id: token }] = (await pat.get('/api/tokens')).json().tokens
  await app.pats.revoking(ada.id, () => limit(app.ledger, ada.id, token, { amount: 20, period: 'day', apps: null }))
  const limited = (limits: object) => app.pats.revoking(ada.id, () => limit(app.ledger, ada.id, token, limits))
  const end = (authorization: string, grant = id) =>
    app.inject({ method: 'DELETE', url: `/api/grants/${grant}`, headers: { authorization } })
  for (const change of [{ budget: 41 }, { budget: null }, { budget: 20 }])
    t.match((await patch(change, authorization)).json(), { error: 'budget_too_wide' }, JSON.stringify(change))
  await limited({ amount: null, period: null, apps: ['clips'] })
  t.match((await patch({ budget: 21 }, authorization)).json(), { error: 'budget_too_wide' })
  t.match((await end(`Bearer ${secret}`)).json(), { error: 'budget_too_wide' })
  await limited({ amount: null, apps: null })
  t.match((await patch({ budget: 40, period: 'day' }, authorization)).statusCode, 200, 'its limits were taken away')

  const otherGrant = async () => (await grantsOf(ada)).find((grant: { id: string }) => grant.id !== id).id as string
  const mine = await otherGrant()
  t.match(
    (await end(`Bearer ${access_token}`)).json(),
    { error: 'session_required' },
    'an access token, of another grant',
  )
  t.equal((await end(`Bearer ${access_token}`, mine)).statusCode, 204, 'and its own')
  t.equal((await wallet(app, access_token)).statusCode, 401)
  const next = await own.logIn(ada, { scope: 'oauth', oauth: 'yes' })
  const connecting = await otherGrant()
  t.match((await end(`Bearer ${secret}`, connecting)).json(), { error: 'insufficient_scope', scope: 'oauth' })
  t.equal((await end(`Bearer ${next.access_token}`, connecting)).statusCode, 204, 'whatever its scope')

  const shown = (await page(ada, '/account')).body
  t.match(shown, /May spend up to 40 credits a day, 0 spent; begins anew/)
  t.equal((await page(ada, '/account/budget', { id, budget: '70', period: 'month' })).headers.location, '/account#apps')
  t.match(await grantsOf(ada), [{ budget: 70, period: 'month' }])
  t.equal((await page(ada, '/account/budget', { id, budget: '' })).headers.location, `/account?fault=${id}#grant-${id}`)
  t.equal((await page(bob, '/account/budget', { id, budget: '99' })).statusCode, 303)
  t.match(await grantsOf(ada), [{ budget: 70 }])
  t.match(
    parametersOf((await client.visit(ada, { resource, scope: 'spend' })).headers.location),
    { code: String },
    'who has approved it is not asked again',
  )
})
