import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { type DeliveryChanges, deliver, webhookSecret } from '../support/clerk-webhook.ts'
import { query } from '../support/database.ts'
import { type App, databaseUrl, start, startOwn, unique } from '../support/start.ts'

interface Owner {
  sub: string
  sid: string
}

const gone = ({ sub }: Owner, type = 'user.deleted') => ({ type, data: { id: sub, object: 'user', deleted: true } })

/** The service with a Clerk that posts its events, an administrator there, and an app with starter credits. */
async function withWebhook(t: Test) {
  const clerk = await startClerk(t)
  const boss = clerk.signIn()
  const env = {
    ...clerk.env,
    CLERK_JWT_KEY: clerk.jwtKey,
    CLERK_WEBHOOK_SECRET: webhookSecret,
    ADMIN_CLERK_IDS: boss.sub,
  }
  const { app } = await start(t, env)
  const as = async (owner: Owner) => {
    const headers = { authorization: `Bearer ${await clerk.token({ ...owner })}` }
    return {
      get: (url: string) => app.inject({ url, headers }),
      post: (url: string, payload: object) => app.inject({ method: 'POST', url, headers, payload }),
      put: (url: string, payload: object) => app.inject({ method: 'PUT', url, headers, payload }),
    }
  }
  const slug = unique('video')
  await (await as(boss)).put(`/api/admin/apps/${slug}`, { starter_credits: 20 })

  /** A browser that has signed in: its cookie header */
  async function signedIn(owner: Owner): Promise<string> {
    const { PUBLIC_URL: origin } = clerk.env
    const payload = { token: await clerk.token({ ...owner }) }
    const reply = await app.inject({ method: 'POST', url: '/api/session', headers: { origin }, payload })
    return reply.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
  const opens = async (cookie: string, on: App = app) =>
    (await on.inject({ url: '/api/wallet', headers: { cookie } })).statusCode === 200

  return { app, env, clerk, as, boss, slug, signedIn, opens }
}

/** What the database has of somebody. */
async function stateOf({ sub }: Owner) {
  const url = await databaseUrl()
  const id = accountIdOf(sub)
  const [account] = await query<{ clerk_id: string; closed_at: Date | null; credits: string; seq: string }>(
    url,
    'select clerk_id, closed_at, credits, seq from accounts where id = $1',
    [id],
  )
  const tokens = await query<{ revoked: boolean }>(
    url,
    'select revoked_at is not null as revoked from tokens where account_id = $1 order by revoked_at, id',
    [id],
  )
  const codes = await query<{ status: string }>(
    url,
    'select status from device_codes where account_id = $1 order by created_at, status',
    [id],
  )
  const sessions = await query(url, 'select 1 from sessions where account_id = $1', [id])
  return {
    account,
    live_tokens: tokens.filter(({ revoked }) => !revoked).length,
    codes: codes.map(({ status }) => status).sort(),
    sessions: sessions.length,
  }
}

async function giveTokensAndCodes({ sub }: Owner) {
  const url = await databaseUrl()
  const id = accountIdOf(sub)
  for (const name of ['laptop', 'server']) {
    await query(
      url,
      `insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at)
      values ($1, $2, $3, $4, 'abcd', '{account}', now() + interval '1 day')`,
      [randomUUID(), randomUUID(), id, name],
    )
  }
  for (const status of ['pending', 'approved', 'delivered']) {
    await query(
      url,
      `insert into device_codes (device_code_hash, user_code, status, account_id, scopes, client_name, expires_at)
      values ($1, $2, $3, $4, '{account}', 'laptop', now() + interval '1 day')`,
      [randomUUID(), unique('CODE'), status, id],
    )
  }
}

t.test('without a secret, and with the local identity, there is no such route', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const local = await start(t, { CLERK_WEBHOOK_SECRET: webhookSecret })
  for (const service of [app, local.app]) {
    const reply = await deliver(service, gone({ sub: 'user_1', sid: '' }))
    t.equal(reply.statusCode, 404)
    t.equal(reply.json().error, 'not_found')
  }
})

