import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { cleanUpBudgets } from '../../src/background/clean-up.ts'
import { bearer, giveTokens, logIn, startLogin } from '../support/device.ts'
import { clientOf, registerClient } from '../support/oauth.ts'
import { earlier, type Person, personWith, start } from '../support/start.ts'

const job = (cost_estimate: number, app = 'clips') => ({ app, action: 'render', cost_estimate })

/** Somebody with credits who makes tokens on our page. */
async function maker(t: Test, env = {}) {
  const service = await start(t, env)
  const { app } = service
  const ada = await personWith(app, 1_000)
  const make = (body: object) => ada.postFromOurPage('/api/tokens', { name: 'server', ...body })
  const made = async (body: object) => {
    const reply = await make(body)
    if (reply.statusCode !== 201) throw new Error(reply.body)
    const { token, id } = reply.json()
    return { id: id as string, token: token as string, ...bearer(app, token) }
  }
  return { ...service, ada, make, made }
}
const refusal = (reply: { statusCode: number; json(): { error?: string } }) => [reply.statusCode, reply.json().error]

t.test('a person makes a token by hand, with what it may spend', async (t) => {
  const { ada, app, make } = await maker(t)
  const limits = { budget: 50, period: 'day', apps: ['clips', 'video', 'clips'] }
  const reply = await make({ name: '  Render\n server ', expires_in_days: 30, ...limits })
  t.equal(reply.statusCode, 201)
  t.equal(reply.headers['cache-control'], 'no-store')
  const { token, id, expires_at } = reply.json()
  t.match(token, /^focus_pat_[0-9A-Za-z]{49}$/)
  t.ok(Math.abs(Date.parse(expires_at) - Date.now() - 30 * 86_400_000) < 60_000)
  const server = bearer(app, token)
  t.equal((await server.post('/api/jobs', job(20))).statusCode, 200)
  const tomorrow = `${new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)}T00:00:00.000Z`
  const { tokens } = (await server.get('/api/tokens')).json()
  t.match(tokens, [
    {
      ...{ id, name: 'Render server', scopes: ['account'], made_by: null, current: true, last_four: token.slice(-4) },
      ...{ budget: 50, period: 'day', apps: ['clips', 'video'], spent: 20, left: 30, resets_at: tomorrow },
    },
  ])
  t.notOk(JSON.stringify(tokens).includes(token))
  const plain = (await make({ name: 'plain' })).json()
  const none = { budget: null, period: null, apps: null, spent: null, left: null, resets_at: null }
  t.match(plain, { scopes: ['account'], ...none })
  t.ok(Date.parse(plain.expires_at) > Date.now() + 89 * 86_400_000)

  for (const [body, field] of [
    [{ name: ' ' }, 'name'],
    [{ name: 'x'.repeat(101) }, 'name'],
    [{ scopes: [] }, 'scopes'],
    [{ scopes: ['root'] }, 'scopes.0'],
    [{ expires_in_days: 366 }, 'expires_in_days'],
    [{ budget: -1 }, 'budget'],
    [{ budget: '5' }, 'budget'],
    [{ period: 'day' }, 'period'],
    [{ budget: 5, period: 'year' }, 'period'],
    [{ apps: [] }, 'apps'],
    [{ apps: ['NO'] }, 'apps.0'],
  ] as const)
    t.match((await make(body)).json(), { error: 'invalid_request', field }, JSON.stringify(body))
  t.equal((await ada.get('/api/tokens')).json().tokens.length, 2)
})

