import { sql } from 'kysely'
import t from 'tap'
import { bearer, newAddress, startLogin } from './support/device.ts'
import { type App, earlier, start, unique } from './support/start.ts'

for (const [name, env] of [
  ['Postgres', {}],
  ['PGlite', { DATABASE_URL: '' }],
] as const) {
  t.test(`on ${name}: a device asks, a person approves, and the device works with its token`, async (t) => {
    const { app, person } = await start(t, { ...env, PUBLIC_URL: 'http://localhost:4321' })
    const ada = await person()
    const started = await app.inject({
      method: 'POST',
      url: '/api/device/start',
      payload: { client_name: 'focus on ada-laptop' },
    })
    t.equal(started.statusCode, 200)
    t.equal(started.headers['cache-control'], 'no-store')
    const { device_code, user_code, ...rest } = started.json()
    t.match(device_code, /^[\w-]{43}$/)
    t.match(user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-\d{4}$/)
    t.strictSame(rest, {
      verification_uri: 'http://localhost:4321/device',
      verification_uri_complete: `http://localhost:4321/device?user_code=${user_code}`,
      expires_in: 900,
      interval: 5,
    })

    const poll = () => app.inject({ url: `/api/device/poll?device_code=${device_code}` })
    const pending = await poll()
    t.equal(pending.statusCode, 202)
    t.equal(pending.headers['cache-control'], 'no-store')
    t.strictSame(pending.json(), { status: 'pending', interval: 5 })

    const completed = await ada.postFromOurPage('/api/device/complete', { user_code })
    t.equal(completed.statusCode, 200)
    t.strictSame(completed.json(), { ok: true })

    const polled = await poll()
    t.equal(polled.statusCode, 200)
    t.equal(polled.headers['cache-control'], 'no-store')
    const { token, token_type, expires_at } = polled.json()
    t.match(token, /^focus_pat_[0-9A-Za-z]{49}$/)
    t.equal(token_type, 'Bearer')
    t.equal(Math.round((Date.parse(expires_at) - Date.now()) / 86_400_000), 90)

    const cli = bearer(app, token)
    t.equal((await cli.get('/api/wallet?app=video')).json().account.id, ada.id)
    const created = await cli.post('/api/jobs', { app: 'video', action: 'render', cost_estimate: 5 })
    t.equal(created.statusCode, 200)
    const { job_id } = created.json()
    t.match((await cli.post('/api/jobs/complete', { job_id, actual_cost: 3 })).json(), { credits: 17, held: 0 })
  })
}

t.test('a start needs no body, and tells what is wrong with one', async (t) => {
  const { app, db } = await start(t)
  const begin = (options: object) =>
    app.inject({ method: 'POST', url: '/api/device/start', remoteAddress: newAddress(), ...options })
  const json = { 'content-type': 'application/json' }

  t.equal((await begin({})).statusCode, 200, 'no body at all')
  t.equal((await begin({ headers: json })).statusCode, 200, 'an empty body that is called JSON')
  t.equal((await begin({ headers: json, payload: '' })).statusCode, 200)
  t.equal((await begin({ payload: {} })).statusCode, 200)

  for (const [payload, field] of [
    [{ scope: 'account everything' }, 'scope'],
    [{ scope: ['account'] }, 'scope'],
    [{ client_name: 'x'.repeat(101) }, 'client_name'],
    [{ client_name: 5 }, 'client_name'],
    [{ client_name: 'nul\0' }, 'client_name'],
  ] as const) {
    const refused = await begin({ payload })
    t.equal(refused.statusCode, 400, JSON.stringify(payload))
    t.match(refused.json(), { error: 'invalid_request', field })
  }
  t.match((await begin({ headers: json, payload: '{"scope":' })).json(), { error: 'invalid_json' })
  t.equal(
    (await begin({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'scope=account' }))
      .statusCode,
    415,
  )
  t.equal((await begin({ payload: { client_name: 'x'.repeat(70_000) } })).statusCode, 413)

  const named = await begin({
    payload: { client_name: '  focus\u202e on\n\tade\u0301 👩‍💻 ', scope: 'oauth  account oauth' },
    remoteAddress: '::ffff:192.0.2.7',
  })
  const row = await db
    .selectFrom('device_codes')
    .select(['client_name', 'scopes', 'requested_from'])
    .where('user_code', '=', named.json().user_code)
    .executeTakeFirst()
  t.strictSame(
    row,
    { client_name: 'focus on ade\u0301 👩 💻', scopes: ['oauth', 'account'], requested_from: '192.0.2.7' },
    'a name loses what cannot be seen and might turn the text around it',
  )
})

