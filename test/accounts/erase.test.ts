import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { closeAccount } from '../../src/accounts/close.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { query } from '../support/database.ts'
import { WAITING } from '../support/hold.ts'
import { databaseUrl, type Person, personWith, start } from '../support/start.ts'
import { until } from '../support/until.ts'

const erase = (admin: Person, clerk_id: string) => admin.post('/api/admin/accounts/erase', { clerk_id })

/** Everything that the database has under an account, as text. */
async function tracesOf(accountId: string): Promise<string> {
  const url = await databaseUrl()
  const rows: object[] = []
  for (const [table, key] of [
    ['accounts', 'id'],
    ['app_grants', 'account_id'],
    ['jobs', 'account_id'],
    ['ledger_entries', 'account_id'],
    ['tokens', 'account_id'],
    ['sessions', 'account_id'],
    ['device_codes', 'account_id'],
  ]) {
    rows.push(...(await query(url, `select * from ${table} where ${key} = $1`, [accountId])))
  }
  return JSON.stringify(rows)
}

t.test("erasing removes the owner's identity and the jobs' metadata, and keeps the ledger", async (t) => {
  const { app, admin } = await start(t)
  const boss = await admin()
  const ada = await personWith(app, 100)
  const metadata = { title: 'Holiday of Ada', at: { place: 'Ada’s garden' } }
  const job = { app: 'clips', action: 'render', cost_estimate: 5, metadata }
  const { job_id } = (await ada.post('/api/jobs', job, { 'idempotency-key': 'key-of-ada' })).json()
  await ada.complete(job_id, 3, { note: 'More of Ada' })
  await ada.post('/api/jobs', job)
  const url = await databaseUrl()
  await query(
    url,
    `insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at)
    values ($1, $2, $3, 'laptop of Ada', 'abcd', '{account}', now() + interval '1 day')`,
    [randomUUID(), randomUUID(), ada.id],
  )
  await query(
    url,
    `insert into device_codes (device_code_hash, user_code, status, account_id, scopes, client_name, requested_from, expires_at)
    values ($1, $1, 'delivered', $2, '{account}', 'cli of Ada', '192.0.2.7', now() + interval '1 day')`,
    [randomUUID(), ada.id],
  )
  const { entries } = (await ada.get('/api/wallet/entries')).json()
  const { credits, held } = await ada.balance()
  t.equal(held, 5)
  t.match(await tracesOf(ada.id), /Ada/)

  const reply = await erase(boss, ada.clerkId)
  t.equal(reply.statusCode, 200)
  t.match(reply.json(), { account: { id: ada.id, clerk_id: 'erased', credits: credits + held, held: 0 } })

  t.notMatch(await tracesOf(ada.id), new RegExp(`Ada|key-of-ada|192\\.0\\.2\\.7|${ada.clerkId}`))
  const [release, ...rest] = (await ada.get('/api/wallet/entries')).json().entries
  t.match(release, { kind: 'job_release', amount: held })
  t.strictSame(rest, entries, 'not an entry changed')
  t.ok((await boss.get('/api/admin/verify')).json().ok)
  t.equal((await erase(boss, ada.clerkId)).statusCode, 200, 'again is no fault')
})

t.test('an erased person can neither sign in nor post', async (t) => {
  const { app, admin, person } = await start(t)
  const boss = await admin()
  const email = 'carl@example.com'
  const carl = await person(email)
  await carl.get('/api/wallet?app=video')
  const { job_id } = (await carl.reserve(5)).json()
  const { credits, held } = await carl.balance()
  t.equal((await erase(boss, carl.clerkId)).statusCode, 200)

  // The token lives for some seconds more.
  for (const late of [
    await carl.reserve(0),
    await carl.complete(job_id, 1),
    await carl.fail(job_id),
    await boss.post('/api/admin/credits', {
      clerk_id: carl.clerkId,
      amount: 1,
      kind: 'topup',
      reference: 'late',
      reason: 'late',
    }),
  ]) {
    t.equal(late.statusCode, 403)
    t.equal(late.json().error, 'account_closed')
  }
  t.match((await carl.get('/api/wallet?app=video')).json(), {
    account: { credits: credits + held, held: 0, clerk_id: 'erased' },
  })
  t.equal((await app.inject({ url: '/api/wallet', headers: { cookie: carl.cookie } })).statusCode, 401)
  const signin = await app.inject({ method: 'POST', url: '/signin', payload: { email } })
  t.equal(signin.statusCode, 403)
  t.equal(signin.json().error, 'account_closed')
  t.notOk(signin.headers['set-cookie'])
  t.notMatch(await tracesOf(carl.id), new RegExp(carl.clerkId))
})