t.test('what is not signed just now, with our secret, over exactly this, changes nothing', async (t) => {
  const { app, clerk, as } = await withWebhook(t)
  const somebody = clerk.signIn()
  await (await as(somebody)).get('/api/wallet')
  const event = gone(somebody)
  const other = `whsec_${Buffer.from('another secret').toString('base64')}`
  const wrong: Record<string, DeliveryChanges> = {
    'another secret': { secret: other },
    'another body': { body: JSON.stringify(gone(somebody)) },
    'no body': { body: '' },
    'no id': { headers: { 'svix-id': undefined } },
    'another id': { headers: { 'svix-id': 'msg_other' } },
    'no time': { headers: { 'svix-timestamp': undefined } },
    'another time': { headers: { 'svix-timestamp': String(Math.floor(Date.now() / 1000) - 1) } },
    'no signature': { headers: { 'svix-signature': undefined } },
    'an empty signature': { headers: { 'svix-signature': 'v1,' } },
    'another version': { headers: { 'svix-signature': 'v2,abc' } },
    'six minutes ago': { age: -360 },
    'in six minutes': { age: 360 },
  }
  for (const [name, changes] of Object.entries(wrong)) {
    const reply = await deliver(app, event, changes)
    t.equal(reply.statusCode, 400, name)
    t.equal(reply.json().error, 'invalid_signature', name)
  }
  const form = await deliver(app, event, { headers: { 'content-type': 'text/plain' } })
  t.equal(form.statusCode, 415)
  const long = { id: 'user_nobody', public_metadata: { text: 'x'.repeat(900_000) } }
  t.equal((await deliver(app, { type: 'user.updated', data: long })).statusCode, 200, 'an event of 900 KB is read')
  const large = await deliver(app, { ...event, data: 'x'.repeat(1_100_000) })
  t.match([large.statusCode, large.json().message], [413, 'The body is larger than 1 MiB.'])
  t.equal((await stateOf(somebody)).account?.closed_at, null)
  t.equal((await deliver(app, event, { age: -240 })).statusCode, 200, 'four minutes ago is just now')
})

for (const [name, event] of [
  ['user.deleted', (owner: Owner) => gone(owner)],
  ['user.banned', (owner: Owner) => ({ type: 'user.banned', data: { id: owner.sub } })],
  ['a ban in user.updated', (owner: Owner) => ({ type: 'user.updated', data: { id: owner.sub, banned: true } })],
] as const) {
  t.test(`${name}: tokens, device logins and sessions end at once, and nothing is posted any more`, async (t) => {
    const { app, clerk, as, boss, slug, signedIn, opens } = await withWebhook(t)
    const [somebody, neighbour] = [clerk.signIn(), clerk.signIn()]
    const person = await as(somebody)
    await person.get(`/api/wallet?app=${slug}`)
    const cookie = await signedIn(somebody)
    const cookieNextDoor = await signedIn(neighbour)
    await giveTokensAndCodes(somebody)
    const job = { app: slug, action: 'render', cost_estimate: 5 }
    const { job_id } = (await person.post('/api/jobs', job)).json()
    const before = await stateOf(somebody)
    t.match(before, { live_tokens: 2, codes: ['approved', 'delivered', 'pending'], sessions: 1 })
    t.ok(await opens(cookie))

    t.equal((await deliver(app, event(somebody))).statusCode, 200)

    const after = await stateOf(somebody)
    t.match(after, { live_tokens: 0, codes: ['delivered', 'denied', 'denied'], sessions: 0 })
    t.ok(after.account?.closed_at)
    t.notOk(await opens(cookie))
    t.ok(await opens(cookieNextDoor), 'nobody else is signed out')

    const closed = { error: 'account_closed' }
    t.match((await person.post('/api/jobs', job)).json(), closed)
    t.match((await person.post('/api/jobs', { ...job, cost_estimate: 0 })).json(), closed)
    t.match((await person.post('/api/jobs/complete', { job_id, actual_cost: 1 })).json(), closed)
    t.match((await person.post('/api/jobs/fail', { job_id })).json(), closed)
    const more = { clerk_id: somebody.sub, amount: 5, kind: 'topup', reference: unique('r'), reason: 'too late' }
    t.match((await (await as(boss)).post('/api/admin/credits', more)).json(), closed)
    const { PUBLIC_URL: origin } = clerk.env
    const payload = { token: await clerk.token({ ...somebody }) }
    const again = await app.inject({ method: 'POST', url: '/api/session', headers: { origin }, payload })
    t.match(again.json(), closed)
    t.notOk(again.headers['set-cookie'])
    t.strictSame((await stateOf(somebody)).account, after.account, 'the ledger stands still')
  })
}

