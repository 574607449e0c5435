import t from 'tap'
import { giveTokens } from '../support/device.ts'
import { OURS, opened, startLoginHere } from '../support/pages.ts'

t.test('a device is decided about by a button alone, and by the code that was shown', async (t) => {
  const { app, see, post, db } = await opened(t)
  const [shown, other] = [
    await startLoginHere(app, { client_name: 'shown' }),
    await startLoginHere(app, { client_name: 'other' }),
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
  t.match([changed.statusCode, changed.body], [410, /already been used/])
  t.match((await post('/device', { shown: other.user_code, user_code: '', action: 'deny' })).body, 'Device denied')
})

t.test('the page says who asks, for what and for how long', async (t) => {
  for (const [env, days] of [
    [{}, '90 days'],
    [{ PAT_TTL_DAYS: '1' }, '1 day'],
  ] as const) {
    const { app, see, post } = await opened(t, env)
    const { user_code } = await startLoginHere(app, { client_name: 'focus on ada-laptop' })
    const { body } = await see(`/device?user_code=${user_code}`)
    t.match(body, '<h1>Allow this device?</h1>')
    t.match(body, '<dt>Name</dt><dd>focus on ada-laptop</dd>')
    t.match(body, /<dt>It will be able to<\/dt><dd><ul><li>See who you are/)
    t.match(body, `</ul>for ${days}, or until you revoke it</dd>`)
    const approved = await post('/device', { user_code, shown: user_code, action: 'approve' })
    t.match(approved.body, `It has access for ${days}, or until you revoke it`)
  }
})

t.test('a code of another person, an expired one and an unknown one say so with their status', async (t) => {
  const { app, see, post, person, db } = await opened(t)
  const bob = await person()
  const taken = await startLoginHere(app)
  await post(
    '/device',
    { user_code: taken.user_code, shown: taken.user_code, action: 'approve' },
    { origin: OURS },
    bob.cookie,
  )
  const used = await see(`/device?user_code=${taken.user_code}`)
  t.match([used.statusCode, used.body], [410, /already been used/])

  const { user_code } = await startLoginHere(app)
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
    const { user_code } = await startLoginHere(app, {}, asked)
    const url = `/device?user_code=${user_code}`
    const headers = { cookie: ada.cookie, 'sec-fetch-site': 'none' }
    const { body } = await app.inject({ url, headers, remoteAddress: mine })
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
  const { user_code } = await startLoginHere(app, { scope: 'account admin' })
  t.match((await see(`/device?user_code=${user_code}`)).body, '<li class="fault">Administer this service for all users')
})

t.test('behind a proxy both addresses are read as they are meant', async (t) => {
  const { app, see, ada, db } = await opened(t, { LOCAL_IDENTITY: 'expose', TRUST_PROXY: '127.0.0.1' })
  for (const [asked, kept, mine] of [
    ['203.0.113.9:1234', '203.0.113.9', '203.0.113.9:4321'],
    ['[2001:db8:0:1::1]:443', '2001:db8:0:1::1', '2001:db8:0:1:FFFF::2'],
    ['::ffff:203.0.113.8', '203.0.113.8', '203.0.113.8'],
  ] as const) {
    const started = await app.inject({
      method: 'POST',
      url: '/api/device/start',
      headers: { 'x-forwarded-for': asked },
    })
    const { user_code } = started.json()
    const stored = db.selectFrom('device_codes').select('requested_from').where('user_code', '=', user_code)
    t.equal((await stored.executeTakeFirstOrThrow()).requested_from, kept)
    const url = `/device?user_code=${user_code}`
    const near = await app.inject({ url, headers: { cookie: ada.cookie, 'x-forwarded-for': mine } })
    t.notMatch(near.body, 'not your address', `${asked} is at home at ${mine}`)
    t.match((await see(url)).body, `came from ${kept}, which is not your address (127.0.0.1)`)
  }
})

t.test('who has a hundred tokens reads what to do, and the device waits', async (t) => {
  const { app, post, ada } = await opened(t)
  const [id] = await giveTokens(app, ada, 100)
  const { user_code } = await startLoginHere(app)
  const approve = () => post('/device', { user_code, shown: user_code, action: 'approve' })
  const refused = await approve()
  t.match(
    [refused.statusCode, refused.body],
    [409, /You have 100 devices and tokens.*account page, then approve again/],
  )
  await app.db
    .updateTable('tokens')
    .set({ revoked_at: new Date() })
    .where('id', '=', id ?? '')
    .execute()
  t.match((await approve()).body, 'Device approved')
})

t.test('one click approves only where the person came by themselves, and never an administrator', async (t) => {
  const { app, ada, post, see } = await opened(t)
  const { user_code } = await startLoginHere(app)
  const link = `/device?user_code=${user_code}`
  const mustType = (body: string) => {
    const typed = /<input id="user_code" name="user_code"(?![^>]*value)/.test(body)
    const oneClick = new RegExp(`<input type="hidden" name="user_code" value="${user_code}">`).test(body)
    t.not(typed, oneClick)
    if (typed)
      t.notMatch(body.replace(/<input type="hidden"[^>]*>/g, ''), user_code, 'the code is not there to be copied')
    return typed
  }
  const open = async (url: string, site?: string) =>
    (await app.inject({ url, headers: { cookie: ada.cookie, ...(site && { 'sec-fetch-site': site }) } })).body
  for (const site of ['none', 'same-origin']) t.notOk(mustType(await open(link, site)), site)
  for (const site of ['same-site', 'cross-site', undefined]) t.ok(mustType(await open(link, site)), site ?? 'not said')

  // Neither a sign-in on the way nor another person's makes a link of ours of it.
  for (const path of [link, `/device/?user_code=${user_code}`, `/%64evice?user%5Fcode=${user_code}`]) {
    const url = `/signin?${new URLSearchParams({ redirect_to: OURS + path })}`
    const passed = await app.inject({ url, headers: { cookie: ada.cookie, 'sec-fetch-site': 'cross-site' } })
    t.equal(passed.statusCode, 303)
    t.match(passed.headers.location, 'must_type=1', path)
    const asked = await app.inject({ url, headers: { 'sec-fetch-site': 'cross-site' } })
    t.match(asked.body, /name="redirect_to" value="[^"]*must_type=1/, path)
  }
  for (const detour of ['/signin', '/%73ignin', '/signin/']) {
    const inner = new URLSearchParams({ redirect_to: `${OURS}${link}` })
    const nested = new URLSearchParams({ redirect_to: `${OURS}${detour}?${inner}` })
    const refused = await app.inject({ url: `/signin?${nested}`, headers: { 'sec-fetch-site': 'cross-site' } })
    t.equal(refused.statusCode, 400, `a sign-in leads to no ${detour}`)
  }
  t.ok(mustType(await open(`${link}&must_type=1`, 'same-origin')))
  t.match(
    await open(`${link}&must_type=1`, 'same-origin'),
    /name="redirect_to" value="[^"]*must_type=1/,
    'someone else',
  )

  t.notOk(mustType((await post('/device', { user_code })).body), 'who has typed it once need not again')
  const admin = await startLoginHere(app, { scope: 'admin' })
  for (const { body } of [
    await see(`/device?user_code=${admin.user_code}`),
    await post('/device', { user_code: admin.user_code }),
  ]) {
    t.match(body, /<input id="user_code" name="user_code"(?![^>]*value)/)
  }
})

t.test('links use up no guesses, and wrong ones are only shown for a while', async (t) => {
  const { app, see, post, ada } = await opened(t)
  const { user_code } = await startLoginHere(app)
  const wrong = (i: number) => `BCDF-${String(i).padStart(4, '0')}`
  for (let i = 0; i < 10; i++) t.equal((await see(`/device?user_code=${wrong(i)}`)).statusCode, 400)
  for (const code of [wrong(11), user_code]) {
    const { statusCode, body } = await see(`/device?user_code=${code}`)
    t.match([statusCode, body], [200, /Code on the device/], 'the form, which says nothing about the code')
    t.notMatch(body, code)
  }
  t.match((await post('/device', { user_code })).body, 'Allow this device?', 'typing goes on')
  const complete = (code: string) => ada.postFromOurPage('/api/device/complete', { user_code: code })
  for (let i = 0; i < 10; i++) t.equal((await complete(wrong(i))).statusCode, 400, 'all ten guesses are left')
  t.equal((await complete(wrong(10))).statusCode, 429)
})