t.test('only a person on our own page or a personal access token makes and changes tokens', async (t) => {
  const { ada, admin, app, made, person } = await maker(t)
  const { id } = await made({})
  const body = { name: 'x' }
  const oauth = clientOf(app, await registerClient(await admin()))
  const access = bearer(app, (await oauth.logIn(ada)).access_token)
  const unscoped = bearer(app, await logIn(app, ada, { scope: 'oauth' }))
  const elsewhere = { cookie: ada.cookie, origin: 'https://evil.example.com' }
  const send = (headers: object, payload = body) =>
    app.inject({ method: 'POST', url: '/api/tokens', headers: { ...headers }, payload })
  t.strictSame(refusal(await send({})), [401, 'not_signed_in'])
  t.strictSame(refusal(await ada.post('/api/tokens', body)), [401, 'session_required'], 'the JWT of an app')
  t.strictSame(refusal(await access.post('/api/tokens', body)), [401, 'session_required'])
  t.strictSame(refusal(await access.patch(`/api/tokens/${id}`, body)), [401, 'session_required'])
  t.strictSame(refusal(await send(elsewhere)), [403, 'origin_not_allowed'])
  t.strictSame(refusal(await send({ cookie: ada.cookie })), [403, 'origin_not_allowed'])
  t.strictSame(refusal(await unscoped.post('/api/tokens', body)), [403, 'insufficient_scope'])
  const eve = bearer(app, await logIn(app, await person()))
  t.strictSame(refusal(await eve.patch(`/api/tokens/${id}`, body)), [404, 'token_not_found'])
  t.strictSame(refusal(await eve.patch('/api/tokens/none', body)), [404, 'token_not_found'])
})

t.test('a token makes none that is wider than itself, and what it makes counts against it', async (t) => {
  const { ada, app, made } = await maker(t)
  const parent = await made({ budget: 50, period: 'week', apps: ['clips', 'video'], expires_in_days: 3 })
  const narrow = { name: 'child', budget: 50, period: 'week', apps: ['clips'] }
  const tooWide = [
    { budget: 51 },
    { budget: null, period: null },
    { period: 'day' },
    { apps: null },
    { apps: ['audio'] },
  ]
  for (const change of tooWide) {
    const reply = await parent.post('/api/tokens', { ...narrow, ...change })
    t.strictSame(refusal(reply), [403, 'budget_too_wide'], JSON.stringify(change))
    t.match(reply.json().message, /50 credits a week and the apps clips, video/)
  }
  t.strictSame(refusal(await parent.post('/api/tokens', { ...narrow, scopes: ['admin'] })), [403, 'insufficient_scope'])
  const reply = await parent.post('/api/tokens', { ...narrow, expires_in_days: 365 })
  t.equal(reply.statusCode, 201)
  t.match(reply.json(), { made_by: parent.id })
  t.ok(Date.parse(reply.json().expires_at) < Date.now() + 3.01 * 86_400_000, 'it expires no later')
  const child = bearer(app, reply.json().token)
  const grandchild = bearer(app, (await child.post('/api/tokens', { ...narrow, budget: 40 })).json().token)
  t.strictSame(refusal(await grandchild.post('/api/tokens', narrow)), [403, 'budget_too_wide'])

  t.equal((await parent.post('/api/jobs', job(20))).statusCode, 200)
  t.equal((await grandchild.post('/api/jobs', job(25))).statusCode, 200)
  t.match((await child.post('/api/jobs', job(6))).json(), { error: 'budget_exceeded', budget: 50, spent: 45 })
  t.match((await grandchild.post('/api/jobs', job(1, 'video'))).json(), { error: 'app_not_allowed', apps: ['clips'] })
  const spent = async () => (await ada.get('/api/tokens')).json().tokens.map((token: { spent: number }) => token.spent)
  t.strictSame(await spent(), [25, 25, 45], 'newest first')

  const unlimited = await made({})
  const free = bearer(app, (await unlimited.post('/api/tokens', { name: 'free' })).json().token)
  const limited = await ada.postFromOurPage(`/api/tokens/${unlimited.id}`, {}, {})
  t.equal(limited.statusCode, 405)
  await changed(ada, app, unlimited.id, { budget: 3 })
  t.match(
    (await free.post('/api/jobs', job(4))).json(),
    { error: 'budget_exceeded' },
    'a later budget binds what it made',
  )
})

const changed = (ada: Person, app: Awaited<ReturnType<typeof maker>>['app'], id: string, payload: object) =>
  app.inject({
    ...{ method: 'PATCH', url: `/api/tokens/${id}`, payload },
    headers: { cookie: ada.cookie, origin: app.config.publicUrl },
  })