t.test('ten logins a minute may be started from one address, by all replicas together', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const begin = (app: App, remoteAddress: string) =>
    app.inject({ method: 'POST', url: '/api/device/start', remoteAddress })
  const address = newAddress()
  const answers = await Promise.all(Array.from({ length: 24 }, (_, i) => begin(i % 2 ? one.app : two.app, address)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 10)
  const refused = answers.filter(({ statusCode }) => statusCode === 429)
  t.equal(refused.length, 14)
  for (const { headers } of refused) t.match(headers['retry-after'], /^([1-9]|[1-5]\d|60)$/)
  t.match(refused[0]?.json(), { error: 'too_many_attempts' })
  t.equal((await begin(one.app, newAddress())).statusCode, 200, 'elsewhere is not concerned')

  await sql`update attempts set made_at = array(select made - interval '1 minute' from unnest(made_at) as made)
    where subject = ${address}`.execute(one.db)
  t.equal((await begin(one.app, address)).statusCode, 200, 'a minute later there is room again')

  for (let i = 0; i < 10; i++) await begin(one.app, `2001:db8:5:5::${i}`)
  t.equal((await begin(one.app, '2001:db8:5:5:ffff::1')).statusCode, 429, 'an IPv6 network of one household is one')
  t.equal((await begin(one.app, '2001:db8:5:6::1')).statusCode, 200)
})

t.test('polling needs a code that was given out', async (t) => {
  const { app } = await start(t)
  for (const url of [
    '/api/device/poll',
    '/api/device/poll?device_code=',
    `/api/device/poll?device_code=${'x'.repeat(201)}`,
  ]) {
    const refused = await app.inject({ url })
    t.equal(refused.statusCode, 400, url)
    t.match(refused.json(), { field: 'device_code' })
  }
  const post = (payload: object) => app.inject({ method: 'POST', url: '/api/device/poll', payload })
  t.match((await post({})).json(), { field: 'device_code' })
  const empty = await app.inject({
    method: 'POST',
    url: '/api/device/poll',
    headers: { 'content-type': 'application/json' },
  })
  t.equal(empty.statusCode, 400)
  for (const unknown of [
    await app.inject({ url: '/api/device/poll?device_code=nobody' }),
    await post({ device_code: 'x' }),
  ]) {
    t.equal(unknown.statusCode, 404)
    t.match(unknown.json(), { error: 'unknown_device_code' })
  }
  const { device_code } = await startLogin(app)
  t.strictSame((await post({ device_code })).json(), { status: 'pending', interval: 5 })
})

t.test('who polls too fast is slowed down, and is not locked out', async (t) => {
  const { app, db, person } = await start(t)
  const login = await startLogin(app)
  const lastPoll = () =>
    db
      .selectFrom('device_codes')
      .select('last_polled_at')
      .where('user_code', '=', login.user_code)
      .executeTakeFirstOrThrow()
  const ago = (seconds: number) =>
    sql`update device_codes set last_polled_at = now() - make_interval(secs => ${seconds})
      where user_code = ${login.user_code}`.execute(db)

  t.equal((await login.poll()).statusCode, 202)
  const before = await lastPoll()
  for (const interval of [10, 15, 20, 25, 30, 30]) {
    const slowed = await login.poll()
    t.equal(slowed.statusCode, 429)
    t.match(slowed.json(), { error: 'slow_down', interval })
    const wait = Number(slowed.headers['retry-after'])
    t.ok(wait > interval - 5 && wait <= interval, `Retry-After ${wait}`)
  }
  t.strictSame(await lastPoll(), before, 'the time of the last poll does not move')

  await ago(24)
  t.equal((await login.poll()).statusCode, 429, 'some seconds too soon')
  await ago(29.2)
  const inTime = await login.poll()
  t.equal(inTime.statusCode, 202, 'less than a second too soon')
  t.equal(inTime.json().interval, 30)

  const ada = await person()
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  t.equal((await login.poll()).statusCode, 200, 'once decided, the answer comes at once')
})

t.test('the token is answered again for a minute, then never', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const login = await startLogin(app)
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  const first = await login.poll()
  t.equal(first.statusCode, 200)
  t.strictSame((await login.poll()).json(), first.json())
  await sql`update device_codes set expires_at = now() where user_code = ${login.user_code}`.execute(db)
  t.strictSame((await login.poll()).json(), first.json(), 'also where the code expires in that minute')

  await sql`update device_codes set delivered_at = ${earlier('delivered_at', '1 minute')}
    where user_code = ${login.user_code}`.execute(db)
  const late = await login.poll()
  t.equal(late.statusCode, 410)
  t.match(late.json(), { error: 'already_used' })

  const revoked = await startLogin(app)
  await ada.postFromOurPage('/api/device/complete', { user_code: revoked.user_code })
  await bearer(app, (await revoked.poll()).json().token).delete('/api/tokens/current')
  t.match((await revoked.poll()).json(), { error: 'already_used' }, 'nor is a token that was revoked meanwhile')
})

