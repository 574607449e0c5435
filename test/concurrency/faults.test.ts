import type { LightMyRequestResponse } from 'fastify'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { nodeUrls, query } from '../support/database.ts'
import { POINTS, startFaults } from '../support/faults.ts'
import { databaseUrl, type Person, personWith, start, startOwn, unique } from '../support/start.ts'

/** 1: the service's own retry succeeds. 2: the caller must retry. */
const TIMES = [1, 2]

interface Scene {
  db: Awaited<ReturnType<typeof start>>['db']
  ada: Person
  admin: Person
  job_id: string
  expired: string
  slug: string
  key: string
}

interface Operation {
  /** The statement at which the connection breaks */
  at: string
  send(scene: Scene): Promise<LightMyRequestResponse>
  /** What it leaves of 100 credits with a job of 10 under way */
  credits: number
  held: number
  kind: string | null
}

const OPERATIONS: Record<string, Operation> = {
  reserve: {
    at: 'store_new_jobs',
    send: ({ ada, key }) => ada.reserve(5, { 'idempotency-key': key }),
    credits: 85,
    held: 15,
    kind: 'job_reserve',
  },
  complete: {
    at: 'store_jobs',
    send: ({ ada, job_id }) => ada.complete(job_id, 7, { done: true }),
    credits: 93,
    held: 0,
    kind: 'job_refund',
  },
  'complete above the reserve': {
    at: 'store_jobs',
    send: ({ ada, job_id }) => ada.complete(job_id, 12),
    credits: 88,
    held: 0,
    kind: 'job_overage',
  },
  fail: { at: 'store_jobs', send: ({ ada, job_id }) => ada.fail(job_id), credits: 100, held: 0, kind: 'job_release' },
  'complete late': {
    at: 'store_entries',
    send: ({ ada, expired }) => ada.complete(expired, 4),
    credits: 86,
    held: 10,
    kind: 'job_late_charge',
  },
  heartbeat: {
    at: 'store_jobs',
    send: ({ ada, job_id }) => ada.post(`/api/jobs/${job_id}/heartbeat`, { ttl_seconds: 100_000 }),
    credits: 90,
    held: 10,
    kind: null,
  },
  'give credits': {
    at: 'store_entries',
    send: ({ ada, admin, key }) =>
      admin.post('/api/admin/credits', {
        clerk_id: ada.clerkId,
        amount: 3,
        kind: 'topup',
        reference: key,
        reason: 'bought',
      }),
    credits: 93,
    held: 10,
    kind: 'topup',
  },
  'grant starter credits': {
    at: 'store_grants',
    send: ({ ada, slug }) => ada.get(`/api/wallet?app=${slug}`),
    credits: 97,
    held: 10,
    kind: 'starter_grant',
  },
  'remember an app': {
    at: 'store_grants',
    send: ({ ada, key }) => ada.get(`/api/wallet?app=${key.toLowerCase()}`),
    credits: 90,
    held: 10,
    kind: null,
  },
}

async function setUp(t: Test) {
  const faults = await startFaults(t, await databaseUrl())
  const { app, db, admin } = await startOwn(t, { DATABASE_URL: faults.url, DATABASE_POOL_SIZE: '1' })
  const operator = await admin()
  const slug = unique('starter')
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 7 })
  async function scene(): Promise<Scene> {
    const ada = await personWith(app, 100)
    const [open, overdue] = [await ada.reserve(10), await ada.reserve(10)]
    const expired = overdue.json().job_id
    await sql`update jobs set expires_at = now() - interval '1 hour' where id = ${expired}`.execute(db)
    await sweepHolds(db, app.ledger)
    return { db, ada, admin: operator, job_id: open.json().job_id, expired, slug, key: unique('key') }
  }
  return { faults, app, db, scene }
}

const entriesOf = async ({ ada }: Scene): Promise<{ kind: string }[]> =>
  (await ada.get('/api/wallet/entries')).json().entries

for (const [name, { at, send, credits, held, kind }] of Object.entries(OPERATIONS)) {
  t.test(`${name}: wherever the connection breaks, the caller's retry finds one effect`, async (t) => {
    const { faults, scene } = await setUp(t)
    for (const point of POINTS) {
      for (const times of TIMES) {
        const where = `${point}, ${times}×`
        const here = await scene()
        const before = (await entriesOf(here)).length
        // A second attempt that finds what the first has committed stores nothing: it breaks where it loads.
        const next = point === 'after' ? 'ledger_lock' : at
        faults.arm([at, next].slice(0, times), point)
        const answers = [await send(here)]
        if (answers[0]?.statusCode === 503) answers.push(await send(here))
        t.equal(faults.cuts(), times, `${where}: it broke`)
        t.strictSame(
          answers.map(({ statusCode }) => statusCode),
          times === 1 ? [200] : [503, 200],
          where,
        )
        t.strictSame(await here.ada.balance(), { credits, held }, where)
        const entries = await entriesOf(here)
        t.equal(entries.length - before, kind ? 1 : 0, where)
        if (kind) t.equal(entries[0]?.kind, kind, where)
        t.equal((await send(here)).statusCode, 200, 'and so does one more')
        t.equal((await entriesOf(here)).length, entries.length, where)
      }
    }
  })
}

t.test('a sweep that is cut off gives each hold back once', async (t) => {
  const { faults, app, db, scene } = await setUp(t)
  for (const point of POINTS) {
    const { ada, job_id } = await scene()
    await sql`update jobs set expires_at = now() - interval '1 hour' where id = ${job_id}`.execute(db)
    faults.arm(['store_jobs', point === 'after' ? 'ledger_lock' : 'store_jobs'], point)
    await sweepHolds(db, app.ledger).catch(() => {})
    t.ok(faults.cuts() >= 1, point)
    faults.arm([], point)
    await sweepHolds(db, app.ledger)
    t.strictSame(await ada.balance(), { credits: 100, held: 0 }, point)
  }
})

t.test('an account that somebody keeps locked is waited for, and then answered 503', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  let took = 0
  await db.transaction().execute(async (trx) => {
    await sql`select from accounts where id = ${ada.id} for update`.execute(trx)
    const begun = performance.now()
    const answer = await ada.reserve(5)
    took = (performance.now() - begun) / 1000
    t.match([answer.statusCode, answer.json().error], [503, 'database_unavailable'])
  })
  t.ok(took > 4 && took < 7, `${took} s`)
  t.strictSame(await ada.balance(), { credits: 10, held: 0 })
})

t.test('a serialization failure and a deadlock are tried again, up to three times', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  for (const [state, times, status] of [
    ['40001', 3, 200],
    ['40P01', 3, 200],
    ['40001', 4, 500],
  ] as const) {
    await onEveryNode('create sequence failures')
    await sql`create function fail_at_first() returns trigger language plpgsql as $$ begin
      if nextval('failures') <= ${sql.lit(times)} then raise 'not now' using errcode = ${sql.lit(state)}; end if;
      return new; end $$`.execute(db)
    await sql`create trigger fail_at_first before update on accounts for each row execute function fail_at_first()`.execute(
      db,
    )
    t.equal((await ada.reserve(2)).statusCode, status, `${state}, ${times}×`)
    await sql`drop function fail_at_first cascade`.execute(db)
    await onEveryNode('drop sequence failures')
  }
  t.strictSame(await ada.balance(), { credits: 6, held: 4 })
})

/** A cluster does not pass on sequences that no column has. */
async function onEveryNode(text: string): Promise<void> {
  for (const url of nodeUrls(await databaseUrl())) await query(url, text)
}
