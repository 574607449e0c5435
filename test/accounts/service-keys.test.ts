import t from 'tap'
import { type App, type Person, start, startOwn, unique } from '../support/start.ts'

const topup = (more: object = {}) => ({
  ...{ amount: 100, kind: 'topup', reference: unique('pi'), reason: 'Bought at our shop' },
  ...more,
})

const make = async (them: Person) =>
  (await them.post('/api/admin/keys', { name: 'Payment server', scopes: ['topup'] })).json().key as {
    id: string
    key: string
    last_four: string
  }
const post = (app: App, key: string, payload: object, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url: '/api/admin/credits',
    payload,
    headers: { authorization: `Bearer ${key}`, ...headers },
  })
const revoke = (app: App, { authorization }: Person, id: string) =>
  app.inject({ method: 'DELETE', url: `/api/admin/keys/${id}`, headers: { authorization } })

t.test("an operator's own payment server posts top-ups with a key, once for each reference", async (t) => {
  const { app, admin, person } = await start(t)
  const [them, ada] = await Promise.all([admin(), person()])
  const { key, id, last_four } = await make(them)
  t.match(key, /^focus_key_[0-9a-f]{64}$/)
  t.equal(key.slice(-4), last_four)
  const payment = { ...topup(), clerk_id: ada.clerkId }
  for (let n = 0; n < 3; n++) t.equal((await post(app, key, payment)).statusCode, 200)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  const back = { ...topup({ amount: -40, reason: 'Refunded' }), clerk_id: ada.clerkId }
  t.equal((await post(app, key, back)).statusCode, 200)
  t.strictSame(await ada.balance(), { credits: 60, held: 0 })
  const { keys } = (await them.get('/api/admin/keys')).json()
  const shown = keys.find((each: { id: string }) => each.id === id)
  t.match(shown, { name: 'Payment server', scopes: ['topup'], last_four, last_used_at: String })
  t.equal(shown.key, undefined, 'shown once')
})

t.test('a key is for top-ups, from a server, and nothing else', async (t) => {
  const { app, admin, person } = await start(t)
  const [them, ada] = await Promise.all([admin(), person()])
  const { key } = await make(them)
  const payment = { ...topup(), clerk_id: ada.clerkId }
  for (const kind of ['admin_grant', 'adjustment'])
    t.match((await post(app, key, { ...payment, kind })).json(), { error: 'invalid_request', field: 'kind' })
  t.match(await post(app, key, payment, { origin: app.config.publicUrl }), {
    statusCode: 403,
    body: /service_key_in_browser/,
  })
  const headers = { authorization: `Bearer ${key}` }
  for (const url of ['/api/admin/accounts?clerk_id=user_x', '/api/admin/apps', '/api/admin/verify'])
    t.match(await app.inject({ url, headers }), { statusCode: 403, body: /insufficient_scope/ }, url)
  for (const url of ['/api/admin/keys', '/api/wallet', '/api/jobs'])
    t.equal((await app.inject({ url, headers })).statusCode, 401, url)
  t.match((await them.post('/api/admin/keys', { name: 'x', scopes: ['admin'] })).json(), { field: /scopes/ })
  t.match((await them.post('/api/admin/keys', { name: 'x', scopes: [] })).json(), { field: 'scopes' })
  t.equal((await ada.post('/api/admin/keys', { name: 'x', scopes: ['topup'] })).statusCode, 403)
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
})

t.test('a service key does not open an account for a mistyped Clerk id without create', async (t) => {
  const { app, admin } = await start(t)
  const them = await admin()
  const { key } = await make(them)
  const clerk_id = `user_${unique('new').replaceAll('-', '')}`
  const payment = { ...topup(), clerk_id }
  t.match(await post(app, key, payment), { statusCode: 404, body: /account_not_found/ })
  t.equal((await them.get(`/api/admin/accounts?clerk_id=${clerk_id}`)).statusCode, 404, 'nothing was opened')
  t.match((await post(app, key, { ...payment, create: true })).json(), { account: { clerk_id, credits: 100 } })
  t.equal((await post(app, key, { ...topup(), clerk_id })).statusCode, 200, 'known now')
  const other = `user_${unique('other').replaceAll('-', '')}`
  t.equal(
    (await them.post('/api/admin/credits', { ...topup(), clerk_id: other })).statusCode,
    200,
    'an administrator sees whom',
  )
})

t.test('a revoked key is refused immediately on every replica, and so is a wrong one', async (t) => {
  const { app, admin, person } = await start(t)
  const other = await startOwn(t)
  const [them, ada] = await Promise.all([admin(), person()])
  const { key, id } = await make(them)
  const payment = { ...topup(), clerk_id: ada.clerkId }
  t.equal((await post(other.app, key, payment)).statusCode, 200)
  t.equal((await revoke(app, them, id)).statusCode, 204)
  t.equal((await revoke(app, them, id)).json().error, 'service_key_not_found')
  for (const each of [app, other.app]) {
    for (const wrong of [key, 'focus_key_', `focus_key_${'0'.repeat(64)}`])
      t.match(await post(each, wrong, payment), { statusCode: 401, body: /invalid_service_key/ })
  }
  t.notOk((await them.get('/api/admin/keys')).json().keys.some((each: { id: string }) => each.id === id))
})

t.test('references of purchases are not for administrators or servers', async (t) => {
  const { app, admin, person } = await start(t)
  const [them, ada] = await Promise.all([admin(), person()])
  const { key } = await make(them)
  for (const reference of ['stripe:pi_1', 'local:1', 'refund:1', 'starter_grant:video']) {
    const payment = { ...topup({ reference }), clerk_id: ada.clerkId }
    t.match((await them.post('/api/admin/credits', payment)).json(), { field: 'reference' })
    t.match((await post(app, key, payment)).json(), { field: 'reference' })
  }
})
