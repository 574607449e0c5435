import { deepStrictEqual } from 'node:assert/strict'
import { sql } from 'kysely'
import t from 'tap'
import { expire } from '../../src/ledger/operations.ts'
import { Model, type ModelBudget, type ModelJob } from '../support/model.ts'
import { type Person, personWith, start, unique } from '../support/start.ts'

/** How often each pair races, those with a budget less often, and how many of these races run at once, each of somebody else. */
const TIMES = 50
const TIMES_WITH_BUDGET = 16
const AT_ONCE = 10
const STARTER = 7
const RESERVED = 10
/** What an account has when a race begins, beside the hold: too little for one job, more than another refunds. */
const CREDITS = 5
/** What the token may spend in all: the job that is raced for, and as much again as one contender reserves. */
const BUDGET = RESERVED + 2

const CONNECTIONS = { DATABASE_POOL_SIZE: '12' }

type Instance = Awaited<ReturnType<typeof start>>

interface Token {
  id: string
  authorization: string
}

interface Race {
  ada: Person
  /** Of ada, with a budget; null where no contender is about it. It has made the job */
  token: Token | null
  job: ModelJob
  /** A new app, so no grant exists */
  app: string
  reference: string
}

interface Contender {
  /** It is about the token */
  budgeted?: true
  /** Its outcome over HTTP, or whether the sweeper did something */
  act(instance: Instance, race: Race): Promise<number | boolean>
  model(model: Model, job: ModelJob, race: Race): number | boolean
}

/** By cookie, which outlives the minute of a token. */
const send = async ({ app, config }: Instance, { ada }: Race, url: string, payload?: object) => {
  const headers = { cookie: ada.cookie, origin: config.publicUrl }
  return (await app.inject({ method: payload ? 'POST' : 'GET', url, headers, ...(payload && { payload }) })).statusCode
}

/** By the token. */
const spend = async ({ app }: Instance, { token }: Race, url: string, payload: object) => {
  const headers = { authorization: token?.authorization ?? '' }
  return (await app.inject({ method: 'POST', url, headers, payload })).statusCode
}

/** Changes or revokes the token, on our page. */
const touch = async ({ app, config }: Instance, { ada, token }: Race, payload?: object) => {
  const headers = { cookie: ada.cookie, origin: config.publicUrl }
  const method = payload ? 'PATCH' : 'DELETE'
  return (await app.inject({ method, url: `/api/tokens/${token?.id}`, headers, ...(payload && { payload }) }))
    .statusCode
}

/** In the model, what the token does while it works, and else how it is refused. */
const unlessRevoked =
  (refusal: number, act: (model: Model, job: ModelJob, id: string) => number): Contender['model'] =>
  (model, job, { token }) => {
    const id = token?.id ?? ''
    return model.revoked.has(id) ? refusal : act(model, job, id)
  }

const limited = (change: Partial<ModelBudget>) =>
  unlessRevoked(404, (model, _, id) => {
    const now = model.budgets.get(id) ?? { amount: null, period: null, apps: null }
    return model.limit(id, { ...now, ...change })
  })

const adjustment = (clerk_id: string, amount: number, reference: string) => ({
  ...{ clerk_id, amount, reference, kind: 'adjustment', reason: 'a race', allow_negative: false },
})

let operator: Person

