import { importPKCS8, SignJWT } from 'jose'
import { sql } from 'kysely'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { giveTokens, logIn, newAddress, startLogin } from '../support/device.ts'
import { type App, type Person, start } from '../support/start.ts'

const OURS = 'http://localhost:3000'
const ALLOWED = 'https://video.example.com'
const env = { ALLOWED_ORIGINS: ALLOWED }

/** Completes as a person on our own page, from an address of its own unless one is given. */
const complete = (app: App, who: Person, payload: object, remoteAddress = newAddress()) =>
  app.inject({
    method: 'POST',
    url: '/api/device/complete',
    headers: { cookie: who.cookie, origin: OURS },
    payload,
    remoteAddress,
  })

t.test('a code is read as people type it', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  for (const [stored, typed] of [
    ['BCDF-1234', 'bcdf1234'],
    ['BCDG-1234', ' bcdg 1234 '],
    ['BCDH-1234', 'B-C-D-H-1-2-3-4'],
    ['BCDJ-1234', 'bcdj – 1234'],
    ['BCDK-1001', 'bcdk-iool'],
    ['BCDL-0110', 'BCDL-OLI0'],
    ['LLLL-1111', 'llll-llll'],
    ['BCDM-1234', 'ＢＣＤＭ－１２３４'],
    ['BCDN-1234', 'bcdn.1234'],
    ['BCDP-1234', 'bcdp_1234'],
    ['BCDQ-1234', '\u200BBC\u200DDQ\uFEFF-12\u206034\u00AD'],
    ['BCDR-1234', '“BCDR·1234”'],
  ] as const) {
    const { user_code } = await startLogin(app)
    await db.updateTable('device_codes').set({ user_code: stored }).where('user_code', '=', user_code).execute()
    t.equal((await complete(app, ada, { user_code: typed })).statusCode, 200, typed)
  }
})

t.test('a code that no device shows is refused', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  for (const user_code of ['BBBB-0000', 'BBBB-000', 'AEIO-1234', '1234-BCDF', 'x', '', "'; --", '\u{1F600}']) {
    const refused = await complete(app, await person(), { user_code })
    t.equal(refused.statusCode, 400, user_code)
    t.match(refused.json(), { error: 'invalid_code' })
  }
  for (const [payload, field] of [
    [{}, 'user_code'],
    [{ user_code: 5 }, 'user_code'],
    [{ user_code: 'B'.repeat(101) }, 'user_code'],
    [{ user_code: 'BBBB-0000', action: 'maybe' }, 'action'],
  ] as const) {
    const refused = await complete(app, ada, payload)
    t.equal(refused.statusCode, 400)
    t.match(refused.json(), { error: 'invalid_request', field })
  }
})

t.test('only a person decides: no stranger, no token, no session that is over', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const { user_code } = await startLogin(app)
  const { value } = await db
    .selectFrom('settings')
    .select('value')
    .where('name', '=', 'local_signing_key')
    .executeTakeFirstOrThrow()
  const key = await importPKCS8(value, 'RS256')
  const jwt = (claims: object, until: string) =>
    new SignJWT({ azp: OURS, ...claims })
      .setProtectedHeader({ alg: 'RS256' })
      .setSubject(ada.clerkId)
      .setIssuer(OURS)
      .setIssuedAt()
      .setExpirationTime(until)
      .sign(key)

  const pat = await logIn(app, ada, { scope: 'account oauth admin' })
  for (const [who, headers, error] of [
    ['nobody', {}, 'not_signed_in'],
    ['a PAT of every scope', { authorization: `Bearer ${pat}` }, 'session_required'],
    ['a PAT beside a cookie', { authorization: `Bearer ${pat}`, cookie: ada.cookie, origin: OURS }, 'session_required'],
    ['a JWT without a session', { authorization: `Bearer ${await jwt({}, '60s')}` }, 'session_required'],
    ['a JWT of an hour ago', { authorization: `Bearer ${await jwt({ sid: 'sess_1' }, '-1h')}` }, 'token_expired'],
    ['a cookie that is none', { cookie: 'focus_session_3000=x', origin: OURS }, 'not_signed_in'],
  ] as const) {
    const refused = await app.inject({ method: 'POST', url: '/api/device/complete', headers, payload: { user_code } })
    t.equal(refused.statusCode, 401, who)
    t.match(refused.json(), { error, signin_url: /\/signin/ }, who)
  }
  const session = { authorization: `Bearer ${await jwt({ sid: 'sess_1' }, '60s')}` }
  const allowed = await app.inject({
    method: 'POST',
    url: '/api/device/complete',
    headers: session,
    payload: { user_code },
  })
  t.equal(allowed.statusCode, 200, 'the same JWT with a session')
})

