import { strictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { closeAccount } from '../../src/accounts/close.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { verify } from '../../src/ledger/verify.ts'
import { Model } from '../support/model.ts'
import { earlier, type Person, start, unique } from '../support/start.ts'

type Period = 'day' | 'week' | 'month'

/** One step of a random history. Jobs, keys and references are picked by number, so that a shorter list still makes sense. */
type Step =
  | { do: 'visit'; app: number }
  | {
      do: 'reserve'
      app: number
      cost: number
      key: number | null
      ttl: number | null
      server: boolean
      by: number | null
    }
  | { do: 'limit'; token: number; budget: number | null; period: Period | null; apps: number | null }
  | { do: 'complete'; job: number; cost: number; server: boolean }
  | { do: 'fail'; job: number; refund: boolean; server: boolean }
  | { do: 'heartbeat'; job: number; ttl: number | null; server: boolean }
  | { do: 'adjust'; amount: number; reference: number; allow_negative: boolean }
  | { do: 'pass'; seconds: number }
  | { do: 'refund'; job: number; part: number; amount: number | null }
  | { do: 'sweep' }
  | { do: 'turn' }
  | { do: 'close' }

/** What the apps grant; those after them are the one with a settle key, and one that nobody registered. */
const STARTER = [0, 7, 30]
const KEYED = STARTER.length
const UNKNOWN = KEYED + 1
/** In days: after it every period has turned. */
const LONGEST_PERIOD = 32
/** How far the cost of a job may pass its estimate, at the last of the apps that grant something. */
const CAP = 3
const CAPPED = STARTER.length - 1
// Few amounts, so that repeats happen.
const small = fc.constantFrom(0, 1, 2, 5, 40)
const pick = fc.nat(4)
// No sum of these is within minutes of a ttl, or of a ttl and seven days: how fast the test runs does not matter.
const ttl = fc.option(fc.constantFrom(600, 86_400), { freq: 2 })
const seconds = fc.constantFrom(1_000, 50_000, 400_000)
const server = fc.boolean()
/** Who reserves: the person, their token, or a token that it made */
const by = fc.option(fc.nat(1), { freq: 2 })
const is = <T extends string>(name: T) => fc.constant(name)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: is('visit'), app: fc.nat(UNKNOWN) }),
  {
    weight: 5,
    arbitrary: fc.record({
      do: is('reserve'),
      app: fc.nat(UNKNOWN),
      cost: small,
      key: fc.option(pick),
      ttl,
      server,
      by,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: is('limit'), token: fc.nat(1), budget: fc.option(fc.constantFrom(0, 3, 10, 60)) },
      ...{ period: fc.option(fc.constantFrom<Period>('day', 'week', 'month')), apps: fc.option(fc.nat(UNKNOWN)) },
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: is('complete'), job: pick, cost: small, server }) },
  { weight: 2, arbitrary: fc.record({ do: is('fail'), job: pick, refund: fc.boolean(), server }) },
  { weight: 2, arbitrary: fc.record({ do: is('heartbeat'), job: pick, ttl, server }) },
  fc.record({
    do: is('adjust'),
    amount: fc.constantFrom(-20, -1, 1, 20),
    reference: pick,
    allow_negative: fc.boolean(),
  }),
  { weight: 2, arbitrary: fc.record({ do: is('pass'), seconds }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ do: is('refund'), job: pick, part: fc.integer({ min: 1, max: 3 }) },
      amount: fc.option(fc.constantFrom(1, 2, 5)),
    }),
  },
  fc.record({ do: is('sweep') }),
  fc.record({ do: is('turn') }),
)
/** Most lives go on; some end early, with some steps to come. */
const close: fc.Arbitrary<Step> = fc.record({ do: is('close') })
const LIFE = 50
const life = fc.array(step, { minLength: LIFE, maxLength: LIFE })
const lives = fc.oneof(
  { weight: 3, arbitrary: life },
  fc.tuple(life, close, fc.integer({ min: 10, max: LIFE - 1 })).map(([steps, end, at]) => steps.toSpliced(at, 1, end)),
)

interface World {
  app: Awaited<ReturnType<typeof start>>['app']
  db: Awaited<ReturnType<typeof start>>['db']
  ada: Person
  admin: Person
  apps: string[]
  /** The second was made by the first */
  tokens: { id: string; token: string }[]
  /** The settle key of the app that has one */
  key: string
}

