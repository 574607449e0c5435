import { sql } from 'kysely'
import t from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { localClerkId } from '../../src/identity/local.ts'
import { holdAccounts } from '../support/hold.ts'
import { databaseUrl, personWith, start, startOwn, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

const APP = '/api/admin/apps'
const CREDITS = '/api/admin/credits'

const wishFor = (somebody: { clerkId: string }, changes: object = {}) => ({
  clerk_id: somebody.clerkId,
  amount: 10,
  kind: 'topup',
  reference: unique('payment'),
  reason: 'Bought 10 credits',
  ...changes,
})

t.test('only an administrator may administer', async (t) => {
  const { person, app } = await start(t)
  const ada = await person()
  const slug = unique('app')
  const send = (headers: Record<string, string>) =>
    Promise.all([
      app.inject({ method: 'PUT', url: `${APP}/${slug}`, payload: { starter_credits: 1 }, headers }),
      app.inject({ url: APP, headers }),
      app.inject({ method: 'POST', url: CREDITS, payload: wishFor(ada), headers }),
      app.inject({ url: `/api/admin/accounts?clerk_id=${ada.clerkId}`, headers }),
      app.inject({ url: '/api/admin/verify', headers }),
      app.inject({ method: 'HEAD', url: '/api/admin/verify', headers }),
    ])
  for (const reply of await send({ authorization: ada.authorization })) {
    t.equal(reply.statusCode, 403)
    if (reply.body) t.match(reply.json(), { error: 'not_an_administrator' })
  }
  for (const reply of await send({})) t.equal(reply.statusCode, 401)
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
  t.notOk((await ada.get('/api/wallet')).json().apps.some((entry: { slug: string }) => entry.slug === slug))
})

t.test('an administrator is admin@example.com of the local identity, or configured', async (t) => {
  const email = 'operator@example.com'
  const { person, admin } = await start(t, { ADMIN_CLERK_IDS: localClerkId(email) })
  t.equal((await (await admin()).get(APP)).statusCode, 200)
  t.equal((await (await person(email)).get(APP)).statusCode, 200)
})

t.test('an exposed local identity has no built-in administrator', async (t) => {
  const { admin } = await start(t, { LOCAL_IDENTITY: 'expose' })
  t.equal((await (await admin()).get(APP)).statusCode, 403)
})

t.test('an administrator with a cookie needs the origin of our own page', async (t) => {
  const { app, admin } = await start(t)
  const { cookie } = await admin()
  const url = `${APP}/${unique('app')}`
  const put = (headers: Record<string, string>) =>
    app.inject({ method: 'PUT', url, payload: { starter_credits: 1 }, headers: { cookie, ...headers } })
  t.equal((await put({})).statusCode, 403)
  t.equal((await put({ origin: 'https://evil.example.com' })).statusCode, 403)
  t.equal((await put({ origin: 'http://localhost:3000' })).statusCode, 200)
})

t.test('an app is registered, changed and listed; absent fields stay', async (t) => {
  const { admin } = await start(t)
  const operator = await admin()
  const slug = unique('app')
  const put = async (body: object) => (await operator.put(`${APP}/${slug}`, body)).json().app
  const created = await put({ starter_credits: 5 })
  t.match(created, { slug, name: null, starter_credits: 5, origins: [] })
  const { created_at } = created
  const full = {
    name: 'Größe',
    has_settle_key: false,
    starter_credits: 6,
    max_overage: { credits: 9 },
    origins: ['https://a.example.com', 'http://localhost:5173'],
    return_paths: ['/callback'],
    redirect_uris: ['https://a.example.com/callback', 'http://127.0.0.1/callback'],
    resources: ['https://a.example.com/mcp', 'https://api.a.example.com'],
  }
  t.strictSame(await put(full), { slug, ...full, created_at })
  t.strictSame(await put({ starter_credits: 0 }), { slug, ...full, starter_credits: 0, created_at })
  t.strictSame(await put({ starter_credits: 1, origins: [] }), {
    slug,
    ...full,
    starter_credits: 1,
    origins: [],
    created_at,
  })
  const { apps } = (await operator.get(APP)).json()
  t.strictSame(
    apps.filter((app: { slug: string }) => app.slug === slug),
    [{ slug, ...full, starter_credits: 1, origins: [], created_at }],
  )
  const slugs = apps.map((app: { slug: string }) => app.slug)
  t.strictSame(slugs, slugs.toSorted())
})

t.test('an app needs a well-formed slug, amount, name and origins', async (t) => {
  const { admin } = await start(t)
  const operator = await admin()
  const before = (await operator.get(APP)).json()
  for (const slug of ['A', 'a_b', '-a', 'ä', 'a b', 'x'.repeat(64), '%00']) {
    const reply = await operator.put(`${APP}/${slug === '%00' ? slug : encodeURIComponent(slug)}`, {
      starter_credits: 1,
    })
    t.equal(reply.statusCode, 400, slug)
    t.match(reply.json(), { field: 'slug' })
  }
  const odd = [
    'https://a.example.com/',
    'https://a.example.com/path',
    'HTTPS://A.example.com',
    'https://a.example.com:443',
    'http://a.example.com:80',
    'https://*.example.com',
    'https://user@a.example.com',
    'a.example.com',
    'ftp://a.example.com',
    'file://',
    'javascript:alert(1)',
    'null',
    '*',
    '',
    ' https://a.example.com',
    'https://a.example.com\n',
    'https://ä.example.com',
    'https://a.example.com\0',
    'https://a.example.com\ud800',
  ]
  const bad: [field: string, body: object][] = [
    ['starter_credits', { starter_credits: null }],
    ['name', { starter_credits: 1, name: '' }],
    ['name', { starter_credits: 1, name: 'x'.repeat(201) }],
    ['name', { starter_credits: 1, name: 'a\0' }],
    ['name', { starter_credits: 1, name: null }],
    ['origins', { starter_credits: 1, origins: 'https://a.example.com' }],
    ['origins', { starter_credits: 1, origins: null }],
    ['origins', { starter_credits: 1, origins: Array.from({ length: 51 }, (_, n) => `https://a${n}.example.com`) }],
    ['origins.0', { starter_credits: 1, origins: [1] }],
    ...odd.map((origin): [string, object] => [
      'origins',
      { starter_credits: 1, origins: ['https://x.example', origin] },
    ]),
  ]
  for (const [field, body] of bad) {
    const reply = await operator.put(`${APP}/${unique('app')}`, body)
    t.equal(reply.statusCode, 400, JSON.stringify(body).slice(0, 100))
    t.match(reply.json(), { error: 'invalid_request', field }, JSON.stringify(body).slice(0, 100))
  }
  t.strictSame((await operator.get(APP)).json(), before)
})

t.test("an app's origins are allowed immediately, until they are removed", async (t) => {
  const { app, admin, person } = await start(t)
  const [operator, ada] = await Promise.all([admin(), person()])
  const [slug, origin] = [unique('app'), `https://${unique('origin')}.example.com`]
  const post = () =>
    app.inject({
      method: 'POST',
      url: '/api/jobs',
      payload: { app: 'clips', action: 'a', cost_estimate: 0 },
      headers: { cookie: ada.cookie, origin },
    })
  t.equal((await post()).statusCode, 403)
  await operator.put(`${APP}/${slug}`, { starter_credits: 0, origins: [origin] })
  const reply = await post()
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['access-control-allow-origin'], origin)
  await operator.put(`${APP}/${slug}`, { starter_credits: 0, origins: [] })
  t.equal((await post()).statusCode, 403)
})