t.test('denied and expired logins say so for a day', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const [denied, expired, approved] = [await startLogin(app), await startLogin(app), await startLogin(app)]
  await ada.postFromOurPage('/api/device/complete', { user_code: denied.user_code, action: 'deny' })
  await ada.postFromOurPage('/api/device/complete', { user_code: approved.user_code })
  const shift = (interval: string) =>
    sql`update device_codes set expires_at = ${earlier('expires_at', interval)}
      where user_code in (${denied.user_code}, ${expired.user_code}, ${approved.user_code})`.execute(db)

  t.match((await denied.poll()).json(), { error: 'access_denied' })
  await shift('901 seconds')
  for (const [login, error] of [
    [denied, 'access_denied'],
    [expired, 'expired_token'],
    [approved, 'expired_token'],
  ] as const) {
    const gone = await login.poll()
    t.equal(gone.statusCode, 410)
    t.match(gone.json(), { error })
  }
  await shift('1 day')
  for (const login of [denied, expired, approved]) t.equal((await login.poll()).statusCode, 404)
})

t.test('an approval in the last seconds leaves the device a minute to fetch its token', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const login = await startLogin(app)
  await sql`update device_codes set expires_at = now() + interval '3 seconds'
    where user_code = ${login.user_code}`.execute(db)
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  const { left } = await db
    .selectFrom('device_codes')
    .select(sql<number>`extract(epoch from expires_at - now())::float8`.as('left'))
    .where('user_code', '=', login.user_code)
    .executeTakeFirstOrThrow()
  t.ok(left > 50, `${left} s left`)
})

t.test('however many polls race over two replicas, a login becomes one token', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const ada = await one.person()
  for (let round = 0; round < 3; round++) {
    const client_name = unique('racer')
    const login = await startLogin(one.app, { client_name })
    await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
    const answers = await Promise.all(Array.from({ length: 24 }, (_, i) => login.poll(i % 2 ? one.app : two.app)))
    t.strictSame([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
    t.equal(new Set(answers.map((answer) => answer.json().token)).size, 1)
    const { tokens } = (await ada.get('/api/tokens')).json()
    t.equal(tokens.filter(({ name }: { name: string }) => name === client_name).length, 1)
  }
})

t.test('a replica with another TOKEN_SECRET says so in its log, and the token lives on', async (t) => {
  const lines: string[] = []
  const right = await start(t, { TOKEN_SECRET: 'a'.repeat(32) })
  const wrong = await start(t, { TOKEN_SECRET: 'b'.repeat(32) }, (line) => lines.push(line))
  const ada = await right.person()
  const login = await startLogin(right.app)
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  const { token } = (await login.poll(right.app)).json()

  const failed = await login.poll(wrong.app)
  t.equal(failed.statusCode, 500)
  t.match(failed.json(), { error: 'internal_error' })
  t.notMatch(failed.body, /TOKEN_SECRET/)
  t.match(lines.join(''), /minted with another TOKEN_SECRET/)
  t.equal((await bearer(wrong.app, token).get('/api/wallet')).statusCode, 200, 'a token needs no secret to be known')
  t.equal((await login.poll(right.app)).json().token, token)
})

t.test('no code and no token is ever logged, whatever the level', async (t) => {
  const lines: string[] = []
  const { app, db, person } = await start(t, { LOG_LEVEL: 'trace' }, (line) => lines.push(line))
  const ada = await person()
  const login = await startLogin(app)
  await login.poll()
  await login.poll()
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  const { token } = (await login.poll()).json()
  await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code: login.device_code } })
  await bearer(app, token).get('/api/wallet')
  await bearer(app, `${token}x`).get('/api/wallet')
  await app.inject({ url: `/api/device/nowhere?device_code=${login.device_code}` })
  await sql`update tokens set token_hash = id::text where account_id = ${ada.id}`.execute(db)
  t.equal((await login.poll()).statusCode, 500, 'an error with all its details')

  const log = lines.join('')
  t.match(log, /"path":"\/api\/device\/poll"/, 'requests are logged')
  for (const secret of [login.device_code, token, token.slice(10), ada.token, ada.cookie.split('=')[1] ?? '?']) {
    t.notOk(log.includes(secret))
  }
})
