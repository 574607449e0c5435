import { mock } from 'node:test'
import { type Kysely, sql } from 'kysely'
import t from 'tap'
import { startBackground } from '../../src/background/index.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import type { Tables } from '../../src/db/tables.ts'
import { holdAccounts } from '../support/hold.ts'
import { databaseUrl, earlier, personWith, start } from '../support/start.ts'
import { until } from '../support/until.ts'

const DAY = 86_400

/** Lets so many seconds of a job's life pass. */
const pass = (db: Kysely<Tables>, jobId: string, seconds: number) =>
  sql`update jobs set expires_at = ${earlier('expires_at', `${seconds} seconds`)} where id = ${jobId}`.execute(db)

const secondsFromNow = (time: string) => (Date.parse(time) - Date.now()) / 1000

t.test('a hold lives as long as the operator has set, or as long as the job asks for', async (t) => {
  const { app } = await start(t, { JOB_TTL_SECONDS: '7200' })
  const ada = await personWith(app, 20)
  const create = (ttl_seconds?: unknown) =>
    ada.post('/api/jobs', { app: 'clips', action: 'render', cost_estimate: 1, ttl_seconds })

  for (const [asked, seconds] of [
    [undefined, 7200],
    [60, 60],
    [7 * DAY, 7 * DAY],
  ]) {
    const created = (await create(asked)).json()
    t.ok(Math.abs(secondsFromNow(created.expires_at) - (seconds ?? 0)) < 10, `${asked}`)
    const { job } = (await ada.get(`/api/jobs/${created.job_id}`)).json()
    t.equal(job.expires_at, created.expires_at)
  }
  for (const odd of [59, 7 * DAY + 1, 60.5, '60', null]) {
    const refused = await create(odd)
    t.match([refused.statusCode, refused.json().field], [400, 'ttl_seconds'])
  }
  t.strictSame(await ada.balance(), { credits: 17, held: 3 })
})

t.test('another ttl_seconds under the same Idempotency-Key is another request', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 20)
  const create = (more: object) =>
    ada.post('/api/jobs', { app: 'clips', action: 'render', cost_estimate: 1, ...more }, { 'idempotency-key': 'k' })
  t.equal((await create({ ttl_seconds: 60 })).statusCode, 200)
  t.equal((await create({ ttl_seconds: 60 })).headers['idempotency-replayed'], 'true')
  t.equal((await create({ ttl_seconds: 61 })).statusCode, 422)
  t.equal((await create({})).statusCode, 422)
})

t.test('the sweeper gives overdue holds back, and leaves the others alone', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 20)
  const [overdue, free, alive] = [await ada.reserve(5), await ada.reserve(0), await ada.reserve(7)]
  const [first, second, third] = [overdue, free, alive].map((created) => created.json().job_id)
  await pass(db, first, DAY + 1)
  await pass(db, second, DAY + 1)

  t.equal(await sweepHolds(db, app.ledger), 2)
  t.equal(await sweepHolds(db, app.ledger), 0)
  for (const id of [first, second]) {
    const { job } = (await ada.get(`/api/jobs/${id}`)).json()
    t.match(job, { status: 'failed', failure_reason: 'expired', actual_cost: 0 })
  }
  t.equal((await ada.get(`/api/jobs/${third}`)).json().job.status, 'started')
  t.strictSame(await ada.balance(), { credits: 13, held: 7 })
  const [entry] = (await ada.get('/api/wallet/entries?limit=1')).json().entries
  t.match(entry, { kind: 'job_expire', amount: 5, job_id: first })
})

t.test('more overdue holds than one batch are given back in one sweep, by several sweepers at once', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const ada = await personWith(one.app, 250)
  const jobs = await Promise.all(Array.from({ length: 250 }, () => ada.reserve(1)))
  t.ok(jobs.every(({ statusCode }) => statusCode === 200))
  await sql`update jobs set expires_at = now() - interval '1 second' where account_id = ${ada.id}`.execute(one.db)

  const released = await Promise.all([
    sweepHolds(one.db, one.app.ledger),
    sweepHolds(two.db, two.app.ledger),
    sweepHolds(one.db, one.app.ledger),
  ])
  t.equal(
    released.reduce((sum, count) => sum + count),
    250,
  )
  t.strictSame(await ada.balance(), { credits: 250, held: 0 })
})

t.test('one hold that fails to expire does not stop the sweep', async (t) => {
  const { app, db } = await start(t)
  const [odd, ada] = [await personWith(app, 5), await personWith(app, 5)]
  for (const person of [odd, ada]) await pass(db, (await person.reserve(5)).json().job_id, 2 * DAY)
  await sql`create function refuse_odd() returns trigger language plpgsql as $$ begin
    if new.account_id = ${sql.lit(odd.id)} then raise 'odd'; end if; return new; end $$`.execute(db)
  await sql`create trigger refuse_odd before update on jobs for each row execute function refuse_odd()`.execute(db)
  const failed: string[] = []
  t.equal(await sweepHolds(db, app.ledger, { onFailure: (_, { account_id }) => failed.push(account_id) }), 1)
  t.strictSame(failed, [odd.id])
  await sql`drop function refuse_odd cascade`.execute(db)
  t.equal(await sweepHolds(db, app.ledger), 1)
})