t.test('credits are given and taken, of three kinds', async (t) => {
  const { admin, person } = await start(t)
  const [operator, ada] = await Promise.all([admin(), person()])
  let credits = 0
  for (const [kind, amount] of [
    ['topup', 10],
    ['admin_grant', 5],
    ['adjustment', -3],
    ['adjustment', 1],
    ['topup', -12],
    ['admin_grant', -1],
  ] as const) {
    const wish = wishFor(ada, { kind, amount })
    const reply = await operator.post(CREDITS, wish)
    credits += amount
    t.equal(reply.statusCode, 200)
    const { account, entry } = reply.json()
    t.strictSame(account, { id: ada.id, clerk_id: ada.clerkId, plan: 'free', credits, held: 0 })
    t.match(entry, {
      kind,
      amount,
      balance_after: credits,
      job_id: null,
      reference: wish.reference,
      reason: wish.reason,
    })
    t.strictSame((await ada.entries())[0], entry)
  }
})

t.test('the entry names the administrator who gave credits', async (t) => {
  const { db, admin, person } = await start(t)
  const [operator, ada] = await Promise.all([admin(), person()])
  await operator.post(CREDITS, wishFor(ada))
  const rows = await db.selectFrom('ledger_entries').select('actor').where('account_id', '=', ada.id).execute()
  t.strictSame(rows, [{ actor: operator.id }])
})