t.test('revoking a token revokes what it made, and what that made; holds of it settle', async (t) => {
  const { ada, app, made, make } = await maker(t)
  const parent = await made({ budget: 50 })
  const child = bearer(app, (await parent.post('/api/tokens', { name: 'child', budget: 9 })).json().token)
  const grandchild = bearer(app, (await child.post('/api/tokens', { name: 'grandchild', budget: 9 })).json().token)
  const other = (await make({ name: 'other' })).json()
  const { job_id } = (await grandchild.post('/api/jobs', job(5))).json()
  t.equal((await ada.postFromOurPage('/account/revoke', { id: parent.id })).statusCode, 303)
  for (const revoked of [parent, child, grandchild])
    t.strictSame(refusal(await revoked.get('/api/wallet')), [401, 'token_revoked'])
  const { tokens } = (await ada.get('/api/tokens')).json()
  t.strictSame(
    tokens.map(({ id }: { id: string }) => id),
    [other.id],
  )
  t.equal((await ada.complete(job_id, 3)).statusCode, 200)
  const { rows } = await sql`select spent from budgets where account_id = ${ada.id} and spent > 0`.execute(app.db)
  t.strictSame(rows, [{ spent: 3 }, { spent: 3 }, { spent: 3 }])
  t.strictSame(refusal(await changed(ada, app, parent.id, { budget: 5 })), [404, 'token_not_found'])
})

t.test('what a token makes while it is revoked does not outlive it', async (t) => {
  const { ada, app, made } = await maker(t)
  for (let round = 0; round < 5; round++) {
    const parent = await made({})
    const [, ...children] = await Promise.all([
      bearer(app, parent.token).delete('/api/tokens/current'),
      ...Array.from({ length: 4 }, () => parent.post('/api/tokens', { name: 'child' })),
    ])
    for (const child of children) t.ok([201, 401].includes(child.statusCode))
    t.strictSame((await ada.get('/api/tokens')).json().tokens, [])
  }
})

t.test(
  'a token is worth nothing once what made it was revoked, also where its own revocation was missed',
  async (t) => {
    const { app, db, made } = await maker(t)
    const parent = await made({})
    const { token } = (await parent.post('/api/tokens', { name: 'child' })).json()
    // As a revocation that did not see the child does it.
    await db.updateTable('tokens').set({ revoked_at: new Date() }).where('id', '=', parent.id).execute()
    t.match((await bearer(app, token).get('/api/wallet')).json(), { error: 'token_revoked' })
  },
)

t.test('a token changes: name, budget and apps, never wider than who changes it', async (t) => {
  const { ada, app, made } = await maker(t)
  const server = await made({ budget: 50, period: 'day' })
  const change = (body: object) => changed(ada, app, server.id, body)
  await server.post('/api/jobs', job(20))
  t.match((await change({ name: 'renamed' })).json().token, { name: 'renamed', budget: 50, spent: 20 })
  t.match((await change({ budget: 10 })).json().token, { budget: 10, period: 'day', spent: 20, left: 0 })
  t.match((await server.post('/api/jobs', job(0))).json(), { error: 'budget_exceeded', budget: 10, spent: 20 })
  t.match((await change({ period: null, budget: 30, apps: ['clips'] })).json().token, { period: null, left: 10 })
  t.equal((await server.post('/api/jobs', job(1))).statusCode, 200)

  t.strictSame(refusal(await server.patch('/api/tokens/current', { budget: 31 })), [403, 'budget_too_wide'])
  t.strictSame(refusal(await server.patch('/api/tokens/current', { budget: null })), [403, 'budget_too_wide'])
  t.strictSame(refusal(await server.patch('/api/tokens/current', { apps: null })), [403, 'budget_too_wide'])
  t.match((await server.patch('/api/tokens/current', { budget: 29 })).json().token, { budget: 29, current: true })
  const other = await made({})
  t.strictSame(refusal(await server.patch(`/api/tokens/${other.id}`, { budget: 29 })), [403, 'budget_too_wide'])
  t.strictSame(refusal(await change({ budget: null, period: 'day' })), [400, 'invalid_request'])
  t.match((await change({ budget: null, apps: null })).json().token, { budget: null, apps: null, spent: 21 })
  t.equal((await server.post('/api/jobs', job(500, 'audio'))).statusCode, 200)
  t.strictSame(refusal(await changed(ada, app, crypto.randomUUID(), { budget: 1 })), [404, 'token_not_found'])
})