t.test('closing ends the holds of an account, and nothing settles them later', async (t) => {
  const { app, admin } = await start(t)
  const boss = await admin()
  const ada = await personWith(app, 30)
  const headers = { 'idempotency-key': 'of-ada' }
  const [held, overrun, kept] = [
    (await ada.reserve(5, headers)).json().job_id,
    (await ada.reserve(7)).json().job_id,
    (await ada.reserve(0)).json().job_id,
  ]
  await ada.complete(overrun, 2)
  t.strictSame(await ada.balance(), { credits: 23, held: 5 })
  await closeAccount(app.db, app.ledger, ada.id, ada.clerkId)
  t.strictSame(await ada.balance(), { credits: 28, held: 0 })
  for (const id of [held, kept])
    t.match((await ada.get(`/api/jobs/${id}`)).json().job, {
      status: 'failed',
      actual_cost: 0,
      failure_reason: 'account_closed',
    })
  t.match((await ada.get('/api/wallet/entries')).json().entries[0], { kind: 'job_release', amount: 5, job_id: held })
  for (const late of [
    await ada.complete(held, 0),
    await ada.complete(held, 5),
    await ada.fail(held),
    await ada.fail(held, false),
    await ada.post(`/api/jobs/${held}/heartbeat`, {}),
  ])
    t.match([late.statusCode, late.json().error], [403, 'account_closed'])
  t.match((await ada.reserve(5, headers)).json(), { error: 'job_already_ended', failure_reason: 'account_closed' })
  t.equal((await ada.complete(overrun, 2)).statusCode, 200, 'what was settled before is a repeat')
  t.equal((await erase(boss, ada.clerkId)).statusCode, 200)
})

t.test('thousands of holds end with their account', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5_000)
  await Promise.all(Array.from({ length: 1_300 }, () => ada.reserve(1)))
  await closeAccount(db, app.ledger, ada.id, ada.clerkId)
  t.strictSame(await ada.balance(), { credits: 5_000, held: 0 })
})

t.test('holds of accounts that an earlier release closed are released when they are overdue', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 20)
  const { job_id } = (await ada.reserve(5)).json()
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  await sweepHolds(db, app.ledger)
  t.equal((await ada.balance()).held, 5)
  await sql`update jobs set expires_at = now() where id = ${job_id}`.execute(db)
  await sweepHolds(db, app.ledger)
  t.strictSame(await ada.balance(), { credits: 20, held: 0 })
  t.match((await ada.get(`/api/jobs/${job_id}`)).json().job, { status: 'failed', failure_reason: 'account_closed' })
})

t.test('the metadata of thousands of jobs is cleared completely', async (t) => {
  const { admin, person } = await start(t)
  const [boss, dora] = [await admin(), await person()]
  const url = await databaseUrl()
  await query(
    url,
    `insert into jobs (account_id, id, app_slug, action, status, reserved, metadata, expires_at)
    select $1, gen_random_uuid(), 'video', 'render', 'failed', 0, jsonb_build_object('of', 'Dora', 'n', n), now()
    from generate_series(1, 2500) n`,
    [dora.id],
  )
  t.equal((await erase(boss, dora.clerkId)).statusCode, 200)
  const left = await query(url, 'select 1 from jobs where account_id = $1 and metadata is not null', [dora.id])
  t.equal(left.length, 0)
})