t.test('credits can be given to a person who has never signed in', async (t) => {
  const { admin, person } = await start(t)
  const email = `${unique('later')}@example.com`
  const operator = await admin()
  const reply = await operator.post(CREDITS, wishFor({ clerkId: localClerkId(email) }))
  t.match(reply.json(), { account: { id: accountIdOf(localClerkId(email)), credits: 10 }, entry: { seq: 1 } })
  t.strictSame(await (await person(email)).balance(), { credits: 10, held: 0 })
})

t.test('the same request again moves nothing, another one with its reference is refused', async (t) => {
  const { admin, person } = await start(t)
  const [operator, ada, grace] = await Promise.all([admin(), person(), person()])
  const wish = wishFor(ada)
  const first = (await operator.post(CREDITS, wish)).json()
  for (const again of [wish, { ...wish, allow_negative: true }]) {
    const reply = await operator.post(CREDITS, again)
    t.equal(reply.statusCode, 200)
    t.strictSame(reply.json(), first)
  }
  for (const other of [{ amount: 11 }, { amount: -10 }, { kind: 'admin_grant' }, { reason: 'Another' }]) {
    const reply = await operator.post(CREDITS, { ...wish, ...other })
    t.equal(reply.statusCode, 409, JSON.stringify(other))
    t.match(reply.json(), { error: 'reference_reused', entry: { amount: 10, kind: 'topup' } })
  }
  t.equal((await ada.entries()).length, 1)
  t.equal((await operator.post(CREDITS, { ...wish, clerk_id: grace.clerkId })).statusCode, 200, 'of another account')
  t.strictSame(await grace.balance(), { credits: 10, held: 0 })
})

t.test('a repeated adjustment is recognized even if it would be refused now', async (t) => {
  const { db, admin, person } = await start(t)
  const operator = await admin()
  for (const amount of [-10, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER]) {
    const ada = await person()
    if (amount === -10) await operator.post(CREDITS, wishFor(ada))
    const wish = wishFor(ada, { amount, allow_negative: true })
    const first = await operator.post(CREDITS, wish)
    t.equal(first.statusCode, 200, `${amount}`)
    for (const again of [wish, { ...wish, allow_negative: amount < -10 }]) {
      const reply = await operator.post(CREDITS, again)
      t.equal(reply.statusCode, 200, `${amount} again`)
      t.strictSame(reply.json(), first.json())
    }
    await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
    t.equal((await operator.post(CREDITS, wish)).statusCode, 200, `${amount} again, of a closed account`)
    t.equal((await operator.post(CREDITS, { ...wish, amount: 1 })).json().error, 'reference_reused')
  }
})

t.test('credits are not taken below zero without allow_negative', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 10)
  const operator = await admin()
  await ada.reserve(4)
  const wish = wishFor(ada, { kind: 'adjustment', amount: -7 })
  for (const more of [{}, { allow_negative: false }]) {
    const reply = await operator.post(CREDITS, { ...wish, ...more })
    t.equal(reply.statusCode, 409)
    t.match(reply.json(), { error: 'would_go_negative', available: 6 })
  }
  t.strictSame(await ada.balance(), { credits: 6, held: 4 })
  t.equal((await operator.post(CREDITS, { ...wish, allow_negative: true })).json().account.credits, -1)
  t.equal((await operator.post(CREDITS, wishFor(ada, { amount: -1 }))).statusCode, 409)
  t.equal((await operator.post(CREDITS, wishFor(ada, { amount: 1 }))).json().account.credits, 0)
  t.equal((await ada.entries()).length, 4)
})

t.test('a balance stays within what a number can hold, holds included', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, Number.MAX_SAFE_INTEGER)
  await ada.reserve(1_000)
  const operator = await admin()
  const reply = await operator.post(CREDITS, wishFor(ada, { amount: 1 }))
  t.equal(reply.statusCode, 409)
  t.match(reply.json(), { error: 'balance_out_of_range' })
  t.strictSame(await ada.balance(), { credits: Number.MAX_SAFE_INTEGER - 1_000, held: 1_000 })
})

