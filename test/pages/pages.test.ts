import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { ALLOWED, type Fields, HOSTILE, logInByPage, OURS, opened, startLoginHere } from '../support/pages.ts'
import { start } from '../support/start.ts'

const ESCAPED = '&lt;script&gt;alert(1)&lt;/script&gt;'

t.test('every page is for this reader alone: not stored, not framed, no script but ours', async (t) => {
  const { app, see, post } = await opened(t)
  const { user_code } = await startLoginHere(app)
  const pages = [
    await see('/signin', ''),
    await see('/signin?redirect_to=https://evil.example/'),
    await see('/account'),
    await see('/account/entries'),
    await see('/device'),
    await see(`/device?user_code=${user_code}`),
    await see('/device?user_code=nonsense'),
    await post('/device', { user_code, shown: user_code, action: 'deny' }),
    await post('/device', {}, { origin: 'https://evil.example' }),
    await see('/account?before=x'),
  ]
  for (const page of pages) {
    const policy = String(page.headers['content-security-policy'])
    t.match(page.headers, {
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'content-type': 'text/html; charset=utf-8',
    })
    for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]) {
      t.ok(policy.split('; ').includes(rule), rule)
    }
    t.notMatch(policy, 'unsafe-inline')
    t.notMatch(policy, 'upgrade-insecure-requests')
    t.notMatch(page.body, / style=| on[a-z]+=|<script>|<style>/, 'nothing inline, which the policy would refuse')
  }
})

t.test('a form may end at the checked target of the sign-in, and nowhere else', async (t) => {
  const { see } = await opened(t)
  const actionOf = async (url: string) =>
    /form-action ([^;]+)/.exec(String((await see(url, '')).headers['content-security-policy']))?.[1]
  t.equal(await actionOf(`/signin?redirect_to=${encodeURIComponent(`${ALLOWED}/x;y`)}`), `'self' ${ALLOWED}`)
  t.equal(await actionOf('/signin'), "'self'")
  t.equal(await actionOf('/signin?redirect_to=https://evil.example/'), "'self'")
})

t.test('with Clerk scripts come from its hosts, by name, and data is handed over in attributes', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ALLOWED_ORIGINS: ALLOWED })
  const page = await app.inject({
    url: `/signin?token_in=fragment&redirect_to=${encodeURIComponent(`${ALLOWED}/"><script>`)}`,
  })
  const policy = Object.fromEntries(
    String(page.headers['content-security-policy'])
      .split('; ')
      .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1)]),
  )
  const host = new URL(clerk.issuer).host
  t.strictSame(policy['script-src'], [
    "'self'",
    `https://${host}`,
    'https://challenges.cloudflare.com',
    'https://*.protect.clerk.com',
  ])
  t.strictSame(policy['frame-ancestors'], ["'none'"])
  t.strictSame(policy['form-action'], ["'self'"])
  t.notMatch(page.body, /<script>| on[a-z]+=/)
  t.match(page.body, `data-host="${host}"`)
  const onward = `/signin?redirect_to=${encodeURIComponent(`${ALLOWED}/%22%3E%3Cscript%3E`)}&amp;token_in=fragment&amp;returned=1`
  t.match(page.body, `data-onward="${onward}"`)
  t.match((await app.inject({ url: '/signin?returned=1' })).body, 'data-state="returned"')
  const local = await app.inject({ method: 'POST', url: '/signin', payload: { email: 'ada@example.com' } })
  t.equal(local.statusCode, 404)
})

t.test('whatever people and apps write is text', async (t) => {
  const service = await opened(t)
  const { app, see, post, ada } = service
  const metadata = { description: HOSTILE, previewUrl: `https://video.example.com/${HOSTILE}` }
  await ada.get('/api/wallet?app=video')
  const job = { app: 'video', action: 'render', cost_estimate: 1, metadata }
  const { job_id } = (await ada.post('/api/jobs', job)).json()
  await ada.post('/api/jobs', { app: 'video', action: HOSTILE, cost_estimate: 1 })
  await logInByPage(service, { client_name: HOSTILE })
  const { user_code } = await startLoginHere(app, { client_name: HOSTILE })
  const pages = {
    account: await see('/account'),
    entries: await see('/account/entries'),
    job: await see(`/account/jobs/${job_id}`),
    device: await see(`/device?user_code=${user_code}`),
    result: await post('/device', { user_code, shown: user_code, action: 'deny' }),
    code: await post('/device', { user_code: HOSTILE }),
    'a code that is shown': await post('/device', { user_code: HOSTILE, shown: HOSTILE, action: 'approve' }),
    email: await post('/signin', { email: HOSTILE }, {}, ''),
  }
  for (const [name, { body }] of Object.entries(pages)) {
    t.notMatch(body, /<script>|<img src=x/, name)
    t.ok(body.includes(ESCAPED), `${name} shows it as it was written`)
  }
  t.match(pages.account.body, 'rel="noopener noreferrer"')
  t.equal(pages.email.statusCode, 400)
})

