import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { complete, limit, reserve } from '../../src/ledger/operations.ts'
import { bearer, logIn } from '../support/device.ts'
import { Model } from '../support/model.ts'
import { earlier, personWith, start, unique } from '../support/start.ts'

const job = (cost_estimate: number, app = 'clips') => ({ app, action: 'render', cost_estimate })

t.test('a job remembers the token that made it', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 20)
  const token = bearer(app, await logIn(app, ada))
  const [{ id }] = (await token.get('/api/tokens')).json().tokens
  await token.post('/api/jobs', job(1))
  await ada.reserve(2)
  const jobs = await db
    .selectFrom('jobs')
    .select(['reserved', 'token_id', 'grant_id', 'budget_ids'])
    .where('account_id', '=', ada.id)
    .orderBy('reserved')
    .execute()
  t.strictSame(jobs, [
    { reserved: 1, token_id: id, grant_id: null, budget_ids: null },
    { reserved: 2, token_id: null, grant_id: null, budget_ids: null },
  ])
})

t.test('the refusals of a budget say what to know, and replays are none', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 100)
  const token = bearer(app, await logIn(app, ada))
  const [{ id }] = (await token.get('/api/tokens')).json().tokens
  const limits = { amount: 5, period: 'day', apps: ['clips', 'video'] } as const
  await app.pats.revoking(ada.id, () => limit(app.ledger, ada.id, id, { ...limits, apps: [...limits.apps] }))

  const reserve = (body: object, headers = {}) => token.post('/api/jobs', body, headers)
  const elsewhere = await reserve(job(1, 'audio'))
  t.match([elsewhere.statusCode, elsewhere.json()], [403, { error: 'app_not_allowed', apps: ['clips', 'video'] }])
  const key = { 'idempotency-key': unique('key') }
  const { job_id } = (await reserve(job(4), key)).json()
  t.match((await reserve(job(4), key)).json(), { job_id })
  const refused = await reserve(job(2))
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  t.match(
    [refused.statusCode, refused.json()],
    [403, { error: 'budget_exceeded', budget: 5, spent: 4, resets_at: `${tomorrow}T00:00:00.000Z` }],
  )
  await ada.complete(job_id, 3)
  t.equal((await reserve(job(2))).statusCode, 200, 'a settlement by somebody else makes room')
  t.equal((await ada.reserve(50)).statusCode, 200, 'a person has no budget')
})

t.test('by its bearer alone, a token with limits settles only what counts against them', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 10_000)
  const make = async (body: object) => {
    const { token } = (await ada.postFromOurPage('/api/tokens', { name: 'server', ...body })).json()
    return bearer(app, token)
  }
  const [limited, listed, free] = [await make({ budget: 50 }), await make({ apps: ['clips', 'audio'] }), await make({})]
  const started = async (by: { post: typeof limited.post }, slug = 'clips') =>
    (await by.post('/api/jobs', job(5, slug))).json().job_id as string
  const settle = async (by: typeof limited, job_id: string) =>
    Promise.all([
      by.post('/api/jobs/complete', { job_id, actual_cost: 5_000 }),
      by.post('/api/jobs/fail', { job_id, refund: false }),
      by.post(`/api/jobs/${job_id}/heartbeat`, {}),
    ])
  for (const [by, job_id] of [
    [limited, await started(free)],
    [limited, (await ada.reserve(5)).json().job_id],
    [limited, await started(listed)],
    [listed, await started(limited)],
  ] as const)
    for (const reply of await settle(by, job_id))
      t.match([reply.statusCode, reply.json()], [403, { error: 'job_outside_limits' }])
  t.strictSame(await ada.balance(), { credits: 9_980, held: 20 })

  const own = await started(limited)
  t.equal((await limited.post(`/api/jobs/${own}/heartbeat`, {})).statusCode, 200)
  for (const repeat of [false, true])
    t.match(
      [(await limited.post('/api/jobs/complete', { job_id: own, actual_cost: 80 })).statusCode, repeat],
      [200, repeat],
      'its own above its budget',
    )
  t.match((await limited.post('/api/jobs', job(0))).json(), { error: 'budget_exceeded', spent: 85 })
  const moved = await started(listed, 'audio')
  const [{ id }] = (await listed.get('/api/tokens'))
    .json()
    .tokens.filter(({ current }: { current: boolean }) => current)
  await app.pats.revoking(ada.id, () => limit(app.ledger, ada.id, id, { apps: ['clips'] }))
  t.match(
    (await listed.post('/api/jobs/complete', { job_id: moved, actual_cost: 1 })).json(),
    { error: 'app_not_allowed', apps: ['clips'] },
    'at an app that was taken off its list',
  )
  t.equal((await free.post('/api/jobs/complete', { job_id: moved, actual_cost: 1 })).statusCode, 200, 'without limits')

  const slug = unique('keyed')
  const registered = await (await admin()).put(`/api/admin/apps/${slug}`, { settle_key: 'rotate' })
  const key = { 'x-app-key': registered.json().app.settle_key }
  const keyed = await started(free, slug)
  t.equal((await limited.post('/api/jobs/complete', { job_id: keyed, actual_cost: 1 }, key)).statusCode, 200, 'a key')
})

