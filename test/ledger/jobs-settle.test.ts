import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { type App, type Person, personWith, start } from '../support/start.ts'

const jobOf = async (somebody: Person, id: string) => (await somebody.get(`/api/jobs/${id}`)).json().job

/** Somebody with 20 credits of which a job holds 8 */
async function withJob(app: App, metadata?: object) {
  const ada = await personWith(app, 20)
  const job = { app: 'clips', action: 'render', cost_estimate: 8, ...(metadata && { metadata }) }
  const { job_id } = (await ada.post('/api/jobs', job)).json()
  return { ada, job_id: job_id as string }
}

/** Everything that a settlement could change */
const state = async (somebody: Person, id: string) => ({
  ...(await somebody.balance()),
  job: await jobOf(somebody, id),
  entries: await somebody.entries(),
})

/** Does what it is given, and checks that it moved nothing. */
async function movesNothing(
  t: Test,
  somebody: Person,
  id: string,
  calls: Record<string, [status: number, call: () => Promise<LightMyRequestResponse>]>,
) {
  const before = await state(somebody, id)
  for (const [name, [status, call]] of Object.entries(calls)) {
    const reply = await call()
    t.equal(reply.statusCode, status, name)
    if (status === 409) t.match(reply.json(), { error: 'job_already_ended', status: before.job.status }, name)
    if (status === 200) t.match(reply.json(), { credits: before.credits, held: before.held, job: before.job }, name)
    t.strictSame(await state(somebody, id), before, name)
  }
}

t.test('completing below the reserve gives back the rest', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  const reply = await ada.complete(job_id, 3)
  t.equal(reply.statusCode, 200)
  t.match(reply.json(), {
    job: { id: job_id, status: 'completed', reserved: 8, actual_cost: 3, failure_reason: null, metadata: null },
    moved: { kind: 'job_refund', amount: 5 },
    credits: 17,
    held: 0,
  })
  t.notOk('warning' in reply.json())
  t.match(await ada.entries(), [{ kind: 'job_refund', amount: 5, balance_after: 17, job_id, seq: 3 }, {}, {}])
})

t.test('completing for nothing gives everything back', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  t.match((await ada.complete(job_id, 0)).json(), { moved: { kind: 'job_refund', amount: 8 }, credits: 20, held: 0 })
})

t.test('completing at the reserve moves nothing more', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  t.match((await ada.complete(job_id, 8)).json(), { job: { actual_cost: 8 }, moved: null, credits: 12, held: 0 })
  t.equal((await ada.entries()).length, 2)
})

t.test('completing above the reserve charges the whole overage', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  t.match((await ada.complete(job_id, 15)).json(), {
    job: { actual_cost: 15 },
    moved: { kind: 'job_overage', amount: -7 },
    credits: 5,
    held: 0,
  })
})

t.test('an overage goes below zero, and then the next job gets 402', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  t.match((await ada.complete(job_id, 21)).json(), { moved: { amount: -13 }, credits: -1 })
  t.match((await ada.reserve(1)).json(), { error: 'insufficient_credits', required: 1, available: -1 })
})

t.test('other holds are left alone', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  const other = (await ada.reserve(2)).json().job_id
  t.match((await ada.complete(job_id, 1)).json(), { credits: 17, held: 2 })
  t.match(await jobOf(ada, other), { status: 'started', reserved: 2 })
  t.match((await ada.fail(other)).json(), { credits: 19, held: 0 })
})

t.test('a failed job gives its hold back', async (t) => {
  const { app } = await start(t)
  for (const refund of [undefined, true]) {
    const { ada, job_id } = await withJob(app)
    const reply = await ada.fail(job_id, refund)
    t.equal(reply.statusCode, 200)
    t.match(reply.json(), {
      job: { status: 'failed', actual_cost: 0, failure_reason: null },
      moved: { kind: 'job_release', amount: 8 },
      credits: 20,
      held: 0,
    })
  }
})