t.test('a token changes and revokes itself and what it made; others only where it is as wide', async (t) => {
  const { ada, app, admin, made } = await maker(t)
  const limited = await made({ budget: 50, period: 'day' })
  const child = (await limited.post('/api/tokens', { name: 'child', budget: 9, period: 'day' })).json()
  const grandchild = await bearer(app, child.token).post('/api/tokens', {
    name: 'grandchild',
    budget: 5,
    period: 'day',
  })
  const sibling = await made({ budget: 5, period: 'day' })
  const listed = await made({ apps: ['clips'] })
  for (const by of [limited, listed])
    for (const body of [{ budget: 50, period: 'day', apps: ['clips'] }, { budget: 4 }, { name: 'mine' }])
      t.strictSame(refusal(await by.patch(`/api/tokens/${sibling.id}`, body)), [403, 'budget_too_wide'])
  for (const by of [limited, bearer(app, child.token), listed])
    t.strictSame(refusal(await by.delete(`/api/tokens/${sibling.id}`)), [403, 'budget_too_wide'])
  t.strictSame(refusal(await bearer(app, child.token).patch(`/api/tokens/${limited.id}`, { budget: 1 })), [
    ...[403, 'budget_too_wide'],
  ])
  t.equal((await limited.patch(`/api/tokens/${child.id}`, { budget: 10 })).statusCode, 200)
  t.equal((await limited.patch(`/api/tokens/${grandchild.json().id}`, { budget: 6 })).statusCode, 200)
  t.equal((await limited.delete(`/api/tokens/${child.id}`)).statusCode, 204)
  t.equal((await limited.delete(`/api/tokens/${child.id}`)).statusCode, 204, 'again is no fault')

  const wide = await made({})
  t.equal((await wide.patch(`/api/tokens/${sibling.id}`, { budget: 70 })).statusCode, 200)
  const root = await made({ scopes: ['account', 'admin'] })
  t.match((await wide.delete(`/api/tokens/${root.id}`)).json(), { error: 'insufficient_scope', scope: 'admin' })
  t.match((await wide.patch(`/api/tokens/${root.id}`, { budget: 0 })).json(), { error: 'insufficient_scope' })
  t.equal((await root.delete(`/api/tokens/${sibling.id}`)).statusCode, 204)

  const oauth = clientOf(app, await registerClient(await admin()))
  const access = bearer(app, (await oauth.logIn(ada)).access_token)
  t.strictSame(refusal(await access.delete(`/api/tokens/${limited.id}`)), [401, 'session_required'])
  t.strictSame(refusal(await access.delete(`/api/tokens/${crypto.randomUUID()}`)), [404, 'token_not_found'])
  t.equal((await access.delete('/api/tokens/current')).statusCode, 204)
  t.equal((await access.get('/api/wallet')).statusCode, 401)
  t.equal((await limited.delete('/api/tokens/current')).statusCode, 204)
  t.equal((await wide.delete(`/api/tokens/${listed.id}`)).statusCode, 204)
})

t.test('of the tokens and approvals that are too many at once, a hundred live', async (t) => {
  const { ada, app, db, make } = await maker(t)
  await giveTokens({ db }, ada, 97)
  const login = await startLogin(app)
  const replies = await Promise.all([
    ada.postFromOurPage('/api/device/complete', { user_code: login.user_code }),
    ...Array.from({ length: 6 }, () => make({ budget: 5 })),
  ])
  const refused = replies.filter(({ statusCode }) => statusCode === 409)
  t.equal(refused.length, 4)
  for (const reply of refused) t.equal(reply.json().error, 'too_many_tokens')
  const { rows } = await sql`select from budgets where account_id = ${ada.id}`.execute(db)
  t.ok(rows.length <= 3, 'no budget stays of a token that was not made')
})

t.test('the budget of a token that is deleted is deleted after a day', async (t) => {
  const { ada, db, made } = await maker(t)
  const [gone, kept] = [await made({ budget: 5 }), await made({ budget: 5 })]
  await db.deleteFrom('tokens').where('id', '=', gone.id).execute()
  await cleanUpBudgets(db)
  const ids = async () =>
    (await db.selectFrom('budgets').select('id').where('account_id', '=', ada.id).execute()).map(({ id }) => id)
  t.strictSame((await ids()).sort(), [gone.id, kept.id].sort(), 'not at once')
  await sql`update budgets set created_at = ${earlier('created_at', '2 days')} where account_id = ${ada.id}`.execute(db)
  await cleanUpBudgets(db)
  t.strictSame(await ids(), [kept.id])
})
