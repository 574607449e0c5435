import t, { type Test } from 'tap'
import { startClerk } from './support/clerk-stand-in.ts'
import { daysAgo, past } from './support/history.ts'
import { type App, start, unique } from './support/start.ts'

const OURS = 'http://localhost:3000'
const ALLOWED = 'http://localhost:5173'
const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;`
const ESCAPED = '&lt;script&gt;alert(1)&lt;/script&gt;'

type Fields = Record<string, string>

const opened = async (t: Test, env: Fields = {}) => {
  const service = await start(t, { ALLOWED_ORIGINS: ALLOWED, ...env })
  const { app } = service
  const ada = await service.person()
  return {
    ...service,
    ada,
    see: (url: string, cookie = ada.cookie) => app.inject({ url, headers: { cookie } }),
    post: (url: string, fields: Fields, headers: Fields = { origin: OURS }, cookie = ada.cookie) =>
      app.inject({
        method: 'POST',
        url,
        payload: new URLSearchParams(fields).toString(),
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      }),
  }
}

let devices = 0
/** By default from this machine, each from an address of its own: starts are counted by address. */
const startLogin = async (app: App, payload: object = {}, remoteAddress = `127.0.1.${++devices}`) =>
  (await app.inject({ method: 'POST', url: '/api/device/start', payload, remoteAddress })).json() as {
    device_code: string
    user_code: string
  }

/** From a device that asks to the token it gets. */
async function logIn({ app, post }: Awaited<ReturnType<typeof opened>>, payload: object, cookie?: string) {
  const { user_code, device_code } = await startLogin(app, payload)
  const fields = { shown: user_code, user_code, action: 'approve' }
  await post('/device', fields, { origin: OURS }, cookie)
  const polled = await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code } })
  return polled.json().token as string
}

t.test('every page is for this reader alone: not stored, not framed, no script but ours', async (t) => {
  const { app, see, post } = await opened(t)
  const { user_code } = await startLogin(app)
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
  await ada.post('/api/jobs', { app: 'video', action: 'render', cost_estimate: 1, metadata })
  await ada.post('/api/jobs', { app: 'video', action: HOSTILE, cost_estimate: 1 })
  await logIn(service, { client_name: HOSTILE })
  const { user_code } = await startLogin(app, { client_name: HOSTILE })
  const pages = {
    account: await see('/account'),
    entries: await see('/account/entries'),
    device: await see(`/device?user_code=${user_code}`),
    result: await post('/device', { user_code, shown: user_code, action: 'deny' }),
    code: await see(`/device?user_code=${encodeURIComponent(HOSTILE)}`),
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

t.test('a preview is a link only when it leads to the web', async (t) => {
  const { see, ada } = await opened(t)
  await ada.get('/api/wallet?app=video')
  const urls = [
    'javascript:alert(1)',
    'data:text/html,x',
    'ftp://a.example/',
    '//a.example/',
    'file:///etc/passwd',
    7,
    {},
  ]
  for (const previewUrl of [...urls, 'http://ok.example/1', 'https://ok.example/2']) {
    await ada.post('/api/jobs', { app: 'video', action: 'render', cost_estimate: 0, metadata: { previewUrl } })
  }
  const links = [
    ...(await see('/account')).body.matchAll(/<a href="([^"]+)" rel="noopener noreferrer" target="_blank">/g),
  ]
  t.strictSame(
    links.map(([, href]) => href),
    ['https://ok.example/2', 'http://ok.example/1'],
  )
})

t.test('who is not signed in comes back to where they wanted to', async (t) => {
  const { see, post } = await opened(t)
  for (const [answer, path] of [
    [await see('/account/entries?before=5', ''), '/account/entries?before=5'],
    [await see('/device?user_code=wdjb+1234', 'focus_session=unknown'), '/device?user_code=wdjb+1234'],
    [await see(`/device?user_code=${'x'.repeat(5000)}`, ''), `/device?user_code=${'x'.repeat(100)}`],
    [await post('/device', { user_code: 'WDJB-1234' }, { origin: OURS }, ''), '/device?user_code=WDJB-1234'],
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
  const token = await logIn(service, {})
  const { user_code } = await startLogin(app)
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

t.test('a device is decided about by a button alone, and by the code that was shown', async (t) => {
  const { app, see, post, db } = await opened(t)
  const [shown, other] = [
    await startLogin(app, { client_name: 'shown' }),
    await startLogin(app, { client_name: 'other' }),
  ]
  const statusOf = async ({ user_code }: { user_code: string }) =>
    (await db.selectFrom('device_codes').select('status').where('user_code', '=', user_code).executeTakeFirstOrThrow())
      .status

  await see(`/device?user_code=${shown.user_code}&action=approve`)
  await post('/device', { user_code: shown.user_code })
  await post('/device', { user_code: shown.user_code, shown: shown.user_code, action: 'APPROVE' })
  await post('/device', { user_code: shown.user_code, action: 'approve' })
  t.equal(await statusOf(shown), 'pending')
  const switched = await post('/device', { user_code: other.user_code, shown: shown.user_code, action: 'approve' })
  t.match(switched.body, '<dd>other</dd>', 'the other request is shown first')
  t.strictSame([await statusOf(shown), await statusOf(other)], ['pending', 'pending'])

  const approve = {
    user_code: ` ${shown.user_code.toLowerCase().replace('-', '')} `,
    shown: shown.user_code,
    action: 'approve',
  }
  t.match((await post('/device', approve)).body, 'Device approved')
  t.match((await post('/device', approve)).body, 'Device approved', 'sent twice, it stays so')
  t.match((await see(`/device?user_code=${shown.user_code}`)).body, 'Device approved')
  const changed = await post('/device', { ...approve, action: 'deny' })
  t.match([changed.statusCode, changed.body], [410, /used already/])
  t.match((await post('/device', { shown: other.user_code, user_code: '', action: 'deny' })).body, 'Device denied')
})

t.test('a code of another person, an expired one and an unknown one say so with their status', async (t) => {
  const { app, see, post, person, db } = await opened(t)
  const bob = await person()
  const taken = await startLogin(app)
  await post(
    '/device',
    { user_code: taken.user_code, shown: taken.user_code, action: 'approve' },
    { origin: OURS },
    bob.cookie,
  )
  const used = await see(`/device?user_code=${taken.user_code}`)
  t.match([used.statusCode, used.body], [410, /used already/])

  const { user_code } = await startLogin(app)
  const expires_at = new Date(Date.now() - 1000)
  await db.updateTable('device_codes').set({ expires_at }).where('user_code', '=', user_code).execute()
  for (const answer of [
    await see(`/device?user_code=${user_code}`),
    await post('/device', { user_code, shown: user_code, action: 'approve' }),
  ]) {
    t.match([answer.statusCode, answer.body], [410, /This code has expired/])
  }
  t.equal((await see('/device?user_code=BCDF-0000')).statusCode, 400)
  t.equal((await see('/device?user_code=a&user_code=b')).statusCode, 200, 'two codes are none: the form to enter one')
})

t.test('a login from another address is warned of, and its code is not there to be copied', async (t) => {
  const { app, see, ada } = await opened(t)
  const bodyFor = async (asked: string, mine = '127.0.0.1') => {
    const { user_code } = await startLogin(app, {}, asked)
    const url = `/device?user_code=${user_code}`
    const { body } = await app.inject({ url, headers: { cookie: ada.cookie }, remoteAddress: mine })
    return { body, visible: body.replace(/<input type="hidden"[^>]*>/g, ''), user_code }
  }
  const far = await bodyFor('203.0.113.7')
  t.match(far.body, '203.0.113.7, which is not your address (127.0.0.1)')
  t.match(far.body, /<input id="user_code" name="user_code"(?![^>]*value)/)
  t.notOk(far.visible.includes(far.user_code))
  for (const [asked, mine] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2::3', '2001:db8:1:2:ffff::4'],
    ['::1', '127.0.0.1'],
  ] as const) {
    const near = await bodyFor(asked, mine)
    t.notMatch(near.body, 'not your address', `${asked} is at home at ${mine}`)
    t.ok(near.visible.includes(near.user_code))
  }
  t.match((await bodyFor('2001:db8:1:2::3', '2001:db8:1:3::3')).body, 'not your address')
  const { user_code } = await startLogin(app, { scope: 'account admin' })
  t.match((await see(`/device?user_code=${user_code}`)).body, '<li class="fault">Administer this service')
})

t.test('the chart and its table have the balance at the end of each of 30 days', async (t) => {
  const { db, see, ada } = await opened(t)
  const movements = Array.from({ length: 300 }, (_, i) => ({ at: daysAgo(45 - i * 0.15), amount: i % 4 ? 7 : -9 }))
  await past(db, ada.id, movements)
  const midnight = Math.floor(Date.now() / 86_400_000) * 86_400_000
  const expected = Array.from({ length: 30 }, (_, i) => {
    const end = midnight + (1 - i) * 86_400_000
    return movements.filter(({ at }) => at.getTime() < end).reduce((sum, { amount }) => sum + amount, 0)
  })
  const { body } = await see('/account')
  const table = [...body.matchAll(/<tr><td>[^<]+<\/td><td>([^<]+)<\/td><\/tr>/g)]
  t.strictSame(
    table.map(([, credits]) => Number(credits?.replace('−', '-').replaceAll(',', ''))),
    expected,
  )
  t.match(body, /role="img" aria-labelledby="chart-text"/)
  t.match(body, new RegExp(`to ${expected[0]?.toLocaleString('en-US')} credits today`))
})

t.test('jobs and entries come in pages, newest first', async (t) => {
  const { see, ada } = await opened(t)
  await ada.get('/api/wallet?app=video')
  for (let i = 1; i <= 23; i++) {
    await ada.post('/api/jobs', { app: 'video', action: `job ${i}.`, cost_estimate: 0 })
  }
  const seen: number[] = []
  let next: string | undefined = '/account'
  for (let pages = 0; next && pages < 5; pages++) {
    const { body } = await see(next)
    seen.push(...[...body.matchAll(/<p class="what">job (\d+)\.</g)].map(([, n]) => Number(n)))
    next = /href="(\/account\?before=[^"]+)"/.exec(body)?.[1]
  }
  t.strictSame(
    seen,
    Array.from({ length: 23 }, (_, i) => 23 - i),
  )

  for (let i = 0; i < 30; i++) {
    await ada.complete((await ada.reserve(1)).json().job_id, 0)
  }
  const first = (await see('/account/entries')).body
  const older = /href="(\/account\/entries\?before=\d+)"/.exec(first)?.[1] ?? ''
  const amounts = (body: string) => [...body.matchAll(/<p class="number[^"]*">([+−]\d+)</g)].map(([, amount]) => amount)
  t.equal(amounts(first).length, 50)
  t.equal(amounts((await see(older)).body).length, 11)
  t.equal((await see('/account/entries?before=nonsense')).statusCode, 400)
  t.equal((await see('/account?before=nonsense')).statusCode, 400)
})

t.test("nobody sees or revokes what is somebody else's", async (t) => {
  const service = await opened(t)
  const { see, post, person, db } = service
  const bob = await person(`${unique('bob')}@example.com`)
  await logIn(service, { client_name: "ada's" })
  t.notMatch((await see('/account', bob.cookie)).body, 'ada&#39;s')
  const { id } = await db
    .selectFrom('tokens')
    .select('id')
    .where('account_id', '=', service.ada.id)
    .executeTakeFirstOrThrow()
  t.equal((await post('/account/revoke', { id }, { origin: OURS }, bob.cookie)).statusCode, 404)
  t.equal((await post('/account/revoke', { id: 'x' })).statusCode, 400)
  t.equal((await post('/account/revoke', { id })).statusCode, 303)
})

t.test('signing out ends the session, says so once, and leads on to where it was asked to', async (t) => {
  const { app, see, post, ada } = await opened(t)
  const out = await post('/signout', { redirect_to: `${OURS}/device?user_code=WDJB-1234` })
  t.equal(out.headers.location, `/signin?redirect_to=${encodeURIComponent(`${OURS}/device?user_code=WDJB-1234`)}`)
  t.equal((await see('/account', ada.cookie)).statusCode, 303)
  const flash = out.cookies.find(({ name }) => name === 'focus_signed_out')
  t.match(flash, { httpOnly: true, sameSite: 'Lax', path: '/signin' })
  const said = await app.inject({ url: '/signin', headers: { cookie: 'focus_signed_out=1' } })
  t.match(said.body, 'You are signed out.')
  t.match(said.cookies, [{ name: 'focus_signed_out', value: '' }])
  t.equal((await post('/signout', { redirect_to: 'https://evil.example/' })).statusCode, 400)
})