t.test('with a cookie a code is decided on our own pages only', async (t) => {
  const { app, person } = await start(t, env)
  const ada = await person()
  for (const [name, headers, status] of [
    ['neither header (a form of long ago)', {}, 403],
    ['an allowed app', { origin: ALLOWED }, 403],
    [
      "an allowed app that claims what browsers don't let it claim",
      { origin: ALLOWED, 'sec-fetch-site': 'same-origin' },
      403,
    ],
    ['a sandboxed frame', { origin: 'null' }, 403],
    ['another port of ours', { origin: 'http://localhost:3001' }, 403],
    ['our host on https', { origin: 'https://localhost:3000' }, 403],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a sibling site', { 'sec-fetch-site': 'same-site' }, 403],
    ['a link', { 'sec-fetch-site': 'none' }, 403],
    ['our page, by its origin', { origin: OURS }, 200],
    ['our page, by its fetch site', { 'sec-fetch-site': 'same-origin' }, 200],
    ['our page, by both', { origin: OURS, 'sec-fetch-site': 'same-origin' }, 200],
  ] as const) {
    const login = await startLogin(app)
    const answer = await app.inject({
      method: 'POST',
      url: '/api/device/complete',
      headers: { cookie: ada.cookie, ...headers },
      payload: { user_code: login.user_code },
      remoteAddress: newAddress(),
    })
    t.equal(answer.statusCode, status, name)
    if (status === 403) t.match(answer.json(), { error: 'origin_not_allowed' })
    t.equal((await login.poll()).statusCode, status === 200 ? 200 : 202, `${name}: nothing else happened`)
  }
})

t.test('with a bearer JWT of our own page no header is needed, but another origin is refused', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...env, ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const ada = clerk.signIn()
  for (const [headers, status] of [
    [{}, 200],
    [{ origin: OURS }, 200],
    [{ 'sec-fetch-site': 'cross-site' }, 200],
    [{ origin: ALLOWED }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
  ] as const) {
    const { user_code } = await startLogin(app)
    const authorization = `Bearer ${await clerk.token(ada)}`
    const answer = await app.inject({
      method: 'POST',
      url: '/api/device/complete',
      headers: { authorization, ...headers },
      payload: { user_code },
    })
    t.equal(answer.statusCode, status, JSON.stringify(headers))
  }
})

t.test('what a form of another site can send is not read', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  const login = await startLogin(app)
  for (const [type, payload] of [
    ['application/x-www-form-urlencoded', `user_code=${login.user_code}`],
    ['text/plain', JSON.stringify({ user_code: login.user_code })],
    [
      'multipart/form-data; boundary=x',
      `--x\r\ncontent-disposition: form-data; name="user_code"\r\n\r\n${login.user_code}\r\n--x--`,
    ],
  ] as const) {
    const headers = { cookie: ada.cookie, origin: OURS, 'content-type': type }
    const answer = await app.inject({ method: 'POST', url: '/api/device/complete', headers, payload })
    t.ok([400, 415].includes(answer.statusCode), `${type}: ${answer.statusCode}`)
  }
  t.equal((await login.poll()).statusCode, 202)
})

t.test('the same decision again succeeds; a different decision or person answers 410', async (t) => {
  const { app, db, person } = await start(t)
  const [ada, eve] = [await person(), await person()]
  for (const [action, other] of [
    ['approve', 'deny'],
    ['deny', 'approve'],
  ]) {
    const login = await startLogin(app)
    const { user_code } = login
    t.equal((await complete(app, ada, { user_code, action })).statusCode, 200)
    const decided = async (when: string) => {
      t.equal((await complete(app, ada, { user_code, action })).statusCode, 200, `${action} again, ${when}`)
      for (const [who, wish] of [
        [ada, other],
        [eve, action],
        [eve, other],
      ] as const) {
        const late = await complete(app, who, { user_code, action: wish })
        t.equal(late.statusCode, 410)
        t.match(late.json(), { error: 'already_used' })
      }
    }
    await decided('before the device knows')
    await login.poll()
    await decided('after')
  }

  const login = await startLogin(app)
  await complete(app, ada, { user_code: login.user_code })
  const { token } = (await login.poll()).json()
  await complete(app, eve, { user_code: login.user_code })
  const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  t.equal(wallet.json().account.id, ada.id, 'the token stays with whoever approved first')

  const late = await startLogin(app)
  await sql`update device_codes set expires_at = now() where user_code = ${late.user_code}`.execute(db)
  for (const action of ['approve', 'deny']) {
    const gone = await complete(app, ada, { user_code: late.user_code, action })
    t.equal(gone.statusCode, 410)
    t.match(gone.json(), { error: 'expired_token' })
  }
  await sql`update device_codes set expires_at = now() - interval '1 day' where user_code = ${late.user_code}`.execute(
    db,
  )
  t.match(
    (await complete(app, ada, { user_code: late.user_code })).json(),
    { error: 'invalid_code' },
    'after a day nobody knows it',
  )
})

