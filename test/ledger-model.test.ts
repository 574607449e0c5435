import { strictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { verify } from '../src/ledger/verify.ts'
import { type Person, start, unique } from './support/start.ts'

/** One step of somebody's life. Jobs, keys and references are picked by number, so that a shorter list still makes sense. */
type Step =
  | { do: 'visit'; app: number }
  | { do: 'reserve'; cost: number; key: number | null }
  | { do: 'complete'; job: number; cost: number }
  | { do: 'fail'; job: number; refund: boolean }
  | { do: 'adjust'; amount: number; reference: number; allow_negative: boolean }

const STARTER = [0, 7, 30]
// Few amounts, so that repeats happen.
const small = fc.constantFrom(0, 1, 2, 5, 40)
const pick = fc.nat(4)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('visit' as const), app: fc.nat(2) }),
    { weight: 4, arbitrary: fc.record({ do: fc.constant('reserve' as const), cost: small, key: fc.option(pick) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('complete' as const), job: pick, cost: small }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), job: pick, refund: fc.boolean() }) },
    fc.record({
      do: fc.constant('adjust' as const),
      amount: fc.constantFrom(-20, -1, 1, 20),
      reference: pick,
      allow_negative: fc.boolean(),
    }),
  ),
  { minLength: 1, maxLength: 30, size: 'max' },
)

/** What the ledger should do, in so few lines that they can be believed. Each step answers the status to expect. */
class Model {
  credits = 0
  entries = 0
  granted = new Set<number>()
  jobs: { id: string; reserved: number; ended?: string }[] = []
  keys = new Map<number, { cost: number; job: number }>()
  references = new Map<number, number>()

  move(amount: number): void {
    this.credits += amount
    if (amount !== 0) this.entries++
  }
  get held(): number {
    return this.jobs.reduce((sum, job) => sum + (job.ended ? 0 : job.reserved), 0)
  }
  visit(app: number): number {
    if (!this.granted.has(app)) this.move(STARTER[app] ?? 0)
    this.granted.add(app)
    return 200
  }
  reserve(cost: number, key: number | null): number {
    const earlier = key === null ? undefined : this.keys.get(key)
    if (earlier) return earlier.cost === cost ? 200 : 422
    if (this.credits < cost) return 402
    this.move(-cost)
    if (key !== null) this.keys.set(key, { cost, job: this.jobs.length })
    this.jobs.push({ id: '', reserved: cost })
    return 200
  }
  end(job: { reserved: number; ended?: string }, how: string, cost: number): number {
    if (job.ended) return job.ended === `${how} ${cost}` ? 200 : 409
    job.ended = `${how} ${cost}`
    this.move(job.reserved - cost)
    return 200
  }
  adjust(amount: number, reference: number, allowNegative: boolean): number {
    const earlier = this.references.get(reference)
    if (earlier !== undefined) return earlier === amount ? 200 : 409
    if (amount < 0 && this.credits + amount < 0 && !allowNegative) return 409
    this.references.set(reference, amount)
    this.move(amount)
    return 200
  }
}

/** Takes one step over HTTP and in the model, and compares what both say. */
async function take(step: Step, model: Model, ada: Person, admin: Person, apps: string[]): Promise<void> {
  const job = 'job' in step ? model.jobs[step.job % Math.max(model.jobs.length, 1)] : undefined
  if ('job' in step && !job) return
  switch (step.do) {
    case 'visit': {
      const reply = await ada.get(`/api/wallet?app=${apps[step.app]}`)
      return strictEqual(reply.statusCode, model.visit(step.app))
    }
    case 'reserve': {
      const before = model.jobs.length
      const reply = await ada.reserve(step.cost, step.key === null ? {} : { 'idempotency-key': `key ${step.key}` })
      strictEqual(reply.statusCode, model.reserve(step.cost, step.key), reply.body)
      if (reply.statusCode !== 200) return
      const replayed = model.jobs.length === before
      strictEqual(reply.headers['idempotency-replayed'], replayed ? 'true' : undefined)
      const known = replayed ? model.jobs[model.keys.get(step.key ?? -1)?.job ?? -1] : model.jobs.at(-1)
      if (known) known.id ||= reply.json().job_id
      return strictEqual(reply.json().job_id, known?.id)
    }
    case 'complete': {
      const reply = await ada.complete(job?.id ?? '', step.cost)
      return strictEqual(reply.statusCode, job && model.end(job, 'completed', step.cost), reply.body)
    }
    case 'fail': {
      const reply = await ada.fail(job?.id ?? '', step.refund)
      return strictEqual(reply.statusCode, job && model.end(job, 'failed', step.refund ? 0 : job.reserved), reply.body)
    }
    case 'adjust': {
      const { amount, allow_negative } = step
      const wish = { clerk_id: ada.clerkId, amount, kind: 'adjustment', reason: 'a step', allow_negative }
      const reply = await admin.post('/api/admin/credits', { ...wish, reference: `step ${step.reference}` })
      return strictEqual(reply.statusCode, model.adjust(amount, step.reference, allow_negative), reply.body)
    }
  }
}

// A failure prints its seed and path: FC_SEED=… FC_PATH=… npm test -- test/ledger-model.test.ts runs it again.
const { FC_SEED, FC_PATH, FC_RUNS = '20' } = process.env

t.test('whatever people do, the ledger does what the model says, and every invariant holds', async (t) => {
  const { db, person, admin } = await start(t)
  const apps = STARTER.map(() => unique('app'))
  const operator = await admin()
  for (const [n, slug] of apps.entries()) await operator.put(`/api/admin/apps/${slug}`, { starter_credits: STARTER[n] })

  const property = fc.asyncProperty(steps, async (life) => {
    const [ada, administrator, model] = [await person(), await admin(), new Model()]
    for (const step of life) {
      await take(step, model, ada, administrator, apps)
      const { credits, held } = await ada.balance()
      strictEqual(credits, model.credits, `credits after ${JSON.stringify(step)}`)
      strictEqual(held, model.held, `held after ${JSON.stringify(step)}`)
      const { ok, checks } = await verify(db)
      strictEqual(ok, true, JSON.stringify(checks.filter(({ violations }) => violations > 0)))
    }
    const { entries } = (await ada.get('/api/wallet/entries?limit=200')).json()
    strictEqual(entries.length, model.entries)
    strictEqual((await ada.get('/api/jobs?limit=200')).json().jobs.length, model.jobs.length)
  })
  await fc.assert(property, {
    numRuns: Number(FC_RUNS),
    ...(FC_SEED && { seed: Number(FC_SEED) }),
    ...(FC_PATH && { path: FC_PATH }),
  })
})