t.test(
  'whatever periods follow each other, what is spent is what the jobs of the open one hold and cost',
  async (t) => {
    const { app, db } = await start(t)
    const ada = await personWith(app, 1_000_000)
    const step = fc.oneof(
      fc.record({ do: fc.constant('reserve'), cost: fc.nat(20) }),
      fc.record({ do: fc.constant('complete'), job: fc.nat(3), cost: fc.nat(30) }),
      fc.record({ do: fc.constant('limit'), period: fc.constantFrom('day', 'week', 'month', null) }),
      fc.record({ do: fc.constant('limit'), amount: fc.constantFrom(1_000, 2_000, null) }),
      fc.record({ do: fc.constant('turn'), days: fc.constantFrom(1, 2, 5, 9, 26, 32) }),
    ) as fc.Arbitrary<Step>
    type Step =
      | { do: 'reserve'; cost: number }
      | { do: 'complete'; job: number; cost: number }
      | { do: 'limit'; period?: 'day' | 'week' | 'month' | null; amount?: number | null }
      | { do: 'turn'; days: number }

    /** Does a step and says it to the model. */
    async function take(step: Step, model: Model, id: string): Promise<unknown> {
      if (step.do === 'turn') {
        model.turn(step.days)
        for (const [table, column] of [
          ['jobs', 'created_at'],
          ['budgets', 'period_start'],
        ] as const)
          await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${earlier(column, `${step.days} days`)}
          where account_id = ${ada.id}`.execute(db)
        // The beginning of a period has moved to a day on which none begins: another period and back finds it again.
        const period = model.budgets.get(id)?.period
        if (!period) return
        await limit(app.ledger, ada.id, id, { period: null })
        return limit(app.ledger, ada.id, id, { period })
      }
      if (step.do === 'limit') {
        const { do: _, ...given } = step
        const { amount, period, apps } = {
          ...(model.budgets.get(id) ?? { amount: null, period: null, apps: null }),
          ...given,
        }
        model.limit(id, { amount, period: amount === null ? null : period, apps })
        return limit(app.ledger, ada.id, id, given)
      }
      if (step.do === 'reserve') {
        model.reserve(step.cost, { budgets: [id] })
        const job_id = uuidv7()
        Object.assign(model.jobs.at(-1) ?? {}, { id: job_id })
        return reserve(
          app.ledger,
          { id: ada.id, clerk_id: ada.clerkId },
          {
            ...{ job_id, app: 'clips', action: 'render', cost: step.cost, metadata: null, idempotency_key: null },
            ...{ request_hash: null, ttl_seconds: 86_400, ttl_without_key: false, token_id: id, grant_id: null },
            budget_ids: [id],
          },
        )
      }
      const job = model.jobs.at(-1 - step.job)
      if (!job || job.ended) return
      model.complete(job, step.cost)
      return complete(app.ledger, { account_id: ada.id, job_id: job.id, key_of: null }, step.cost, null)
    }
    const spent = async (id: string) =>
      (await db.selectFrom('budgets').select('spent').where('id', '=', id).executeTakeFirst())?.spent
    const property = fc.asyncProperty(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 10 }), async (life) => {
      const [id, model] = [uuidv7(), new Model()]
      model.adjust(1_000_000, 'given')
      await take({ do: 'limit', amount: 1_000 }, model, id)
      for (const steps of life) {
        // What is posted together is one batch; time does not turn within it.
        const [turns, posted] = [steps.filter((each) => each.do === 'turn'), steps.filter((each) => each.do !== 'turn')]
        for (const turn of turns) await take(turn, model, id)
        await Promise.all(posted.map((each) => take(each, model, id)))
        // A budget of a period that is over is read as a new one.
        await take({ do: 'reserve', cost: 1 }, model, id)
        t.equal(await spent(id), model.spent(id), JSON.stringify(steps))
      }
    })
    await fc.assert(property, { numRuns: 30 })
  },
)