t.test('a closed account is given nothing', async (t) => {
  const { app, db, admin } = await start(t)
  const ada = await personWith(app, 10)
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const operator = await admin()
  for (const amount of [1, -1, -100]) {
    const reply = await operator.post(CREDITS, wishFor(ada, { amount }))
    t.equal(reply.statusCode, 403)
    t.match(reply.json(), { error: 'account_closed' })
  }
  t.strictSame(await ada.balance(), { credits: 10, held: 0 })
})

t.test('references of starter grants cannot be taken', async (t) => {
  const { admin, person } = await start(t)
  const [operator, ada] = await Promise.all([admin(), person()])
  const reply = await operator.post(CREDITS, wishFor(ada, { reference: 'starter_grant:video' }))
  t.equal(reply.statusCode, 400)
  t.match(reply.json(), { field: 'reference' })
  t.match((await ada.get('/api/wallet?app=video')).json(), { account: { credits: 20 } })
  t.equal((await operator.post(CREDITS, wishFor(ada, { reference: 'my starter_grant:x' }))).statusCode, 200)
})

t.test('an account is found by its Clerk id', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 10)
  await ada.reserve(3)
  const operator = await admin()
  const find = (query: string) => operator.get(`/api/admin/accounts${query}`)
  t.strictSame((await find(`?clerk_id=${ada.clerkId}`)).json(), {
    account: { id: ada.id, clerk_id: ada.clerkId, plan: 'free', credits: 7, held: 3 },
  })
  const missing = await find('?clerk_id=user_nobody')
  t.equal(missing.statusCode, 404)
  t.match(missing.json(), { error: 'account_not_found' })
  for (const query of ['?clerk_id=', '?clerk_id=abc', '?clerk_id=user_%00', '?clerk_id=user_a&clerk_id=user_b']) {
    const reply = await find(query)
    t.equal(reply.statusCode, 400, query)
    t.match(reply.json(), { field: 'clerk_id' }, query)
  }
})

t.test('a consistent ledger verifies', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 10)
  await ada.complete((await ada.reserve(3)).json().job_id, 4)
  await ada.reserve(1)
  const { ok, checks } = (await (await admin()).get('/api/admin/verify')).json()
  t.equal(ok, true)
  t.ok(checks.length >= 10)
  for (const { name, violations, examples } of checks) t.strictSame([violations, examples], [0, []], name)
})

t.test('an app is registered without starter credits, which then are 0 or stay', async (t) => {
  const { admin } = await start(t)
  const operator = await admin()
  const slug = unique('app')
  const put = async (body: object) => (await operator.put(`${APP}/${slug}`, body)).json().app
  t.match(await put({ name: 'New' }), { starter_credits: 0 })
  t.match(await put({ starter_credits: 7 }), { starter_credits: 7 })
  t.match(await put({ name: 'Newer' }), { starter_credits: 7, name: 'Newer' })
  t.match(await put({}), { starter_credits: 7, name: 'Newer' })
})

t.test('an amount of 0 is refused with a message', async (t) => {
  const { admin, person } = await start(t)
  const [operator, ada] = await Promise.all([admin(), person()])
  const reply = await operator.post(CREDITS, wishFor(ada, { amount: 0 }))
  t.match(reply.json(), { error: 'invalid_request', field: 'amount', message: 'amount must not be 0' })
})

t.test('concurrent requests share one verification of the ledger', async (t) => {
  const { admin, db } = await startOwn(t)
  const operator = await admin()
  let transactions = 0
  const transaction = db.transaction.bind(db)
  db.transaction = () => {
    transactions++
    return transaction()
  }
  // The first check waits for the lock until all others have asked: each has its account looked at, and then asks.
  const hold = await holdAccounts(t, await databaseUrl())
  await hold.lockTable('ledger_entries')
  let asked = 0
  const selectFrom = db.selectFrom.bind(db) as (table: string) => never
  db.selectFrom = ((table: string) => {
    if (table === 'accounts') asked++
    return selectFrom(table)
  }) as typeof db.selectFrom
  const asking = Promise.all(Array.from({ length: 8 }, () => operator.get('/api/admin/verify')))
  await hold.waiting(1)
  await until(() => asked >= 8)
  // A query of the same pool that is sent after theirs is answered after theirs.
  for (let n = 0; n < 12; n++) await operator.get('/api/wallet')
  await hold.release()
  const answers = await asking
  t.ok(transactions < answers.length, 'those who asked meanwhile share a check')
  t.equal(new Set(answers.map(({ body }) => body)).size, 1)
  t.match(answers[0]?.json(), { ok: true })
  const before = transactions
  await operator.get('/api/admin/verify')
  t.equal(transactions, before + 1, 'the next one is a new one')
})