const CONTENDERS: Record<string, Contender> = {
  reserve: {
    act: (at, race) => send(at, race, '/api/jobs', { app: 'clips', action: 'render', cost_estimate: 8 }),
    model: (model) => model.reserve(8),
  },
  'complete same': {
    act: (at, race) => send(at, race, '/api/jobs/complete', { job_id: race.job.id, actual_cost: 3 }),
    model: (model, job) => model.complete(job, 3),
  },
  'complete other': {
    act: (at, race) => send(at, race, '/api/jobs/complete', { job_id: race.job.id, actual_cost: 12 }),
    model: (model, job) => model.complete(job, 12),
  },
  fail: {
    act: (at, race) => send(at, race, '/api/jobs/fail', { job_id: race.job.id }),
    model: (model, job) => model.fail(job, true),
  },
  expire: {
    act: ({ app }, { ada, job }) => expire(app.ledger, { account_id: ada.id, job_id: job.id }),
    model: (model, job) => model.expire(job),
  },
  heartbeat: {
    act: (at, race) => send(at, race, `/api/jobs/${race.job.id}/heartbeat`, {}),
    model: (model, job) => model.heartbeat(job),
  },
  grant: {
    act: (at, race) => send(at, race, `/api/wallet?app=${race.app}`),
    model: (model, _, { app }) => model.visit(app, STARTER),
  },
  adjust: {
    act: async ({ app, config }, { ada, reference }) => {
      const headers = { cookie: operator.cookie, origin: config.publicUrl }
      const payload = adjustment(ada.clerkId, -6, reference)
      return (await app.inject({ method: 'POST', url: '/api/admin/credits', headers, payload })).statusCode
    },
    model: (model, _, { reference }) => model.adjust(-6, reference),
  },
  'reserve by budget': {
    budgeted: true,
    act: (at, race) => spend(at, race, '/api/jobs', { app: 'clips', action: 'render', cost_estimate: 2 }),
    model: unlessRevoked(401, (model, _, id) => model.reserve(2, { budgets: [id] })),
  },
  'complete by budget': {
    budgeted: true,
    act: (at, race) => spend(at, race, '/api/jobs/complete', { job_id: race.job.id, actual_cost: 4 }),
    model: unlessRevoked(401, (model, job) => model.complete(job, 4)),
  },
  'lower budget': {
    budgeted: true,
    act: (at, race) => touch(at, race, { budget: 5 }),
    model: limited({ amount: 5 }),
  },
  'other period': {
    budgeted: true,
    act: (at, race) => touch(at, race, { period: 'week' }),
    model: limited({ period: 'week' }),
  },
  revoke: {
    budgeted: true,
    act: (at, race) => touch(at, race),
    model: (model, _, { token }) => {
      model.revoked.add(token?.id ?? '')
      return 204
    },
  },
}

const NAMES = Object.keys(CONTENDERS)
const PAIRS = NAMES.flatMap((one, i) => NAMES.slice(i).map((other) => [one, other] as const))

t.setTimeout(600_000)
t.test(
  `every pair of operations, ${TIMES} or ${TIMES_WITH_BUDGET} times over two instances, ends as one after the other would`,
  async (t) => {
    t.setTimeout(600_000)
    const instances = await Promise.all([start(t, CONNECTIONS), start(t, CONNECTIONS)])
    const [one, two] = instances as [Instance, Instance]
    operator = await one.admin()
    const people: { ada: Person; model: Model }[] = []
    for (let i = 0; i < TIMES; i++) {
      const model = new Model()
      model.adjust(CREDITS + RESERVED, 'given')
      people.push({ ada: await personWith(one.app, CREDITS + RESERVED), model })
    }

    let [races, expected] = [0, 0]
    for (const [first, second] of PAIRS) {
      const app = unique('race')
      await one.db.insertInto('apps').values({ slug: app, starter_credits: STARTER }).execute()
      const outcomes = new Map<string, number>()
      const budgeted = [first, second].some((name) => CONTENDERS[name]?.budgeted)
      const times = budgeted ? TIMES_WITH_BUDGET : TIMES
      expected += times
      async function run(person: { ada: Person; model: Model }, i: number): Promise<void> {
        const race = await prepare(one, person, app, [first, second].includes('expire'), budgeted)
        // Half of them the other way round, so that each comes first at each instance.
        const names = i % 2 ? [first, second] : [second, first]
        const answers = await Promise.all(names.map((name, n) => CONTENDERS[name]?.act(n ? two : one, race)))
        const seen = [...answers, await look(one, race)]
        const legal = [
          [0, 1],
          [1, 0],
        ].map((order) => play(person.model, race, names, order))
        const which = legal.find(({ expected }) => same(expected, seen))
        if (!which)
          t.fail(
            `${names.join(' × ')}: ${JSON.stringify(seen)} is none of ${JSON.stringify(legal.map((l) => l.expected))}`,
          )
        else person.model = which.model
        const outcome = JSON.stringify(answers)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        races++
      }
      for (let from = 0; from < times; from += AT_ONCE) {
        await Promise.all(people.slice(from, Math.min(from + AT_ONCE, times)).map((person, n) => run(person, from + n)))
      }
      t.pass(`${first} × ${second}: ${JSON.stringify([...outcomes])}`)
    }
    t.equal(races, expected)
    t.comment(`${races} races`)
  },
)