t.test('the service sweeps every minute, until it is closed', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { app, db } = await start(t)
  const stop = startBackground(app)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  await pass(db, job_id, 2 * DAY)
  mock.timers.tick(59_999)
  t.strictSame(await ada.balance(), { credits: 0, held: 5 })
  mock.timers.tick(1)
  await until(async () => (await ada.balance()).held === 0)
  t.strictSame(await ada.balance(), { credits: 5, held: 0 })

  await pass(db, (await ada.reserve(5)).json().job_id, 2 * DAY)
  await stop()
  mock.timers.tick(600_000)
  const { held } = await db.selectFrom('accounts').select('held').where('id', '=', ada.id).executeTakeFirstOrThrow()
  t.equal(held, 5)
})

t.test("an account's own overdue holds come back before it hears 402", async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  const [small, large] = [(await ada.reserve(3)).json().job_id, (await ada.reserve(7)).json().job_id]
  await pass(db, small, DAY + 1)
  await pass(db, large, DAY + 1)

  t.equal((await ada.reserve(6)).statusCode, 200)
  t.strictSame(await ada.balance(), { credits: 1, held: 9 }, 'the largest is enough; the other is left to the sweeper')
  const refused = await ada.reserve(5)
  t.match([refused.statusCode, refused.json().available], [402, 4])
  t.strictSame(await ada.balance(), { credits: 4, held: 6 })
})

t.test('a repeated create answers its job, even where its overdue hold is what empties the wallet', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  const first = (await ada.reserve(5, { 'idempotency-key': 'once' })).json()
  await pass(db, first.job_id, DAY + 1)
  const again = await ada.reserve(5, { 'idempotency-key': 'once' })
  t.match([again.statusCode, again.json().job_id], [200, first.job_id])
  t.strictSame(await ada.balance(), { credits: 0, held: 5 })
})

t.test('an overdue hold that nobody has given back yet still settles as always', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  const [done, failed] = [(await ada.reserve(5)).json().job_id, (await ada.reserve(5)).json().job_id]
  await pass(db, done, 30 * DAY)
  await pass(db, failed, 30 * DAY)
  t.match((await ada.complete(done, 3)).json(), { moved: { kind: 'job_refund', amount: 2 } })
  t.match((await ada.fail(failed, false)).json(), { job: { actual_cost: 5, failure_reason: null }, moved: null })
})

t.test('a completion after the hold has expired is charged, once, also below zero', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  await pass(db, job_id, 2 * DAY)
  await sweepHolds(db, app.ledger)

  const late = await ada.complete(job_id, 8, { frames: 24 })
  t.equal(late.statusCode, 200)
  t.match(late.json(), {
    job: { status: 'completed', actual_cost: 8, failure_reason: 'expired', metadata: { frames: 24 } },
    moved: { kind: 'job_late_charge', amount: -8 },
    credits: -3,
    held: 0,
  })
  const again = await ada.complete(job_id, 8, { frames: 24 })
  t.equal(again.statusCode, 200)
  t.strictSame(again.json().moved, late.json().moved)
  t.equal((await ada.complete(job_id, 7)).statusCode, 409)
  t.equal((await ada.fail(job_id)).statusCode, 409)
  t.strictSame(await ada.balance(), { credits: -3, held: 0 })
  const { entries } = (await ada.get('/api/wallet/entries')).json()
  t.strictSame(entries.map(({ kind, amount }: { kind: string; amount: number }) => [kind, amount]).slice(0, 3), [
    ['job_late_charge', -8],
    ['job_expire', 5],
    ['job_reserve', -5],
  ])
})

t.test('a late completion at no cost moves nothing', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  await pass(db, job_id, 2 * DAY)
  await sweepHolds(db, app.ledger)
  t.match((await ada.complete(job_id, 0)).json(), { job: { status: 'completed', actual_cost: 0 }, moved: null })
  t.strictSame(await ada.balance(), { credits: 5, held: 0 })
})

t.test('completions that race after the expiry charge once', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  const ada = await personWith(one.app, 50)
  const jobs = await Promise.all(Array.from({ length: 10 }, () => ada.reserve(5)))
  await sql`update jobs set expires_at = now() - interval '1 day' where account_id = ${ada.id}`.execute(one.db)
  await sweepHolds(one.db, one.app.ledger)
  const complete = (app: typeof one.app, job_id: string, actual_cost: number) =>
    app.inject({
      method: 'POST',
      url: '/api/jobs/complete',
      headers: { authorization: ada.authorization },
      payload: { job_id, actual_cost },
    })
  for (const created of jobs) {
    const { job_id } = created.json()
    const answers = await Promise.all([
      complete(one.app, job_id, 2),
      complete(two.app, job_id, 2),
      complete(two.app, job_id, 3),
    ])
    const statuses = answers.map(({ statusCode }) => statusCode)
    t.ok(['200,200,409', '409,409,200'].includes(String(statuses)), String(statuses))
  }
})