t.test('the Clerk id goes last: an account that was erased half-way is found, and can be erased again', async (t) => {
  const { app, db, admin } = await start(t)
  const [boss, kim] = [await admin(), await personWith(app, 10)]
  const { job_id } = (await kim.reserve(5)).json()
  await kim.complete(job_id, 5)
  const stored = () => db.selectFrom('accounts').select(['clerk_id', 'closed_at']).where('id', '=', kim.id).execute()
  const trx = await db.startTransaction().execute()
  await trx
    .selectFrom('jobs')
    .select('id')
    .where('account_id', '=', kim.id)
    .where('id', '=', job_id)
    .forUpdate()
    .execute()
  const reply = erase(boss, kim.clerkId)
  try {
    await until(async () => {
      await sql`select pg_stat_clear_snapshot()`.execute(trx)
      return (await sql.raw(WAITING).execute(trx)).rows.length > 0
    })
    t.match(await stored(), [{ clerk_id: kim.clerkId, closed_at: Date }])
  } finally {
    await trx.rollback().execute()
  }
  t.equal((await reply).statusCode, 200)
  t.match(await stored(), [{ clerk_id: 'erased' }])
})

t.test('erasing leaves other accounts unchanged', async (t) => {
  const { app, admin, person } = await start(t)
  const [boss, eve, fred] = [await admin(), await person(), await person()]
  const job = { app: 'clips', action: 'render', cost_estimate: 0, metadata: { of: 'Fred' } }
  const { job_id } = (await fred.post('/api/jobs', job)).json()
  await erase(boss, eve.clerkId)
  t.match((await fred.get(`/api/jobs/${job_id}`)).json(), { job: { metadata: { of: 'Fred' } } })
  t.equal((await app.inject({ url: '/api/wallet', headers: { cookie: fred.cookie } })).statusCode, 200)
})

t.test('only an administrator can erase, and only an existing account', async (t) => {
  const { app, admin, person } = await start(t)
  const [boss, gus] = [await admin(), await person()]
  t.equal((await erase(gus, gus.clerkId)).statusCode, 403)
  const nobody = await app.inject({
    method: 'POST',
    url: '/api/admin/accounts/erase',
    payload: { clerk_id: gus.clerkId },
  })
  t.equal(nobody.statusCode, 401)
  t.equal((await erase(boss, 'user_never_seen')).json().error, 'account_not_found')
  for (const body of [{}, { clerk_id: 5 }, { clerk_id: 'erased' }, { clerk_id: '' }, []]) {
    t.equal((await boss.post('/api/admin/accounts/erase', body)).statusCode, 400, JSON.stringify(body))
  }
  t.match((await gus.get('/api/wallet')).json(), { account: { clerk_id: gus.clerkId } })
})

t.test('an erased administrator is named nowhere, and what they did keeps one name', async (t) => {
  const clerk = await startClerk(t)
  const [root, other] = [clerk.signIn(), clerk.signIn()]
  const { app, db } = await start(t, {
    ...clerk.env,
    CLERK_JWT_KEY: clerk.jwtKey,
    ADMIN_CLERK_IDS: `${root.sub},${other.sub}`,
  })
  const post = async (who: { sub: string }, url: string, payload: object) =>
    app.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${await clerk.token({ ...who })}` } })
  const somebody = clerk.signIn()
  const gift = { clerk_id: somebody.sub, amount: 5, kind: 'topup', reason: 'a gift' }
  for (const reference of ['one', 'two']) await post(root, '/api/admin/credits', { ...gift, reference })
  await post(root, '/api/admin/keys', { name: 'of root', scopes: ['topup'] })
  await post(root, '/api/jobs', { app: 'clips', action: 'a', cost_estimate: 0 })
  t.equal((await post(other, '/api/admin/accounts/erase', { clerk_id: root.sub })).statusCode, 200)
  for (const table of ['ledger_entries', 'accounts', 'service_keys', 'tokens', 'app_additions'] as const) {
    t.notMatch(JSON.stringify(await db.selectFrom(table).selectAll().execute()), root.sub, table)
  }
  const entries = db.selectFrom('ledger_entries').select('actor').where('reason', '=', 'a gift')
  t.equal(new Set((await entries.execute()).map(({ actor }) => actor)).size, 1)
})
