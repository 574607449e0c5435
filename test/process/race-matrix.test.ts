import { deepStrictEqual } from 'node:assert/strict'
import { sql } from 'kysely'
import t from 'tap'
import { expire } from '../../src/ledger/operations.ts'
import { Model, type ModelJob } from '../support/model.ts'
import { type Person, personWith, start, unique } from '../support/start.ts'

/** How often each pair races, and how many of these races run at once, each of somebody else. */
const TIMES = 50
const AT_ONCE = 10
const STARTER = 7
const RESERVED = 10
/** What an account has when a race begins, beside the hold: too little for one job, more than another refunds. */
const CREDITS = 5

const CONNECTIONS = { DATABASE_POOL_SIZE: '12' }

type Instance = Awaited<ReturnType<typeof start>>

interface Race {
  ada: Person
  job: ModelJob
  /** A new app, so no grant exists */
  app: string
  reference: string
}

interface Contender {
  /** Its outcome over HTTP, or whether the sweeper did something */
  act(instance: Instance, race: Race): Promise<number | boolean>
  model(model: Model, job: ModelJob, race: Race): number | boolean
}

/** By cookie, which outlives the minute of a token. */
const send = async ({ app, config }: Instance, { ada }: Race, url: string, payload?: object) => {
  const headers = { cookie: ada.cookie, origin: config.publicUrl }
  return (await app.inject({ method: payload ? 'POST' : 'GET', url, headers, ...(payload && { payload }) })).statusCode
}

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
}

const NAMES = Object.keys(CONTENDERS)
const PAIRS = NAMES.flatMap((one, i) => NAMES.slice(i).map((other) => [one, other] as const))

t.setTimeout(600_000)
t.test(`every pair of operations, ${TIMES} times over two instances, ends as one after the other would`, async (t) => {
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

  let races = 0
  for (const [first, second] of PAIRS) {
    const app = unique('race')
    await one.db.insertInto('apps').values({ slug: app, starter_credits: STARTER }).execute()
    const outcomes = new Map<string, number>()
    async function run(person: { ada: Person; model: Model }, i: number): Promise<void> {
      const race = await prepare(one, person, app, [first, second].includes('expire'))
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
    for (let from = 0; from < TIMES; from += AT_ONCE) {
      await Promise.all(people.slice(from, from + AT_ONCE).map((person, n) => run(person, from + n)))
    }
    t.pass(`${first} × ${second}: ${JSON.stringify([...outcomes])}`)
  }
  t.equal(races, PAIRS.length * TIMES)
  t.comment(`${races} races`)
})

/** Brings an account to its credits and a job under way, overdue where something is to expire; and the model with it. */
async function prepare(
  at: Instance,
  { ada, model }: { ada: Person; model: Model },
  app: string,
  overdue: boolean,
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
  const created = await at.app.inject({ method: 'POST', url: '/api/jobs', headers, payload })
  if (created.statusCode !== model.reserve(RESERVED)) throw new Error(created.body)
  const job = model.jobs.at(-1)
  if (!job) throw new Error('no job')
  job.id = created.json().job_id
  if (overdue) {
    job.expires = model.now - 60
    await sql`update jobs set expires_at = now() - interval '1 minute'
      where account_id = ${ada.id} and id = ${job.id}`.execute(at.db)
  }
  return { ada, job, app, reference: unique('race') }
}

/** What the race has left behind. */
async function look({ db }: Instance, { ada, job }: Race) {
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
  return { ...account, ended, expired: found.failure_reason === 'expired' }
}

/** Plays the race one after the other on a copy of the model. */
function play(before: Model, race: Race, names: readonly string[], order: number[]) {
  const model = copyOf(before)
  const job = model.jobs.find(({ id }) => id === race.job.id)
  if (!job) throw new Error('no job')
  const results = new Map<number, number | boolean | undefined>()
  for (const turn of order) results.set(turn, CONTENDERS[names[turn] ?? '']?.model(model, job, race))
  const { credits, held, entries: seq } = model
  const left = { credits, held, seq, ended: job.ended, expired: job.expired ?? false }
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