t.test('seven days after its expiry a job can be completed no more', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  const [early, late] = [(await ada.reserve(5)).json().job_id, (await ada.reserve(5)).json().job_id]
  await pass(db, early, DAY + 7 * DAY - 60)
  await pass(db, late, DAY + 7 * DAY + 1)
  await sweepHolds(db, app.ledger)
  t.equal((await ada.complete(early, 1)).statusCode, 200)
  const refused = await ada.complete(late, 1)
  t.match(
    [refused.statusCode, refused.json()],
    [409, { error: 'job_already_ended', status: 'failed', failure_reason: 'expired' }],
  )
  t.strictSame(await ada.balance(), { credits: 9, held: 0 })
})

t.test('failing an expired job agrees with a refund, and not without', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  for (const cost of [5, 0]) {
    const { job_id } = (await ada.reserve(cost)).json()
    await pass(db, job_id, 2 * DAY)
    await sweepHolds(db, app.ledger)
    t.equal((await ada.fail(job_id)).statusCode, 200)
    t.equal((await ada.fail(job_id, true)).statusCode, 200)
    t.equal((await ada.fail(job_id, false)).statusCode, 409)
  }
  t.strictSame(await ada.balance(), { credits: 5, held: 0 })
})

t.test('an expired job of a closed account is charged no more', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  await pass(db, job_id, 2 * DAY)
  await sweepHolds(db, app.ledger)
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const refused = await ada.complete(job_id, 1)
  t.match([refused.statusCode, refused.json().error], [403, 'account_closed'])
})

t.test('a heartbeat extends a hold from now on, and never shortens it', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  const created = await ada.post('/api/jobs', { app: 'clips', action: 'render', cost_estimate: 5, ttl_seconds: 600 })
  const { job_id } = created.json()
  const beat = (body?: object) => ada.post(`/api/jobs/${job_id}/heartbeat`, body ?? '')
  const left = async () => secondsFromNow((await ada.get(`/api/jobs/${job_id}`)).json().job.expires_at)

  await pass(db, job_id, 700)
  const alive = await beat()
  t.equal(alive.statusCode, 200)
  t.match(alive.json().job, { id: job_id, status: 'started', reserved: 5 })
  t.ok(Math.abs((await left()) - 600) < 10, 'as long as it was created with')
  t.equal(await sweepHolds(db, app.ledger), 0)
  t.equal((await beat({ ttl_seconds: 3600 })).statusCode, 200)
  t.ok(Math.abs((await left()) - 3600) < 10)
  t.equal((await beat({ ttl_seconds: 60 })).statusCode, 200)
  t.ok((await left()) > 3500)
  t.equal((await beat({ ttl_seconds: 59 })).statusCode, 400)

  await ada.complete(job_id, 5)
  const refused = await beat({})
  t.match([refused.statusCode, refused.json().error], [409, 'job_already_ended'])
})

t.test('a heartbeat needs no body, whatever its Content-Type', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  const url = `/api/jobs/${job_id}/heartbeat`
  const { authorization } = ada
  t.equal((await app.inject({ method: 'POST', url, headers: { authorization } })).statusCode, 200)
  t.equal((await ada.post(url, '')).statusCode, 200)
  t.equal((await ada.post(url, 'null')).statusCode, 200)
  t.equal((await ada.post(url, '{')).statusCode, 400)
})

t.test("nobody's heartbeat reaches somebody else's job, a closed account's or none", async (t) => {
  const { app, db } = await start(t)
  const [ada, eve] = [await personWith(app, 5), await personWith(app, 5)]
  const url = `/api/jobs/${(await ada.reserve(5)).json().job_id}/heartbeat`
  t.equal((await eve.post(url, {})).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url, payload: {} })).statusCode, 401)
  t.equal((await ada.post('/api/jobs/0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f/heartbeat', {})).statusCode, 404)
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const refused = await ada.post(url, {})
  t.match([refused.statusCode, refused.json().error], [403, 'account_closed'])
})

t.test('a heartbeat that comes between reading an overdue job and ending it wins', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 5)
  const { job_id } = (await ada.reserve(5)).json()
  await pass(db, job_id, DAY + 1)
  // The sweeper reads the job as overdue, and its ending waits behind the heartbeat for the account, which is held here.
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const beat = ada.post(`/api/jobs/${job_id}/heartbeat`, {})
  await hold.waiting(1)
  const sweeping = sweepHolds(db, app.ledger)
  const read = sql`select from pg_stat_activity where query like '%jobs.expires_at::text%' and state = 'idle'`
  await until(async () => (await read.execute(db)).rows.length > 0)
  await hold.release()
  t.equal((await beat).statusCode, 200)
  t.equal(await sweeping, 0)
  t.strictSame(await ada.balance(), { credits: 0, held: 5 })
})
