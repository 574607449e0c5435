import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { type Person, personWith, start, unique } from '../support/start.ts'

const body = { app: 'clips', action: 'render', cost_estimate: 5, metadata: { a: 1, b: { c: [2, null], d: 'x' } } }
const key = () => ({ 'idempotency-key': unique('key') })

const jobsOf = async (somebody: Person) => (await somebody.get('/api/jobs?limit=200')).json().jobs

/** What the person has, and how often anything moved */
async function state(somebody: Person) {
  const [balance, jobs, entries] = await Promise.all([somebody.balance(), jobsOf(somebody), somebody.entries()])
  return { ...balance, jobs: jobs.length, entries: entries.length }
}

async function broke(t: Test, somebody: Person, cost: number, credits: number): Promise<void> {
  t.equal((await somebody.reserve(cost)).statusCode, 200)
  t.equal((await somebody.balance()).credits, credits)
}

t.test('a job reserves its estimate', async (t) => {
  const { app } = await start(t, { JOB_TTL_SECONDS: '7200' })
  const ada = await personWith(app, 12)
  const reply = await ada.post('/api/jobs', body)
  t.equal(reply.statusCode, 200)
  const { job_id, account_id, expires_at } = reply.json()
  t.match(job_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/, 'ordered by time')
  t.equal(account_id, ada.id)
  t.ok(Math.abs(Date.parse(expires_at) - Date.now() - 7_200_000) < 60_000)
  t.notOk('idempotency-replayed' in reply.headers)

  const { job } = (await ada.get(`/api/jobs/${job_id}`)).json()
  t.match(job, {
    id: job_id,
    app_slug: 'clips',
    action: 'render',
    status: 'started',
    reserved: 5,
    actual_cost: 0,
    failure_reason: null,
    expires_at,
  })
  t.strictSame(job.metadata, body.metadata)
  t.strictSame(await ada.balance(), { credits: 7, held: 5 })
  t.match(await ada.entries(), [{ seq: 2, kind: 'job_reserve', amount: -5, balance_after: 7, job_id }, { seq: 1 }])
})

t.test('the last credit can be reserved, one more cannot', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  t.equal((await ada.reserve(11)).statusCode, 402)
  t.equal((await ada.reserve(10)).statusCode, 200)
  const reply = await ada.reserve(1)
  t.equal(reply.statusCode, 402)
  const { message, request_id, ...rest } = reply.json()
  const buy_url = `${app.config.publicUrl}/buy?missing=1`
  t.strictSame(rest, { error: 'insufficient_credits', required: 1, available: 0, topup_url: buy_url, buy_url })
  t.match([message, request_id], [/needs 1 credit;/, String])
  t.strictSame(await state(ada), { credits: 0, held: 10, jobs: 1, entries: 2 })
})

t.test('402 says where to buy credits where that is configured', async (t) => {
  const { person } = await start(t, { TOPUP_URL: 'https://pay.example.com/buy?x=1' })
  const reply = await (await person()).reserve(1)
  t.match(reply.json(), { error: 'insufficient_credits', topup_url: 'https://pay.example.com/buy?x=1' })
})

t.test('any well-formed slug may be used; a job does not register one', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 1)
  const slug = unique('nobody-registered')
  t.equal((await ada.post('/api/jobs', { ...body, app: slug, cost_estimate: 1 })).statusCode, 200)
  t.match(await jobsOf(ada), [{ app_slug: slug }])
  t.notOk((await ada.get('/api/wallet')).json().apps.some((entry: { slug: string }) => entry.slug === slug))
})

