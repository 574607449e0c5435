import t from 'tap'
import { bearer } from '../support/device.ts'
import { HOSTILE, OURS, opened } from '../support/pages.ts'

t.test('a person makes, sees, changes and revokes a token on the account page', async (t) => {
  const { ada, admin, app, post, see } = await opened(t)
  await (await admin()).post('/api/admin/credits', {
    ...{ clerk_id: ada.clerkId, amount: 100, kind: 'admin_grant', reference: 'pages', reason: 'a test' },
  })
  t.match((await see('/account')).body, 'href="/account/tokens/new"')
  t.match((await see('/account/tokens/new')).body, /name="account" value="[0-9a-f-]{36}"/)
  const account = ada.id
  const form = { account, name: HOSTILE, budget: '1 000', period: 'week', apps: 'Clips, video', expires: '7' }
  const made = await post('/account/tokens/new', form)
  t.equal(made.statusCode, 200)
  t.equal(made.headers['cache-control'], 'no-store')
  const token = /<code>(focus_pat_[0-9A-Za-z]{49})<\/code>/.exec(made.body)?.[1] ?? ''
  const server = bearer(app, token)
  const [listed] = (await server.get('/api/tokens')).json().tokens
  t.match(listed, { budget: 1000, period: 'week', apps: ['clips', 'video'], scopes: ['account'], current: true })
  t.ok(Date.parse(listed.expires_at) < Date.now() + 7.1 * 86_400_000)
  await server.post('/api/jobs', { app: 'clips', action: 'render', cost_estimate: 40 })

  const page = (await see('/account')).body
  t.match(page, /May spend up to 1,000 credits a week, 40 spent; begins anew [^<]*, at clips, video/)
  t.notMatch(page, token)
  t.notMatch(page, '<script>alert')
  const change = `/account/tokens/${listed.id}`
  t.match((await see(change)).body, /name="budget"[^>]* value="1000"[\s\S]*name="apps"[^>]* value="clips video"/)
  const changed = await post(change, { account, name: 'renamed', budget: '', period: 'month', apps: '' })
  t.strictSame([changed.statusCode, changed.headers.location], [303, '/account#tokens'])
  t.match((await server.get('/api/tokens')).json().tokens, [{ name: 'renamed', budget: null, apps: null, spent: 40 }])
  await post('/account/revoke', { id: listed.id })
  t.equal((await server.get('/api/wallet')).statusCode, 401)
  t.equal((await see(change)).statusCode, 404)
})

t.test('a form that is wrong comes back with what was typed, and others are not taken', async (t) => {
  const { ada, app, person, post, see } = await opened(t)
  const wrong: [fields: object, fault: RegExp][] = [
    [{ name: ' ' }, /id="name-fault"[^>]*>Enter a name/],
    [{ budget: '0' }, /Enter a whole number of credits/],
    [{ apps: 'no_slug' }, /id="apps-fault"[^>]*>Enter at most 50 apps/],
  ]
  const form = { account: ada.id, name: 'kept', budget: '7', period: 'day', apps: 'video', expires: '30' }
  for (const [fields, fault] of wrong) {
    const reply = await post('/account/tokens/new', { ...form, ...fields })
    t.equal(reply.statusCode, 400)
    t.match(reply.body, fault)
    t.match(reply.body, 'value="30" selected')
  }
  t.equal((await post('/account/tokens/new', form, { origin: 'https://evil.example.com' })).statusCode, 403)
  const signedOut = await post('/account/tokens/new', form, { origin: OURS }, '')
  t.match([signedOut.statusCode, signedOut.headers.location], [303, /^\/signin/])
  const eve = await person()
  t.notMatch((await post('/account/tokens/new', { ...form, account: eve.id })).body, 'focus_pat_')
  t.strictSame((await ada.get('/api/tokens')).json().tokens, [])
  const made = await post('/account/tokens/new', { ...form, oauth: 'yes' })
  const { tokens } = (await bearer(app, /focus_pat_\w+/.exec(made.body)?.[0] ?? '').get('/api/tokens')).json()
  t.match(tokens, [{ scopes: ['account', 'oauth'], budget: 7 }])
  t.equal((await see(`/account/tokens/${tokens[0].id}`, eve.cookie)).statusCode, 404)
})
