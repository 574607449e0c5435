import t from 'tap'
import { createFocus, InsufficientCredits, JobAlreadyEnded, SettleUnknown } from '../../client/src/index.ts'
import { errorOf, ready } from '../support/client.ts'
import type { Fate } from '../support/network.ts'

const render = { app: 'clips', action: 'render', estimate: 5 }

t.test('a job costs what its function sets', async (t) => {
  const { focus, person, job } = await ready(t)
  let id = ''
  const value = await focus.withHold({ ...render, metadata: { a: 1 } }, async (held) => {
    id = held.id
    t.equal(held.accountId, person.id)
    t.equal((await person.balance()).held, 5)
    held.cost(4)
    held.cost(3)
    held.metadata({ b: 2 })
    return 'done'
  })
  t.equal(value, 'done')
  t.match(await job(id), { status: 'completed', actual_cost: 3, metadata: { a: 1, b: 2 } })

  await focus.withHold(render, (held) => {
    id = held.id
  })
  t.match(await job(id), { status: 'completed', actual_cost: 5 }, 'the estimate, where it says nothing')

  const failure = new Error('no disk')
  const failed = focus.withHold(render, async (held) => {
    id = held.id
    throw failure
  })
  t.equal(await errorOf(failed), failure)
  t.match(await job(id), { status: 'failed', actual_cost: 0 }, 'nothing, where it throws')

  const late = focus.withHold(render, (held) => {
    id = held.id
    held.cost(2)
    throw failure
  })
  t.equal(await errorOf(late), failure)
  t.match(await job(id), { status: 'completed', actual_cost: 2 }, 'what it has said, where it throws afterwards')

  await focus.withHold(render, (held) => held.cost(8))
  t.same(await person.balance(), { credits: 100 - 3 - 5 - 2 - 8, held: 0 }, 'also more than the estimate')
})

t.test('a cost is a whole number, and no more than maxCost', async (t) => {
  const { focus, person } = await ready(t)
  for (const wrong of [-1, 0.5, Number.NaN, 7, 2 ** 53]) {
    const error = await errorOf(focus.withHold({ ...render, maxCost: 6 }, (held) => held.cost(wrong)))
    t.equal(error.code, 'cost_not_allowed')
  }
  await focus.withHold({ ...render, maxCost: 6 }, (held) => {
    held.cost(6)
    t.throws(() => held.cost(7), { code: 'cost_not_allowed' })
  })
  t.equal((await errorOf(focus.withHold({ ...render, maxCost: 4 }, () => {}))).code, 'cost_not_allowed')
  t.same(await person.balance(), { credits: 94, held: 0 })
})

t.test('without a hold the work does not run', async (t) => {
  const { focus, network } = await ready(t, { retryFor: 300 })
  let ran = 0
  const work = () => {
    ran++
  }
  t.ok((await errorOf(focus.withHold({ ...render, estimate: 101 }, work))) instanceof InsufficientCredits)
  await focus.withHold({ ...render, idempotencyKey: 'task-1' }, work)
  const again = await errorOf(focus.withHold({ ...render, idempotencyKey: 'task-1' }, work))
  t.ok(again instanceof JobAlreadyEnded)
  t.match(again, { jobStatus: 'completed', actualCost: 5 })
  network.fate = () => 'before'
  t.match((await errorOf(focus.withHold(render, work))).code, /^(network_error|timeout)$/)
  t.equal(ran, 1)
})