t.test('the first reserve for an app takes its starter credits before it can be refused', async (t) => {
  const { app, admin, person } = await start(t)
  const operator = await admin()
  const slug = unique('starter')
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 20 })
  const reserve = (somebody: Person, cost_estimate: number, headers = {}) =>
    somebody.post('/api/jobs', { ...body, app: slug, cost_estimate }, headers)
  const grantOf = async (somebody: Person) =>
    (await somebody.get('/api/wallet')).json().apps.find((entry: { slug: string }) => entry.slug === slug).granted

  const newcomer = await person()
  t.equal((await reserve(newcomer, 5)).statusCode, 200)
  t.strictSame(await newcomer.balance(), { credits: 15, held: 5 })
  t.match((await newcomer.entries()).reverse(), [
    { seq: 1, kind: 'starter_grant', amount: 20, reference: `starter_grant:${slug}` },
    { seq: 2, kind: 'job_reserve', amount: -5, balance_after: 15 },
  ])
  t.equal(await grantOf(newcomer), true)
  t.equal((await newcomer.get(`/api/wallet?app=${slug}`)).json().account.credits, 15, 'once')
  t.equal((await reserve(newcomer, 16)).statusCode, 402)

  const rich = await personWith(app, 100)
  await reserve(rich, 5)
  t.equal((await rich.balance()).credits, 115, 'whether they are needed or not')

  const eager = await person()
  const headers = key()
  const refused = await reserve(eager, 50, headers)
  t.match([refused.statusCode, refused.json().available], [402, 20], 'what was due stays')
  t.strictSame(await state(eager), { credits: 20, held: 0, jobs: 0, entries: 1 })
  t.equal((await reserve(eager, 20, headers)).statusCode, 200, 'and the key is free')
  const racers = await person()
  const replies = await Promise.all(Array.from({ length: 10 }, () => reserve(racers, 2)))
  t.ok(replies.every(({ statusCode }) => statusCode === 200))
  t.strictSame(await racers.balance(), { credits: 0, held: 20 })

  const poor = await person()
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0 })
  t.equal((await reserve(poor, 0)).statusCode, 200)
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 7 })
  t.equal((await reserve(poor, 7)).statusCode, 200, 'credits that an app offers since count before a 402')
})

t.test('unknown fields are ignored', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 5)
  const extras = { status: 'completed', reserved: 0, actual_cost: 1e300, idempotency_key: 'k' }
  t.equal((await ada.post('/api/jobs', { ...body, ...extras })).statusCode, 200)
  t.match(await jobsOf(ada), [{ status: 'started', reserved: 5, actual_cost: 0 }])
})

t.test('a job that costs nothing writes no entry and does not advance seq', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 3)
  for (let i = 0; i < 3; i++) t.equal((await ada.reserve(0)).statusCode, 200)
  t.strictSame(await state(ada), { credits: 3, held: 0, jobs: 3, entries: 1 })
  t.match(await db.selectFrom('accounts').select('seq').where('id', '=', ada.id).execute(), [{ seq: 1 }])
})

t.test('with nothing left, a job that costs nothing still starts', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 4)
  await broke(t, ada, 4, 0)
  t.equal((await ada.reserve(0)).statusCode, 200)
})

t.test('a balance below zero blocks every job, free ones too', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 2)
  const { job_id } = (await ada.reserve(2)).json()
  t.equal((await ada.complete(job_id, 5)).json().credits, -3)
  const before = await state(ada)
  for (const cost of [0, 1]) {
    const reply = await ada.reserve(cost)
    t.equal(reply.statusCode, 402)
    t.match(reply.json(), { error: 'insufficient_credits', required: cost, available: -3 })
  }
  t.strictSame(await state(ada), before)
})

t.test("a person's very first request may be a job that costs nothing", async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  await db.deleteFrom('accounts').where('id', '=', ada.id).execute()
  t.equal((await ada.reserve(0, key())).statusCode, 200)
  t.match((await ada.get('/api/wallet')).json(), { account: { id: ada.id, clerk_id: ada.clerkId, credits: 0 } })
  t.equal((await jobsOf(ada)).length, 1)
})

t.test("a person's very first request may be a job that costs something: 402, and nothing is stored", async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  await db.deleteFrom('accounts').where('id', '=', ada.id).execute()
  const reply = await ada.reserve(1, key())
  t.equal(reply.statusCode, 402)
  t.match(reply.json(), { required: 1, available: 0 })
  for (const table of ['accounts', 'jobs', 'ledger_entries', 'app_grants'] as const) {
    const column = table === 'accounts' ? 'id' : 'account_id'
    const rows = await sql`select from ${sql.table(table)} where ${sql.ref(column)} = ${ada.id}`.execute(db)
    t.equal(rows.rows.length, 0, table)
  }
})

t.test('large amounts are exact', async (t) => {
  const { app } = await start(t)
  for (const amount of [1e12, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER]) {
    const ada = await personWith(app, amount)
    const { job_id } = (await ada.reserve(amount)).json()
    t.strictSame(await ada.balance(), { credits: 0, held: amount })
    t.equal((await ada.get(`/api/jobs/${job_id}`)).json().job.reserved, amount)
    t.match((await ada.complete(job_id, amount - 1)).json(), { job: { actual_cost: amount - 1 }, credits: 1, held: 0 })
    const second = (await ada.reserve(1)).json().job_id
    t.match((await ada.complete(second, amount)).json(), { credits: 1 - amount, moved: { amount: 1 - amount } })
  }
})