t.test('who is not signed in comes back to where they wanted to', async (t) => {
  const { see, post } = await opened(t)
  for (const [answer, path] of [
    [await see('/account/entries?before=5', ''), '/account/entries?before=5'],
    [await see('/device?user_code=wdjb+1234', 'focus_session_3000=unknown'), '/device?user_code=wdjb+1234'],
    [await see(`/device?user_code=${'x'.repeat(5000)}`, ''), `/device?user_code=${'x'.repeat(100)}`],
    [
      await post('/device', { user_code: 'WDJB-1234' }, { origin: OURS }, ''),
      '/device?user_code=WDJB-1234&must_type=1',
    ],
  ] as const) {
    t.equal(answer.statusCode, 303)
    const location = new URL(String(answer.headers.location), OURS)
    t.equal(location.pathname, '/signin')
    t.equal(location.searchParams.get('redirect_to'), OURS + path)
    t.equal(answer.headers['cache-control'], 'no-store')
  }
  for (const answer of [await see('/account', ''), await post('/account/revoke', { id: 'x' }, { origin: OURS }, '')]) {
    t.match([answer.statusCode, answer.headers.location], [303, '/signin'], 'which ends at the account page by itself')
  }
})

t.test("forms work from our own pages only, with the person's cookies or without", async (t) => {
  const service = await opened(t)
  const { app, post, db } = service
  const token = await logInByPage(service, {})
  const { user_code } = await startLoginHere(app)
  const { id } = await db
    .selectFrom('tokens')
    .select('id')
    .where('account_id', '=', service.ada.id)
    .executeTakeFirstOrThrow()
  const forms: [string, Fields][] = [
    ['/device', { user_code, shown: user_code, action: 'approve' }],
    ['/account/revoke', { id }],
    ['/signout', {}],
  ]
  for (const headers of [
    { origin: ALLOWED },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'http://localhost:3000.evil.example' },
    { origin: ALLOWED, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'none' },
    {},
  ] as Fields[]) {
    for (const [url, fields] of forms) {
      const answer = await post(url, fields, headers)
      t.equal(answer.statusCode, 403, `${url} ${JSON.stringify(headers)}`)
      t.match(answer.body, OURS, 'says where it can be done')
    }
  }
  const { status } = await db
    .selectFrom('device_codes')
    .select('status')
    .where('user_code', '=', user_code)
    .executeTakeFirstOrThrow()
  t.equal(status, 'pending')
  t.equal((await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })).statusCode, 200)
  t.equal((await service.see('/account')).statusCode, 200)

  t.equal((await post('/device', forms[0]?.[1] ?? {}, { 'sec-fetch-site': 'same-origin' })).statusCode, 200)
  t.equal((await post('/account/revoke', { id }, { 'sec-fetch-site': 'same-origin' })).statusCode, 303)
})

t.test('signing out ends the session, says so once, and leads on to where it was asked to', async (t) => {
  const { app, see, post, ada } = await opened(t)
  const out = await post('/signout', { redirect_to: `${OURS}/device?user_code=WDJB-1234` })
  t.equal(out.headers.location, `/signin?redirect_to=${encodeURIComponent(`${OURS}/device?user_code=WDJB-1234`)}`)
  t.equal((await see('/account', ada.cookie)).statusCode, 303)
  const flash = out.cookies.find(({ name }) => name === 'focus_signed_out_3000')
  t.match(flash, { httpOnly: true, sameSite: 'Lax', path: '/signin' })
  const said = await app.inject({ url: '/signin', headers: { cookie: 'focus_signed_out_3000=1' } })
  t.match(said.body, 'You are signed out.')
  t.match(said.cookies, [{ name: 'focus_signed_out_3000', value: '' }])
  t.equal((await post('/signout', { redirect_to: 'https://evil.example/' })).statusCode, 400)
})