t.test('a failed job without refund keeps its hold', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  t.match((await ada.fail(job_id, false)).json(), {
    job: { status: 'failed', reserved: 8, actual_cost: 8 },
    moved: null,
    credits: 12,
    held: 0,
  })
  t.equal((await ada.entries()).length, 2)
})

t.test('a job that reserved nothing can be completed, charged and failed', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 1)
  const ids = []
  for (let i = 0; i < 4; i++) ids.push((await ada.reserve(0)).json().job_id)
  t.match((await ada.complete(ids[0], 0)).json(), { moved: null, credits: 1 })
  t.match((await ada.fail(ids[1])).json(), { job: { status: 'failed', actual_cost: 0 }, moved: null, credits: 1 })
  t.match((await ada.fail(ids[2], false)).json(), { job: { actual_cost: 0 }, moved: null, credits: 1 })
  t.match((await ada.complete(ids[3], 3)).json(), { moved: { kind: 'job_overage', amount: -3 }, credits: -2 })
})

t.test('completing again: the same answers the same, anything else is a conflict', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app, { a: 1, b: 2 })
  await ada.complete(job_id, 3, { b: 3 })
  await movesNothing(t, ada, job_id, {
    'the same call': [200, () => ada.complete(job_id, 3, { b: 3 })],
    'without metadata': [200, () => ada.complete(job_id, 3)],
    'with metadata that is there': [200, () => ada.complete(job_id, 3, { a: 1, b: 3 })],
    'the id in upper case': [200, () => ada.complete(job_id.toUpperCase(), 3)],
    'another cost': [409, () => ada.complete(job_id, 4, { b: 3 })],
    'the reserve as cost': [409, () => ada.complete(job_id, 8)],
    'no cost': [409, () => ada.complete(job_id, 0)],
    'other metadata': [409, () => ada.complete(job_id, 3, { b: 4 })],
    'more metadata': [409, () => ada.complete(job_id, 3, { b: 3, c: 0 })],
    failing: [409, () => ada.fail(job_id)],
    'failing without refund': [409, () => ada.fail(job_id, false)],
  })
  t.match((await ada.complete(job_id, 3)).json(), { moved: { kind: 'job_refund', amount: 5 } })
})

t.test('a conflict says how the job ended', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  await ada.complete(job_id, 3)
  t.match((await ada.fail(job_id)).json(), { error: 'job_already_ended', status: 'completed', actual_cost: 3 })
})

t.test('failing again with a refund', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  await ada.fail(job_id)
  await movesNothing(t, ada, job_id, {
    'the same call': [200, () => ada.fail(job_id)],
    'said in full': [200, () => ada.fail(job_id, true)],
    'without refund': [409, () => ada.fail(job_id, false)],
    'completing at no cost': [409, () => ada.complete(job_id, 0)],
    'completing at the reserve': [409, () => ada.complete(job_id, 8)],
  })
})

t.test('failing again without a refund', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app)
  await ada.fail(job_id, false)
  await movesNothing(t, ada, job_id, {
    'the same call': [200, () => ada.fail(job_id, false)],
    'with refund': [409, () => ada.fail(job_id)],
    'completing at the reserve': [409, () => ada.complete(job_id, 8)],
  })
})

t.test("an unknown job and somebody else's are not found, and stay as they are", async (t) => {
  const { app, person } = await start(t)
  const { ada, job_id } = await withJob(app)
  const grace = await person()
  const before = await state(ada, job_id)
  for (const id of [randomUUID(), job_id]) {
    for (const reply of [
      await grace.complete(id, 1),
      await grace.fail(id),
      await grace.fail(id, false),
      await grace.get(`/api/jobs/${id}`),
    ]) {
      t.equal(reply.statusCode, 404)
      t.match(reply.json(), { error: 'job_not_found' })
    }
  }
  await ada.complete(job_id, 8)
  t.equal((await grace.complete(job_id, 8)).statusCode, 404, 'also when it has ended')
  t.strictSame((await state(ada, job_id)).entries, before.entries)
  t.strictSame(await grace.balance(), { credits: 0, held: 0 })
})