/** Takes one step over HTTP and in the model, and compares what both say. */
async function take(
  step: Step,
  model: Model,
  { app, db, ada, admin, apps, tokens, key: settleKey }: World,
): Promise<void> {
  // The latest jobs are picked from: those of long ago would all have ended.
  const job = 'job' in step ? model.jobs.at(-1 - (step.job % Math.max(model.jobs.length, 1))) : undefined
  if ('job' in step && !job) return
  const id = job?.id ?? ''
  const header: Record<string, string> = 'server' in step && step.server ? { 'x-app-key': settleKey } : {}
  switch (step.do) {
    case 'visit': {
      const reply = await ada.get(`/api/wallet?app=${apps[step.app]}`)
      return strictEqual(reply.statusCode, model.visit(apps[step.app] ?? ''))
    }
    case 'reserve': {
      const slug = apps[step.app] ?? ''
      const isKeyed = step.app === KEYED
      const server = step.server && isKeyed
      const key = step.key === null ? {} : { key: `key ${step.key}` }
      const ttl = step.ttl === null ? {} : { ttl: step.ttl }
      // Its tokens end with an account, after some seconds.
      const by = model.closed ? null : step.by
      const before = model.jobs.length
      const reply = await ada.post(
        '/api/jobs',
        {
          app: slug,
          action: 'render',
          cost_estimate: step.cost,
          ...(step.ttl !== null && { ttl_seconds: step.ttl }),
        },
        {
          ...(key.key !== undefined && { 'idempotency-key': key.key }),
          ...(server && header),
          ...(by !== null && { authorization: `Bearer ${tokens[by]?.token}` }),
        },
      )
      const expected = model.reserve(step.cost, {
        ...{ app: slug, keyed: isKeyed, server, cap: step.app === CAPPED ? CAP : undefined },
        ...{ ...key, ...ttl },
        budgets: by === null ? [] : tokens.slice(0, by + 1).flatMap(({ id }) => (model.budgets.has(id) ? id : [])),
      })
      strictEqual(reply.statusCode, expected, reply.body)
      if (reply.statusCode !== 200) return
      const replayed = model.jobs.length === before
      strictEqual(reply.headers['idempotency-replayed'], replayed ? 'true' : undefined)
      const known = replayed ? model.keys.get(key.key ?? '')?.job : model.jobs.at(-1)
      if (known) known.id ||= reply.json().job_id
      return strictEqual(reply.json().job_id, known?.id)
    }
    case 'complete': {
      const reply = await ada.post('/api/jobs/complete', { job_id: id, actual_cost: step.cost }, header)
      return strictEqual(reply.statusCode, job && model.complete(job, step.cost, step.server), reply.body)
    }
    case 'fail': {
      const reply = await ada.post('/api/jobs/fail', { job_id: id, refund: step.refund }, header)
      return strictEqual(reply.statusCode, job && model.fail(job, step.refund, step.server), reply.body)
    }
    case 'heartbeat': {
      const body = step.ttl === null ? {} : { ttl_seconds: step.ttl }
      const reply = await ada.post(`/api/jobs/${id}/heartbeat`, body, header)
      return strictEqual(reply.statusCode, job && model.heartbeat(job, step.ttl ?? job.ttl, step.server), reply.body)
    }
    case 'adjust': {
      const { amount, allow_negative } = step
      const reference = `step ${step.reference}`
      const wish = { clerk_id: ada.clerkId, amount, kind: 'adjustment', reason: 'a step', allow_negative, reference }
      const reply = await admin.post('/api/admin/credits', wish)
      return strictEqual(reply.statusCode, model.adjust(amount, reference, allow_negative), reply.body)
    }
    case 'limit': {
      if (model.closed) return
      const { budget, apps: n } = step
      const period = budget === null ? null : step.period
      const allowed = n === null ? null : apps.slice(n)
      const { id = '' } = tokens[step.token] ?? {}
      const headers = { cookie: ada.cookie, origin: app.config.publicUrl }
      const payload = { budget, period, apps: allowed }
      const reply = await app.inject({ method: 'PATCH', url: `/api/tokens/${id}`, headers, payload })
      const first = !model.budgets.has(id) && budget === null && allowed === null
      return strictEqual(reply.statusCode, first ? 200 : model.limit(id, { amount: budget, period, apps: allowed }))
    }
    case 'pass': {
      model.now += step.seconds
      await sql`update jobs set expires_at = ${earlier('expires_at', `${step.seconds} seconds`)}
        where account_id = ${ada.id}`.execute(db)
      return
    }
    case 'turn': {
      model.turn(LONGEST_PERIOD)
      const back = (column: string) => earlier(column, `${LONGEST_PERIOD} days`)
      await sql`update jobs set created_at = ${back('created_at')} where account_id = ${ada.id}`.execute(db)
      await sql`update budgets set period_start = ${back('period_start')} where account_id = ${ada.id}`.execute(db)
      return
    }
    case 'refund': {
      const { part, amount } = step
      const body = { account_id: ada.id, reason: 'a step', part, ...(amount !== null && { amount }) }
      const reply = await admin.post(`/api/admin/jobs/${id}/refund`, body)
      return strictEqual(reply.statusCode, job && model.refund(job, part, amount ?? undefined), reply.body)
    }
    case 'sweep': {
      model.sweep()
      await sweepHolds(db, app.ledger)
      return
    }
    case 'close': {
      model.close()
      await closeAccount(db, app.ledger, ada.id, ada.clerkId)
    }
  }
}