t.test('lists of the operator come in pages', async (t) => {
  const { admin, db } = await start(t)
  const operator = await admin()
  const prefix = unique('paged')
  const slugs = Array.from({ length: 120 }, (_, n) => `${prefix}-${String(n).padStart(3, '0')}`)
  const origins = Array.from({ length: 50 }, (_, n) => `https://${'x'.repeat(260)}${n}.example.com`)
  await db
    .insertInto('apps')
    .values(slugs.map((slug) => ({ slug, origins })))
    .execute()
  t.teardown(() => db.deleteFrom('apps').where('slug', 'in', slugs).execute())
  const walked: string[] = []
  for (let cursor: string | null = `${prefix}-`; cursor !== null; ) {
    const reply = await operator.get(`${APP}?cursor=${cursor}`)
    t.ok(reply.body.length < 1_100_000, `${reply.body.length} bytes`)
    const { apps, next_cursor } = reply.json()
    walked.push(...apps.map(({ slug }: { slug: string }) => slug))
    cursor = next_cursor
  }
  t.strictSame(
    walked.filter((slug) => slug.startsWith(prefix)),
    slugs,
  )
  t.equal((await operator.get(`${APP}?limit=3`)).json().apps.length, 3)

  const [slug = ''] = slugs
  const endpoints = slugs
    .slice(0, 5)
    .map(() => crypto.randomUUID())
    .toSorted()
  const endpoint = { app_slug: slug, url: 'https://example.com/', secret: 'x', events: ['job.failed'] }
  await db
    .insertInto('webhook_endpoints')
    .values(endpoints.map((id) => ({ ...endpoint, id })))
    .execute()
  t.teardown(() => db.deleteFrom('webhook_endpoints').where('app_slug', '=', slug).execute())
  const list = async (query: string) => (await operator.get(`${APP}/${slug}/webhooks?${query}`)).json()
  const first = await list('limit=3')
  const rest = await list(`limit=3&cursor=${first.next_cursor}`)
  t.strictSame(
    [...first.endpoints, ...rest.endpoints].map(({ id }) => id),
    endpoints,
  )
  t.equal(rest.next_cursor, null)
})

t.test('dead messages come in pages, which end at 1 MiB', async (t) => {
  const { admin, db } = await start(t)
  const operator = await admin()
  const endpoint_id = crypto.randomUUID()
  const payload = JSON.stringify({ type: 'job.failed', text: 'x'.repeat(16_000) })
  // Some at the same microsecond.
  const dead = Array.from({ length: 100 }, (_, n) => ({
    ...{ account_id: crypto.randomUUID(), endpoint_id, event: 'job.failed', payload, status: 'dead' as const },
    created_at: sql<Date>`timestamptz '2026-01-01 00:00:00.123456Z' + ${String(Math.floor(n / 3))}::int * interval '1 microsecond'`,
  }))
  await db.insertInto('webhook_messages').values(dead).execute()
  t.teardown(() => db.deleteFrom('webhook_messages').where('endpoint_id', '=', endpoint_id).execute())
  const walked: string[] = []
  let pages = 0
  for (let cursor: string | null = ''; cursor !== null; pages++) {
    const query = `endpoint_id=${endpoint_id}&limit=200${cursor && `&cursor=${cursor}`}`
    const reply = await operator.get(`/api/admin/webhooks/dead?${query}`)
    t.ok(reply.body.length < 1_100_000, `${reply.body.length} bytes`)
    const { messages, next_cursor } = reply.json()
    walked.push(...messages.map(({ id }: { id: string }) => id))
    cursor = next_cursor
  }
  t.equal(new Set(walked).size, 100)
  t.strictSame([walked.length, pages], [100, 2])
  t.equal((await operator.get('/api/admin/webhooks/dead?cursor=x')).statusCode, 400)
})