t.test('decisions that race over two replicas end in one', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const app = (i: number) => (i % 2 ? one.app : two.app)
  const [ada, eve] = [await one.person(), await one.person()]
  const statuses = (answers: { statusCode: number }[]) => answers.map(({ statusCode }) => statusCode)

  const submitted = await startLogin(one.app)
  const twice = Array.from({ length: 12 }, (_, i) => complete(app(i), ada, { user_code: submitted.user_code }))
  t.strictSame([...new Set(statuses(await Promise.all(twice)))], [200], 'a double click is one click')

  for (let round = 0; round < 4; round++) {
    const login = await startLogin(one.app)
    const race = ['approve', 'deny', 'approve', 'deny'].map((action, i) =>
      complete(app(i), ada, { user_code: login.user_code, action }),
    )
    t.strictSame(statuses(await Promise.all(race)).sort(), [200, 200, 410, 410])

    const contested = await startLogin(one.app)
    const people = [ada, eve, ada, eve].map((who, i) => complete(app(i), who, { user_code: contested.user_code }))
    t.strictSame(statuses(await Promise.all(people)).sort(), [200, 200, 410, 410])
  }
})

/** Codes that no device shows: start() gives out random ones of 1.6 billion. */
const wrong = (i: number) => `BCDF-${String(i).padStart(4, '0')}`
const later = (app: App) =>
  sql`update attempts set made_at = array(select made - interval '15 minutes' from unnest(made_at) as made)`.execute(
    app.db,
  )

t.test('an account has ten wrong codes in fifteen minutes, and a right one resets nothing', async (t) => {
  const { app, person } = await start(t)
  const [ada, eve] = [await person(), await person()]
  for (let i = 0; i < 6; i++) t.equal((await complete(app, ada, { user_code: wrong(i) })).statusCode, 400)
  const { user_code } = await startLogin(app)
  t.equal((await complete(app, ada, { user_code })).statusCode, 200)
  for (let i = 6; i < 10; i++) t.equal((await complete(app, ada, { user_code: wrong(i) })).statusCode, 400)

  const login = await startLogin(app)
  for (const code of [wrong(11), user_code, login.user_code]) {
    const refused = await complete(app, ada, { user_code: code })
    t.equal(refused.statusCode, 429, 'a right code is refused as well, or guessing would go on')
    t.match(refused.json(), { error: 'too_many_attempts', message: /15 minutes/ })
    const wait = Number(refused.headers['retry-after'])
    t.ok(wait > 840 && wait <= 900, `Retry-After ${wait}`)
  }
  t.equal((await login.poll()).statusCode, 202)
  t.equal((await complete(app, eve, { user_code: login.user_code })).statusCode, 200, 'others are not concerned')
  await later(app)
  t.equal((await complete(app, ada, { user_code: wrong(12) })).statusCode, 400, 'later there is room again')
})

t.test('what cannot be a code is no guess', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  const login = await startLogin(app)
  for (let i = 0; i < 12; i++) t.equal((await complete(app, ada, { user_code: `BCDF-${i}` })).statusCode, 400)
  t.equal((await complete(app, ada, { user_code: login.user_code })).statusCode, 200)
})