t.test('a repeated key answers the same job and says so', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 20)
  const headers = key()
  const first = await ada.post('/api/jobs', body, headers)
  const before = await state(ada)
  const reordered =
    '{"metadata":{"b":{"d":"x","c":[2,null]},"a":1.0},"cost_estimate":5e0,"action":"render","app":"clips"}'
  const withMore = { ...body, something: 'unknown' }
  for (const again of [body, reordered, withMore]) {
    const reply = await ada.post('/api/jobs', again, headers)
    t.equal(reply.statusCode, 200)
    t.equal(reply.headers['idempotency-replayed'], 'true')
    t.strictSame(reply.json(), first.json())
  }
  t.notOk('idempotency-replayed' in first.headers)
  t.strictSame(await state(ada), before)
  t.strictSame(before, { credits: 15, held: 5, jobs: 1, entries: 2 })
})

t.test('a repeated key with another body is refused', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 20)
  const headers = key()
  await ada.post('/api/jobs', body, headers)
  const before = await state(ada)
  const { metadata: _, ...bare } = body
  const others = [
    { ...body, app: 'audio' },
    { ...body, action: 'Render' },
    { ...body, cost_estimate: 6 },
    { ...body, cost_estimate: 0 },
    { ...body, cost_estimate: 1_000 },
    { ...body, metadata: { ...body.metadata, a: 2 } },
    { ...body, metadata: { a: 1, b: { c: [null, 2], d: 'x' } } },
    { ...body, metadata: {} },
    bare,
  ]
  for (const other of others) {
    const reply = await ada.post('/api/jobs', other, headers)
    t.equal(reply.statusCode, 422, JSON.stringify(other))
    t.match(reply.json(), { error: 'idempotency_key_reused' })
  }
  t.strictSame(await state(ada), before)
})

t.test('a replay whose own hold emptied the wallet is not short of credits', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 5)
  const headers = key()
  const first = await ada.post('/api/jobs', body, headers)
  t.equal((await ada.balance()).credits, 0)
  const replay = await ada.post('/api/jobs', body, headers)
  t.equal(replay.statusCode, 200)
  t.strictSame(replay.json(), first.json())
  t.equal((await ada.post('/api/jobs', { ...body, cost_estimate: 6 }, headers)).statusCode, 422, 'nor is a wrong one')
  t.equal((await ada.post('/api/jobs', body, key())).statusCode, 402, 'a new one is')
})

t.test('a replay below zero is still a replay', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const headers = key()
  const { job_id } = (await ada.post('/api/jobs', body, headers)).json()
  await ada.complete((await ada.reserve(5)).json().job_id, 9)
  t.equal((await ada.balance()).credits, -4)
  const replay = await ada.post('/api/jobs', body, headers)
  t.equal(replay.statusCode, 200)
  t.match(replay.json(), { job_id, status: 'started' })
})

t.test('a replay answers the hold as it is now', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const headers = key()
  const { job_id, expires_at, status } = (await ada.post('/api/jobs', body, headers)).json()
  t.equal(status, 'started')
  const { job } = (await ada.post(`/api/jobs/${job_id}/heartbeat`, { ttl_seconds: 604_800 })).json()
  t.not(job.expires_at, expires_at)
  t.match((await ada.post('/api/jobs', body, headers)).json(), { job_id, expires_at: job.expires_at, status })
})

t.test('a replay of a job that has ended is refused: its work would be done for nothing', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 20)
  const ended = async (end: (job_id: string) => Promise<unknown>) => {
    const headers = key()
    const { job_id } = (await ada.post('/api/jobs', body, headers)).json()
    await end(job_id)
    const before = await state(ada)
    const reply = await ada.post('/api/jobs', body, headers)
    t.equal(reply.statusCode, 409)
    t.notOk('idempotency-replayed' in reply.headers)
    t.match(reply.json(), { error: 'job_already_ended', job_id, message: /Idempotency-Key/ })
    t.equal((await ada.post('/api/jobs', { ...body, cost_estimate: 6 }, headers)).statusCode, 422, '422 is said first')
    t.strictSame(await state(ada), before)
    const { status, actual_cost, failure_reason } = reply.json()
    return [status, actual_cost, failure_reason]
  }
  t.strictSame(await ended((job_id) => ada.complete(job_id, 3)), ['completed', 3, null])
  t.strictSame(await ended((job_id) => ada.fail(job_id)), ['failed', 0, null])
  t.strictSame(await ended((job_id) => ada.fail(job_id, false)), ['failed', 5, null])
  const expire = async (job_id: string) => {
    await sql`update jobs set expires_at = now() where id = ${job_id}`.execute(db)
    await sweepHolds(db, app.ledger)
  }
  t.strictSame(await ended(expire), ['failed', 0, 'expired'])
})