/** A token, made by the person or by another one. */
async function makeToken(app: World['app'], ada: Person, by?: string): Promise<{ id: string; token: string }> {
  const headers = by ? { authorization: `Bearer ${by}` } : { cookie: ada.cookie, origin: app.config.publicUrl }
  return (await app.inject({ method: 'POST', url: '/api/tokens', headers, payload: { name: 'token' } })).json()
}

async function verified(db: World['db']): Promise<void> {
  const { ok, checks } = await verify(db)
  strictEqual(ok, true, JSON.stringify(checks.filter(({ violations }) => violations > 0)))
}

// A failure prints its seed and path at once: FC_SEED=… FC_PATH=… npm test -- test/process/ledger-model.test.ts runs it again, and
// shrinks it. npm run test:soak runs for any number of minutes.
const { FC_SEED, FC_PATH, FC_RUNS = '42', FC_MINUTES } = process.env
const seed = Number(FC_SEED ?? Date.now() % 2 ** 31)
const minutes = Number(FC_MINUTES ?? 0)
t.setTimeout(minutes * 60_000 + 300_000)

t.test('whatever people do, the ledger does what the model says, and every invariant holds', async (t) => {
  t.comment(`FC_SEED=${seed}`)
  t.setTimeout(minutes * 60_000 + 300_000)
  const { app, db, person, admin } = await start(t)
  const apps = [...STARTER, 'keyed', 'unknown'].map(() => unique('app'))
  const operator = await admin()
  const register = async (n: number, more: object) =>
    (await operator.put(`/api/admin/apps/${apps[n]}`, { starter_credits: STARTER[n] ?? 0, ...more })).json().app
  for (const n of STARTER.keys()) await register(n, n === CAPPED ? { max_overage: { credits: CAP } } : {})
  const { settle_key: key } = await register(KEYED, { settle_key: 'rotate' })

  let steps = 0
  const property = fc.asyncProperty(lives, async (life) => {
    const [ada, administrator, model] = [await person(), await admin(), new Model()]
    for (const [n, credits] of STARTER.entries()) model.starter.set(apps[n] ?? '', credits)
    const first = await makeToken(app, ada)
    const tokens = [first, await makeToken(app, ada, first.token)]
    const world = { app, db, ada, admin: administrator, apps, tokens, key }
    for (const [n, step] of life.entries()) {
      await take(step, model, world)
      steps++
      const { credits, held } = await ada.balance()
      strictEqual(credits, model.credits, `credits after ${JSON.stringify(step)}`)
      strictEqual(held, model.held, `held after ${JSON.stringify(step)}`)
      if (!model.closed) {
        const listed = (await ada.get('/api/tokens')).json().tokens as { id: string; spent: number | null }[]
        for (const { id, spent } of listed)
          strictEqual(spent, model.budgets.has(id) ? model.spent(id) : null, `spent after ${JSON.stringify(step)}`)
      }
      // The invariants read every row. A failure that is run again names the step.
      if (n % 10 === 9 || FC_PATH) await verified(db)
    }
    const { entries } = (await ada.get('/api/wallet/entries?limit=200')).json()
    strictEqual(entries.length, model.entries)
    const { jobs } = (await ada.get('/api/jobs?limit=200')).json()
    strictEqual(jobs.length, model.jobs.length)
    for (const { id, status, actual_cost, requested_cost, refunded, failure_reason } of jobs) {
      const job = model.jobs.find((job) => job.id === id)
      strictEqual(status === 'started' ? undefined : `${status} ${requested_cost}`, job?.ended)
      strictEqual(actual_cost, job?.cost)
      strictEqual(
        refunded,
        [...(job?.refunds.values() ?? [])].reduce((sum, given) => sum + given, 0),
      )
      strictEqual(failure_reason, job?.closed ? 'account_closed' : job?.expired ? 'expired' : null)
    }
  })
  await fc.assert(property, {
    seed,
    endOnFailure: !FC_PATH,
    ...(FC_PATH && { path: FC_PATH }),
    ...(minutes ? { numRuns: 1e9, interruptAfterTimeLimit: minutes * 60_000 } : { numRuns: Number(FC_RUNS) }),
  })
  t.comment(`${steps} steps`)
  if (!FC_PATH && !minutes) t.ok(steps >= 2_000, `${steps} steps`)
})