t.test('an address has thirty wrong codes in fifteen minutes, whoever types them', async (t) => {
  const { app, person } = await start(t)
  const people = await Promise.all(Array.from({ length: 5 }, () => person()))
  const address = newAddress()
  for (const [i, somebody] of people.slice(0, 3).entries()) {
    for (let n = 0; n < 10; n++) {
      t.equal((await complete(app, somebody, { user_code: wrong(i * 10 + n) }, address)).statusCode, 400)
    }
    // Refusals by the account's limit do not count against the address.
    t.equal((await complete(app, somebody, { user_code: wrong(99) }, address)).statusCode, 429)
  }
  const [, , , ada, eve] = people as [Person, Person, Person, Person, Person]
  const { user_code } = await startLogin(app)
  t.equal((await complete(app, ada, { user_code }, address)).statusCode, 429)
  t.equal((await complete(app, eve, { user_code }, newAddress())).statusCode, 200, 'elsewhere it works')
  await later(app)
  t.equal((await complete(app, ada, { user_code: wrong(1) }, address)).statusCode, 400)
})

t.test('a port behind the address buys no more guesses', async (t) => {
  const { app, person } = await start(t, { LOCAL_IDENTITY: 'expose', TRUST_PROXY: '127.0.0.1' })
  const people = await Promise.all(Array.from({ length: 4 }, () => person()))
  const address = newAddress()
  const guess = (who: Person, i: number) =>
    app.inject({
      method: 'POST',
      url: '/api/device/complete',
      headers: { cookie: who.cookie, origin: OURS, 'x-forwarded-for': `${address}:${1024 + i}` },
      payload: { user_code: wrong(i) },
    })
  const statuses: number[] = []
  for (const [n, who] of people.entries()) {
    for (let i = 0; i < 8; i++) statuses.push((await guess(who, n * 8 + i)).statusCode)
  }
  t.strictSame(statuses, [...Array(30).fill(400), 429, 429])
})

t.test('guesses that race over two replicas do not get past the budget', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const eve = await one.person()
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => complete(i % 2 ? one.app : two.app, eve, { user_code: wrong(i) })),
  )
  t.equal(answers.filter(({ statusCode }) => statusCode === 400).length, 10)
  t.equal(answers.filter(({ statusCode }) => statusCode === 429).length, 50)

  const address = newAddress()
  const crowd = await Promise.all(Array.from({ length: 6 }, () => one.person()))
  const many = await Promise.all(
    crowd.flatMap((somebody, n) =>
      Array.from({ length: 9 }, (_, i) =>
        complete(i % 2 ? one.app : two.app, somebody, { user_code: wrong(n * 10 + i) }, address),
      ),
    ),
  )
  t.equal(many.filter(({ statusCode }) => statusCode === 400).length, 30)
  t.equal(many.filter(({ statusCode }) => statusCode === 429).length, 24)
})

t.test('an account has at most a hundred tokens: the next is refused where it would be approved', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const [newest] = await giveTokens(app, ada, 99)
  await giveTokens(app, await person(), 99)
  const logins = await Promise.all(Array.from({ length: 6 }, () => startLogin(app)))
  const approve = ({ user_code }: { user_code: string }) => complete(app, ada, { user_code })
  const replies = await Promise.all(logins.map(approve))
  t.strictSame(
    replies.map(({ statusCode }) => statusCode).toSorted(),
    [200, 409, 409, 409, 409, 409],
    'at once, too: what is approved and not fetched counts',
  )
  const refused = replies.find(({ statusCode }) => statusCode === 409)
  t.match(refused?.json(), { error: 'too_many_tokens', message: /100 .*[Rr]evoke .* approve again/ })
  const approved = logins[replies.findIndex(({ statusCode }) => statusCode === 200)]
  t.match((await approved?.poll())?.json(), { token: String }, 'a poll is not the place to refuse')
  t.equal((await complete(app, ada, { user_code: approved?.user_code })).statusCode, 200, 'the same again is no fault')

  const left = logins.filter((login) => login !== approved)
  t.equal((await approve(left[0] as (typeof left)[0])).statusCode, 409, 'fetched, it still counts')
  t.equal((await left[0]?.poll())?.statusCode, 202, 'what was refused waits')
  t.equal((await complete(app, ada, { user_code: left[0]?.user_code, action: 'deny' })).statusCode, 200)
  const { authorization } = ada
  await app.inject({ method: 'DELETE', url: `/api/tokens/${newest}`, headers: { authorization } })
  t.equal((await approve(left[1] as (typeof left)[0])).statusCode, 200)
  await db.updateTable('tokens').set({ expires_at: new Date() }).where('account_id', '=', ada.id).execute()
  t.equal((await approve(left[2] as (typeof left)[0])).statusCode, 200, 'expired ones do not count')
})