t.test('an earlier hold is taken over only while it is active', async (t) => {
  const { focus, network, person, job } = await ready(t, { retryFor: 300 })
  const { job_id: jobId, account_id: accountId } = await focus.createJob({
    app: 'clips',
    action: 'render',
    cost_estimate: 5,
  })
  network.fate = () => 'before'
  t.match(
    (await errorOf(focus.withHold({ jobId, accountId }, () => t.fail('it ran')))).code,
    /^(network_error|timeout)$/,
  )
  network.fate = () => 'pass'
  await focus.withHold({ jobId, accountId, ttlSeconds: 90_000 }, async (held) => {
    t.match(held, { id: jobId, accountId })
    const left = Date.parse((await job(jobId)).expires_at) - Date.now()
    t.ok(left > 88_000_000, `it is extended first: ${left}`)
    held.cost(2)
  })
  t.match(await job(jobId), { status: 'completed', actual_cost: 2, reserved: 5 })
  const ended = await errorOf(focus.withHold({ jobId, accountId }, () => t.fail('it ran')))
  t.ok(ended instanceof JobAlreadyEnded)
  t.match(ended, { jobStatus: 'completed', actualCost: 2 })
  const other = await focus.createJob({ app: 'clips', action: 'render', cost_estimate: 4 })
  await focus.withHold({ jobId: other.job_id, accountId }, () => {})
  t.same(await person.balance(), { credits: 100 - 2 - 4, held: 0 }, 'what was reserved, where it says nothing')
  const last = await focus.createJob({ app: 'clips', action: 'render', cost_estimate: 4 })
  await focus.withHold({ jobId: last.job_id, accountId, maxCost: 3 }, () => {})
  t.same(await person.balance(), { credits: 94 - 3, held: 0 }, 'but no more than maxCost')
})

t.test('lost answers change nothing', async (t) => {
  const { focus, network, person } = await ready(t)
  for (const fate of ['before', 'after', 'amid'] as Fate[]) {
    const lost = new Set(['/api/jobs', '/api/jobs/complete'])
    network.fate = ({ path }) => (lost.delete(path) ? fate : 'pass')
    const { credits } = await person.balance()
    await focus.withHold(render, (held) => held.cost(2))
    t.same(await person.balance(), { credits: credits - 2, held: 0 }, String(fate))
  }
  const [first, second] = network.requests
  t.ok(first?.headers['idempotency-key'])
  t.equal(first?.headers['idempotency-key'], second?.headers['idempotency-key'])
  t.not(first?.headers['idempotency-key'], network.requests[4]?.headers['idempotency-key'], 'one key for each create')
})

t.test('a settlement with an unknown outcome is repeated later by another client', async (t) => {
  const { focus, network, person } = await ready(t, { retryFor: 300 })
  const failure = new Error('no disk')
  const ends: [SettleUnknown, number][] = []
  for (const [fate, end] of [
    ['before', 3],
    ['after', 3],
    ['before', 0],
  ] as const) {
    network.fate = ({ path }) => (/complete|fail/.test(path) ? fate : 'pass')
    const error = await errorOf(
      focus.withHold(render, (held) => {
        if (!end) throw failure
        held.cost(end)
        return 'the result'
      }),
    )
    t.ok(error instanceof SettleUnknown)
    t.match(
      error,
      end ? { value: 'the result', settlement: { cost: end } } : { cause: failure, settlement: { cost: null } },
    )
    ends.push([error, end])
  }
  network.fate = () => 'pass'
  const other = createFocus({ url: network.url, token: person.token })
  for (const [error, end] of [...ends, ...ends]) {
    t.equal((await other.resume(error.token)).cost, end || null)
    const { job } = await other.getJob({ id: error.settlement.jobId })
    t.match(job, { actual_cost: end, status: end ? 'completed' : 'failed' })
  }
  t.same(await person.balance(), { credits: 94, held: 0 })
  t.equal((await errorOf(other.resume('{}'))).code, 'invalid_resume_token')
})

t.test('nested and concurrent holds are independent', async (t) => {
  const { focus, person } = await ready(t)
  await focus.withHold(render, async (outer) => {
    outer.cost(1)
    await focus.withHold(render, (inner) => inner.cost(2))
    t.equal((await person.balance()).held, 5)
  })
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => focus.withHold({ ...render, estimate: 1 }, (job) => job.cost(i % 2))),
  )
  t.same(await person.balance(), { credits: 100 - 3 - 10, held: 0 })
})