t.test('other events, and those of nobody, are taken and change nothing', async (t) => {
  const { app, clerk, as } = await withWebhook(t)
  const somebody = clerk.signIn()
  await (await as(somebody)).get('/api/wallet')
  for (const event of [
    { type: 'user.updated', data: { id: somebody.sub, banned: false } },
    { type: 'user.created', data: { id: somebody.sub } },
    { type: 'session.created', data: { id: somebody.sid, user_id: somebody.sub } },
    { type: 'email.created', data: { id: 'ema_1' } },
    { type: 'user.deleted', data: {} },
    { type: 'user.deleted', data: null },
    { type: 'session.ended', data: { id: 'sess_nobody' } },
  ]) {
    t.equal((await deliver(app, event)).statusCode, 200, event.type)
  }
  t.equal((await stateOf(somebody)).account?.closed_at, null)
})

t.test('an event that comes again is taken again and moves nothing', async (t) => {
  const { app, clerk, as } = await withWebhook(t)
  const somebody = clerk.signIn()
  await (await as(somebody)).get('/api/wallet')
  const id = unique('msg')
  await deliver(app, gone(somebody), { id })
  const { account } = await stateOf(somebody)
  await giveTokensAndCodes(somebody)
  t.equal((await deliver(app, gone(somebody), { id })).statusCode, 200)
  t.strictSame((await stateOf(somebody)).account, account)
  t.equal((await stateOf(somebody)).live_tokens, 2, 'this delivery was dealt with before')
  t.equal((await deliver(app, gone(somebody))).statusCode, 200, 'another one of the same')
  t.strictSame((await stateOf(somebody)).account, account, 'closed when it was closed')
  t.equal((await stateOf(somebody)).live_tokens, 0)
})

t.test('the same event at two instances at once is dealt with once, and both say so', async (t) => {
  const { app, env, clerk, as } = await withWebhook(t)
  const other = await start(t, env)
  const somebody = clerk.signIn()
  await (await as(somebody)).get('/api/wallet')
  const id = unique('msg')
  const replies = await Promise.all(
    Array.from({ length: 12 }, (_, i) => deliver(i % 2 ? app : other.app, gone(somebody), { id })),
  )
  for (const reply of replies) t.equal(reply.statusCode, 200)
  t.equal((await query(await databaseUrl(), 'select 1 from webhook_deliveries where id = $1', [id])).length, 1)
})

t.test('somebody who was never here cannot come with a token of the last minute', async (t) => {
  const { app, clerk, as, slug } = await withWebhook(t)
  const somebody = clerk.signIn()
  t.equal((await deliver(app, gone(somebody))).statusCode, 200)
  const person = await as(somebody)
  const wallet = (await person.get(`/api/wallet?app=${slug}`)).json()
  t.match(wallet, { account: { credits: 0, held: 0 }, app_grant: { granted: false } })
  t.equal((await person.post('/api/jobs', { app: slug, action: 'render', cost_estimate: 0 })).statusCode, 403)
  await person.get('/api/wallet?app=some-new-slug')
  t.equal(
    (await query(await databaseUrl(), 'select 1 from app_grants where account_id = $1', [accountIdOf(somebody.sub)]))
      .length,
    0,
  )
})

t.test('a failure half-way is answered as one, and the next delivery completes it', async (t) => {
  const { app, clerk, as, signedIn } = await withWebhook(t)
  const somebody = clerk.signIn()
  await (await as(somebody)).get('/api/wallet')
  await signedIn(somebody)
  await giveTokensAndCodes(somebody)
  const url = await databaseUrl()
  const id = unique('msg')
  await query(url, 'alter table sessions rename to sessions_away')
  try {
    t.equal((await deliver(app, gone(somebody), { id })).statusCode, 500)
  } finally {
    await query(url, 'alter table sessions_away rename to sessions')
  }
  const receipts = await query(url, 'select id from webhook_deliveries where id = $1', [id])
  t.strictSame(receipts, [], 'the receipt comes last')
  t.match(await stateOf(somebody), { account: { closed_at: Date } }, 'nothing is posted meanwhile')
  t.equal((await deliver(app, gone(somebody), { id })).statusCode, 200)
  t.match(await stateOf(somebody), { live_tokens: 0, sessions: 0, account: { closed_at: Date } })
})

for (const type of ['session.ended', 'session.removed', 'session.revoked']) {
  t.test(`${type} ends our session of that session, and no other`, async (t) => {
    const { app, env, clerk, signedIn, opens } = await withWebhook(t)
    const other = await start(t, env)
    const here = clerk.signIn()
    const there = { ...here, sid: unique('sess') }
    const [cookie, elsewhere] = [await signedIn(here), await signedIn(there)]
    t.ok((await opens(cookie, other.app)) && (await opens(elsewhere)))
    t.equal((await deliver(app, { type, data: { id: here.sid, user_id: here.sub } })).statusCode, 200)
    t.notOk(await opens(cookie))
    t.notOk(await opens(cookie, other.app), 'at once, on every instance')
    t.ok(await opens(elsewhere))

    t.notOk(await opens(await signedIn(here)), 'its token of the last minute opens none')
    t.equal((await stateOf(here)).account?.closed_at, null)
  })
}