/** Brings an account to its credits and a job under way, overdue where something is to expire; and the model with it. */
async function prepare(
  at: Instance,
  { ada, model }: { ada: Person; model: Model },
  app: string,
  overdue: boolean,
  budgeted: boolean,
): Promise<Race> {
  const amount = CREDITS + RESERVED - model.credits
  if (amount !== 0) {
    const reference = unique('level')
    const headers = { cookie: operator.cookie, origin: at.config.publicUrl }
    const payload = adjustment(ada.clerkId, amount, reference)
    const reply = await at.app.inject({ method: 'POST', url: '/api/admin/credits', headers, payload })
    if (reply.statusCode !== model.adjust(amount, reference)) throw new Error(reply.body)
  }
  const headers = { cookie: ada.cookie, origin: at.config.publicUrl }
  const payload = { app: 'clips', action: 'render', cost_estimate: RESERVED }
  const token = budgeted ? await limitedToken(at, ada, model) : null
  const by = token ? { authorization: token.authorization } : headers
  const created = await at.app.inject({ method: 'POST', url: '/api/jobs', headers: by, payload })
  const budgets = token ? [token.id] : []
  if (created.statusCode !== model.reserve(RESERVED, { budgets })) throw new Error(created.body)
  const job = model.jobs.at(-1)
  if (!job) throw new Error('no job')
  job.id = created.json().job_id
  if (overdue) {
    job.expires = model.now - 60
    await sql`update jobs set expires_at = now() - interval '1 minute'
      where account_id = ${ada.id} and id = ${job.id}`.execute(at.db)
  }
  return { ada, token, job, app, reference: unique('race') }
}

/** A new token, because others of its account may have been revoked, and a hundred at most live. */
async function limitedToken({ app, config, db }: Instance, ada: Person, model: Model): Promise<Token> {
  await db.updateTable('tokens').set({ revoked_at: new Date() }).where('account_id', '=', ada.id).execute()
  const headers = { cookie: ada.cookie, origin: config.publicUrl }
  const payload = { name: 'a race', budget: BUDGET }
  const { id, token } = (await app.inject({ method: 'POST', url: '/api/tokens', headers, payload })).json()
  model.limit(id, { amount: BUDGET, period: null, apps: null })
  return { id, authorization: `Bearer ${token}` }
}

/** What the race has left behind. */
async function look({ db }: Instance, { ada, job, token }: Race) {
  const account = await db
    .selectFrom('accounts')
    .select(['credits', 'held', 'seq'])
    .where('id', '=', ada.id)
    .executeTakeFirstOrThrow()
  const found = await db
    .selectFrom('jobs')
    .select(['status', 'actual_cost', 'failure_reason'])
    .where('account_id', '=', ada.id)
    .where('id', '=', job.id)
    .executeTakeFirstOrThrow()
  const ended = found.status === 'started' ? undefined : `${found.status} ${found.actual_cost}`
  const budgets = db.selectFrom('budgets').select('spent').where('account_id', '=', ada.id)
  const budget = token && (await budgets.where('id', '=', token.id).executeTakeFirstOrThrow())
  return { ...account, ended, expired: found.failure_reason === 'expired', spent: budget?.spent }
}

/** Plays the race one after the other on a copy of the model. */
function play(before: Model, race: Race, names: readonly string[], order: number[]) {
  const model = copyOf(before)
  const job = model.jobs.find(({ id }) => id === race.job.id)
  if (!job) throw new Error('no job')
  const results = new Map<number, number | boolean | undefined>()
  for (const turn of order) results.set(turn, CONTENDERS[names[turn] ?? '']?.model(model, job, race))
  const { credits, held, entries: seq } = model
  const spent = race.token ? model.spent(race.token.id) : undefined
  const left = { credits, held, seq, ended: job.ended, expired: job.expired ?? false, spent }
  return { model, expected: [results.get(0), results.get(1), left] }
}

function copyOf(model: Model): Model {
  return Object.assign(new Model(), structuredClone({ ...model }))
}

function same(expected: unknown, seen: unknown): boolean {
  try {
    deepStrictEqual(seen, expected)
    return true
  } catch {
    return false
  }
}