t.test('a 402 leaves no trace, so the same key works after a top-up', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 4)
  const headers = key()
  for (let i = 0; i < 2; i++) t.equal((await ada.post('/api/jobs', body, headers)).statusCode, 402)
  t.strictSame(await state(ada), { credits: 4, held: 0, jobs: 0, entries: 1 })
  t.equal((await ada.post('/api/jobs', { ...body, cost_estimate: 9 }, headers)).statusCode, 402, 'with any body')

  const topup = { clerk_id: ada.clerkId, amount: 1, kind: 'topup', reference: unique('payment'), reason: 'bought' }
  t.equal((await (await admin()).post('/api/admin/credits', topup)).statusCode, 200)
  const reply = await ada.post('/api/jobs', body, headers)
  t.equal(reply.statusCode, 200)
  t.notOk('idempotency-replayed' in reply.headers)
  t.strictSame(await state(ada), { credits: 0, held: 5, jobs: 1, entries: 3 })
})

t.test('keys belong to an account', async (t) => {
  const { app } = await start(t)
  const [ada, grace] = await Promise.all([personWith(app, 5), personWith(app, 5)])
  const headers = key()
  const replies = [await ada.post('/api/jobs', body, headers), await grace.post('/api/jobs', body, headers)]
  for (const reply of replies) t.notOk('idempotency-replayed' in reply.headers)
  t.not(replies[0]?.json().job_id, replies[1]?.json().job_id)
  for (const somebody of [ada, grace]) t.strictSame(await somebody.balance(), { credits: 0, held: 5 })
})

t.test('a key has 1 to 255 characters, and case matters', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 5)
  const send = (value: string) => ada.post('/api/jobs', { ...body, cost_estimate: 1 }, { 'idempotency-key': value })
  for (const bad of ['', 'x'.repeat(256), 'x'.repeat(8_000)]) {
    const reply = await send(bad)
    t.equal(reply.statusCode, 400, `${bad.length} characters`)
    t.match(reply.json(), { error: 'invalid_request', field: 'idempotency-key' })
  }
  t.equal((await jobsOf(ada)).length, 0)
  for (const good of ['a', 'A', 'x'.repeat(255), 'ÿ"\'\\;--']) {
    const reply = await send(good)
    t.equal(reply.statusCode, 200, good.slice(0, 10))
    t.notOk('idempotency-replayed' in reply.headers)
    t.equal((await send(good)).json().job_id, reply.json().job_id)
  }
  t.equal((await jobsOf(ada)).length, 4)
})

t.test('without a key the same body twice is two jobs', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const ids = [(await ada.post('/api/jobs', body)).json().job_id, (await ada.post('/api/jobs', body)).json().job_id]
  t.not(ids[0], ids[1])
  t.strictSame(await ada.balance(), { credits: 0, held: 10 })
})

t.test('a closed account starts nothing, and remembers what it started', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  const headers = key()
  const first = await ada.post('/api/jobs', body, headers)
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const before = await state(ada)
  for (const cost of [0, 1, 1_000]) {
    const reply = await ada.reserve(cost, key())
    t.equal(reply.statusCode, 403)
    t.match(reply.json(), { error: 'account_closed' })
  }
  t.equal((await ada.post('/api/jobs', body, headers)).json().job_id, first.json().job_id)
  t.strictSame(await state(ada), before)
})

t.test('with a cookie, a job needs the origin of a page that may ask for it', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: 'https://friend.example.com' })
  const ada = await personWith(app, 10)
  const send = (headers: Record<string, string>) =>
    app.inject({ method: 'POST', url: '/api/jobs', payload: body, headers: { cookie: ada.cookie, ...headers } })
  for (const headers of [
    {},
    { origin: 'null' },
    { origin: 'https://evil.example.com' },
    { origin: 'http://localhost' },
  ]) {
    const reply = await send(headers as Record<string, string>)
    t.equal(reply.statusCode, 403, JSON.stringify(headers))
    t.match(reply.json(), { error: 'origin_not_allowed' })
  }
  t.equal((await jobsOf(ada)).length, 0)
  for (const origin of ['http://localhost:3000', 'https://friend.example.com']) {
    t.equal((await send({ origin })).statusCode, 200, origin)
  }
})

t.test('without a token there is no job', async (t) => {
  const { app } = await start(t)
  const replies = await Promise.all(
    ['/api/jobs', '/api/jobs/complete', '/api/jobs/fail'].map((url) =>
      app.inject({ method: 'POST', url, payload: 'not even JSON', headers: { 'content-type': 'application/json' } }),
    ),
  )
  for (const reply of replies) {
    t.equal(reply.statusCode, 401)
    t.match(reply.json(), { error: 'not_signed_in', signin_url: String })
  }
})