t.test('however postings race with the closing, none comes after it', async (t) => {
  const { app, env, clerk, as, boss } = await withWebhook(t)
  const other = await start(t, env)
  for (let round = 0; round < 5; round++) {
    const somebody = clerk.signIn()
    const more = { clerk_id: somebody.sub, amount: 100, kind: 'topup', reference: unique('r'), reason: 'to spend' }
    await (await as(boss)).post('/api/admin/credits', more)
    const headers = { authorization: `Bearer ${await clerk.token({ ...somebody })}` }
    const payload = { app: 'clips', action: 'render', cost_estimate: 1 }
    const reserve = (on: App) => on.inject({ method: 'POST', url: '/api/jobs', headers, payload })
    const statuses: number[] = []
    const racing = Array.from({ length: 20 }, async (_, i) => {
      statuses.push((await reserve(i % 2 ? app : other.app)).statusCode)
    })
    t.equal((await deliver(app, gone(somebody))).statusCode, 200)
    const { account } = await stateOf(somebody)
    await Promise.all(racing)
    t.strictSame((await stateOf(somebody)).account, account, 'nothing after the answer')
    t.ok(statuses.every((status) => status === 200 || status === 403))
    t.equal(Number(account?.credits), 100, 'its holds ended')
    t.equal((await reserve(other.app)).statusCode, 403)
  }
})

t.test('deliveries are forgotten after a month', async (t) => {
  const { app } = await withWebhook(t)
  const url = await databaseUrl()
  const [old, recent] = [unique('msg'), unique('msg')]
  await query(
    url,
    `insert into webhook_deliveries (id, received_at)
    values ($1, now() - interval '31 days'), ($2, now() - interval '29 days')`,
    [old, recent],
  )
  await deliver(app, { type: 'user.created', data: { id: 'user_1' } })
  const left = await query<{ id: string }>(url, 'select id from webhook_deliveries where id = any($1)', [[old, recent]])
  t.strictSame(left, [{ id: recent }])
})

t.test('junk is refused before a signature is computed, once its address has failed often enough', async (t) => {
  const clerk = await startClerk(t)
  const MAX = 20
  const env = { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, CLERK_WEBHOOK_SECRET: webhookSecret }
  const { app } = await startOwn(t, { ...env, RATE_LIMIT_MAX: String(MAX) })
  let computed = 0
  const { readWebhook } = app.identity
  app.identity.readWebhook = (headers, body) => {
    computed++
    if (!readWebhook) throw new Error('There is no webhook.')
    return readWebhook(headers, body)
  }
  const event = () => gone(clerk.signIn())
  const junk: DeliveryChanges[] = [
    { headers: { 'svix-signature': undefined } },
    { headers: { 'svix-signature': 'v1,junk' } },
    { headers: { 'svix-id': undefined } },
    { age: -600 },
  ]
  let next = 0
  const send = () => deliver(app, event(), junk[next++ % junk.length])
  for (let n = 0; n < MAX; n++) t.match((await send()).json(), { error: 'invalid_signature' })
  t.equal(computed, MAX)
  for (let n = 0; n < 2 * junk.length; n++)
    t.match(await send(), { statusCode: 429, headers: { 'retry-after': /^\d+$/ } })
  t.equal(computed, MAX)

  t.equal((await deliver(app, event())).statusCode, 200, 'genuine deliveries go on')
  const forged = { secret: `whsec_${Buffer.from('another secret').toString('base64')}` }
  t.equal((await deliver(app, event(), forged)).statusCode, 429, 'what could be genuine was looked at')
  t.equal(computed, MAX + 2)
  t.equal((await deliver(app, event(), { body: 'x'.repeat(1_100_000) })).statusCode, 413)
  t.equal(computed, MAX + 2)
})

t.test('deliveries are limited by address, and more generously than people', async (t) => {
  const clerk = await startClerk(t)
  const env = { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, CLERK_WEBHOOK_SECRET: webhookSecret }
  const { app } = await startOwn(t, { ...env, RATE_LIMIT_MAX: '2' })
  const statuses: number[] = []
  for (let n = 0; n < 21; n++) statuses.push((await deliver(app, gone(clerk.signIn()))).statusCode)
  t.strictSame(statuses, [...Array(20).fill(200), 429])
})