t.test('metadata is merged, and new keys win', async (t) => {
  const { app } = await start(t)
  const cases: [before: object | undefined, patch: object | undefined, after: object | null][] = [
    [
      { a: 1, b: { x: 1 } },
      { b: { y: 2 }, c: [3] },
      { a: 1, b: { y: 2 }, c: [3] },
    ],
    [
      { a: null, b: 1 },
      { b: null, c: null },
      { a: null, b: null, c: null },
    ],
    [undefined, { a: null }, { a: null }],
    [undefined, {}, {}],
    [{}, { a: {} }, { a: {} }],
    [{ a: 1 }, {}, { a: 1 }],
    [{ a: 1 }, undefined, { a: 1 }],
    [undefined, undefined, null],
  ]
  for (const [before, patch, after] of cases) {
    const { ada, job_id } = await withJob(app, before)
    const reply = await ada.complete(job_id, 8, patch)
    t.strictSame(reply.json().job.metadata, after, JSON.stringify([before, patch]))
    t.notOk('warning' in reply.json())
    t.strictSame((await jobOf(ada, job_id)).metadata, after)
    t.equal((await ada.complete(job_id, 8, patch)).statusCode, 200)
  }
})

t.test('failing merges metadata as completing does', async (t) => {
  const { app } = await start(t)
  const { ada, job_id } = await withJob(app, { a: 1, b: 2 })
  const fail = (metadata?: object, refund = true) => ada.post('/api/jobs/fail', { job_id, refund, metadata })
  const reply = await fail({ b: 3, error: 'out of memory' })
  const metadata = { a: 1, b: 3, error: 'out of memory' }
  t.strictSame(reply.json().job.metadata, metadata)
  await movesNothing(t, ada, job_id, {
    'the same call': [200, () => fail({ b: 3, error: 'out of memory' })],
    'without metadata': [200, () => ada.fail(job_id)],
    'other metadata': [409, () => fail({ error: 'another' })],
    'without a refund': [409, () => fail({ b: 3 }, false)],
  })
  const { job_id: silent } = (await ada.reserve(0)).json()
  t.equal((await ada.fail(silent)).json().job.metadata, null)
  t.match((await ada.post('/api/jobs/fail', { job_id: silent, metadata: [] })).json(), { field: 'metadata' })
})

t.test('a closed account settles nothing', async (t) => {
  const { app, db } = await start(t)
  const { ada, job_id } = await withJob(app)
  const ended = (await ada.reserve(2)).json().job_id
  await ada.complete(ended, 1)
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const before = await state(ada, job_id)
  for (const reply of [
    await ada.complete(job_id, 3),
    await ada.complete(job_id, 3, { a: 1 }),
    await ada.complete(job_id, 30),
    await ada.fail(job_id),
    await ada.fail(job_id, false),
  ]) {
    t.equal(reply.statusCode, 403)
    t.match(reply.json(), { error: 'account_closed' })
  }
  t.equal((await ada.complete(ended, 1)).statusCode, 200, 'a repeat still answers')
  t.strictSame(await state(ada, job_id), before)
})

t.test('an overage that would pass the smallest number is refused, and the job stays open', async (t) => {
  const { person } = await start(t)
  const ada = await person()
  const [first, second] = [(await ada.reserve(0)).json().job_id, (await ada.reserve(0)).json().job_id]
  t.equal((await ada.complete(first, Number.MAX_SAFE_INTEGER)).json().credits, -Number.MAX_SAFE_INTEGER)
  const reply = await ada.complete(second, 1)
  t.equal(reply.statusCode, 409)
  t.match(reply.json(), { error: 'balance_out_of_range' })
  t.equal((await jobOf(ada, second)).status, 'started')
  t.equal((await ada.complete(first, Number.MAX_SAFE_INTEGER)).statusCode, 200, 'a repeat still answers')
  t.equal((await ada.fail(second)).json().credits, -Number.MAX_SAFE_INTEGER)
})
