import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { connectForPosting } from '../../src/db/connect.ts'
import { overConnection, pipelines, type Session, type Sessions } from '../../src/db/pipeline.ts'
import type { Db } from '../../src/db/tables.ts'
import { DatabaseUnavailable } from '../../src/db/unavailable.ts'
import type { Operation } from '../../src/ledger/operations.ts'
import { createPoster } from '../../src/ledger/poster.ts'
import type { Outcome } from '../../src/ledger/state.ts'
import { transact } from '../../src/ledger/transaction.ts'
import { rememberVisits } from '../../src/ledger/visits.ts'
import { isCluster } from '../support/database.ts'
import { holdAccounts } from '../support/hold.ts'
import { databaseUrl, earlier, type Person, personWith, start, unique } from '../support/start.ts'

/** A poster of our own beside the service, with the sizes of the batches that it sends. */
async function setUp(t: Test) {
  const service = await start(t)
  const { db, config } = service
  const sizes: number[] = []
  const { post, close } = createPoster(db, connectForPosting(config.database, db), (size) => sizes.push(size))
  t.teardown(close)
  return {
    ...service,
    post,
    /** Posts all at once. @returns of each the refusal's code, or credits and held after it */
    postAll: async (operations: Operation[]) => (await Promise.all(operations.map(post))).map(said),
    sizes,
    people: (n: number, credits = 100) =>
      Promise.all(Array.from({ length: n }, () => personWith(service.app, credits))),
    /** People whose accounts one transaction may touch: on a cluster, those of one shard. */
    async neighbours(n: number): Promise<Person[]> {
      const byShard = new Map<string, Person[]>()
      for (;;) {
        const person = await personWith(service.app, 100)
        const shard = isCluster() ? await shardOf(db, person.id) : ''
        const found = [...(byShard.get(shard) ?? []), person]
        if (found.length === n) return found
        byShard.set(shard, found)
      }
    },
  }
}

async function shardOf(db: Db, account_id: string): Promise<string> {
  const { rows } = await sql<{ shard: string }>`
    select get_shard_id_for_distribution_column('accounts', ${account_id}::uuid)::text as shard`.execute(db)
  return rows[0]?.shard ?? ''
}

const said = ({ refusal, account: { credits, held } }: Outcome) => refusal?.code ?? { credits, held }

const reserve = (account_id: string, cost: number, idempotency_key: string | null = null, more: object = {}) =>
  ({
    ...{ type: 'reserve', account_id, job_id: uuidv7(), app: 'clips', action: 'render', cost, metadata: null },
    ...{
      idempotency_key,
      request_hash: idempotency_key && `hash of ${cost}`,
      ttl_seconds: 3600,
      ttl_without_key: false,
      token_id: null,
      grant_id: null,
      budget_ids: [],
    },
    ...more,
  }) as Operation & { type: 'reserve' }
const complete = (account_id: string, job_id: string, actual_cost: number): Operation => ({
  ...{ type: 'complete', account_id, job_id, key_of: null, actual_cost, metadata: null },
})
const fail = (account_id: string, job_id: string, refund: boolean): Operation => ({
  ...{ type: 'fail', account_id, job_id, key_of: null, refund, metadata: null },
})
const adjust = (account_id: string, amount: number, reference: string): Operation => ({
  ...{ type: 'adjust', account_id, clerk_id: unique('user_poster'), amount, kind: 'admin_grant', reference },
  ...{ reason: 'a test', actor: 'test', allow_negative: false },
})

t.test('what arrives together is one transaction, and each has its own answer', async (t) => {
  const { postAll, sizes, neighbours } = await setUp(t)
  const [ada, bob] = (await neighbours(2)) as [Person, Person]
  const first = reserve(ada.id, 10)
  const second = reserve(bob.id, 1)
  const asked = [first, second, reserve(ada.id, 20), reserve(ada.id, 71), reserve(ada.id, 70)]
  t.strictSame(await postAll(asked), [
    { credits: 90, held: 10 },
    { credits: 99, held: 1 },
    { credits: 70, held: 30 },
    'insufficient_credits',
    { credits: 0, held: 100 },
  ])
  t.strictSame(sizes, [5])
  const ends = [
    complete(ada.id, first.job_id, 15),
    fail(bob.id, second.job_id, false),
    complete(bob.id, first.job_id, 1),
  ]
  t.strictSame(await postAll(ends), [{ credits: -5, held: 90 }, { credits: 99, held: 0 }, 'job_not_found'])
  t.strictSame(sizes, [5, 3])
})

t.test('an operation that was answered is not kept, also where it waited for its account', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const { post, close } = createPoster(db, connectForPosting(config.database, db))
  t.teardown(close)
  const answered = async (operation: Operation): Promise<WeakRef<Operation>> => {
    const posted = post(operation)
    await hold.waiting(1)
    await hold.release()
    await posted
    return new WeakRef(operation)
  }
  const kept = await answered(reserve(ada.id, 1))
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  // A reference is kept until the turn of the event loop ends in which it was made or read.
  await sleep(1)
  collect()
  t.equal(kept.deref(), undefined)
})

t.test('one that comes alone leaves at once, and what comes meanwhile goes together', async (t) => {
  const { post, sizes, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  await post(reserve(ada.id, 1))
  t.strictSame(sizes, [1])
  const first = post(reserve(ada.id, 1))
  // Past the turn of the event loop in which the first one leaves.
  await new Promise(setImmediate)
  const others = Array.from({ length: 10 }, () => post(reserve(ada.id, 1)))
  await Promise.all([first, ...others])
  t.strictSame(sizes, [1, 1, 10])
})

t.test('an account that was locked for a moment is posted with the next batch, in order, without a lane', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada, bob] = (await people(2)) as [Person, Person]
  const { main, lanes } = connectForPosting(config.database, db)
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const brief = through(main, async (session, queries) => {
    const results = await session.send(queries)
    if (queries.some(({ name }) => name === 'ledger_lock')) await hold.release()
    return results
  })
  const none = through(lanes, () => Promise.reject(new Error('a lane was used')))
  const { post, close } = createPoster(db, { main: brief, lanes: none })
  t.teardown(close)
  const asked = [reserve(ada.id, 60), reserve(bob.id, 1), reserve(ada.id, 50)]
  t.strictSame((await Promise.all(asked.map(post))).map(said), [
    { credits: 40, held: 60 },
    { credits: 99, held: 1 },
    'insufficient_credits',
  ])
})

t.test('batches of any operations end as one after the other would', async (t) => {
  const { post, postAll } = await setUp(t)
  const operation = fc.record({
    who: fc.nat(2),
    cost: fc.nat(60),
    ends: fc.option(fc.record({ job: fc.nat(7), actual: fc.nat(90) })),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(operation, { maxLength: 12 }), { maxLength: 4 }), async (rounds) => {
      const accounts = await Promise.all(
        [1, 2, 3].map(async () => {
          const id = uuidv7()
          await post(adjust(id, 100, 'gift'))
          return id
        }),
      )
      const expected = accounts.map(() => ({ credits: 100, held: 0 }))
      const jobs: { id: string; who: number; reserved: number; ended?: number }[] = []
      for (const round of rounds) {
        const operations: Operation[] = []
        const answers: unknown[] = []
        const open = [...jobs]
        for (const { who, cost, ends } of round) {
          const job = ends && open[ends.job]
          const balance = expected[job ? job.who : who] as { credits: number; held: number }
          const account = accounts[job ? job.who : who] ?? ''
          if (job) {
            operations.push(complete(account, job.id, ends.actual))
            if (job.ended === undefined) {
              balance.credits += job.reserved - ends.actual
              balance.held -= job.reserved
              job.ended = ends.actual
            }
            answers.push(job.ended === ends.actual ? { ...balance } : 'job_already_ended')
          } else {
            const asked = reserve(account, cost)
            operations.push(asked)
            const covered = balance.credits >= cost
            if (covered) {
              balance.credits -= cost
              balance.held += cost
              jobs.push({ id: asked.job_id, who, reserved: cost })
            }
            answers.push(covered ? { ...balance } : 'insufficient_credits')
          }
        }
        const got = await postAll(operations)
        if (JSON.stringify(got) !== JSON.stringify(answers))
          throw new Error(`${JSON.stringify(got)}, expected ${JSON.stringify(answers)}`)
      }
    }),
    { numRuns: 25 },
  )
})

t.test('an operation that the database refuses hurts none of those that came with it', async (t) => {
  const { post, sizes, neighbours, db } = await setUp(t)
  const [ada, bob] = (await neighbours(2)) as [Person, Person]
  const b = reserve(bob.id, 1)
  await post(b)
  const results = await Promise.allSettled([
    post(reserve(ada.id, 2)),
    post(reserve(ada.id, 1, null, { metadata: '{"text":"\\u0000"}' })),
    post(complete(bob.id, b.job_id, 3)),
    post(reserve(ada.id, 3)),
  ])
  t.match(results, [
    { status: 'fulfilled', value: { account: { credits: 98 } } },
    { status: 'rejected', reason: { code: '22P05' } },
    { status: 'fulfilled', value: { account: { credits: 97, held: 0 } } },
    { status: 'fulfilled', value: { account: { credits: 95 } } },
  ])
  t.ok(sizes.includes(4), 'they were sent together')
  t.equal((await db.selectFrom('jobs').select('id').where('account_id', '=', ada.id).execute()).length, 2)
})

t.test('the same job and the same key twice in one batch', async (t) => {
  const { post, postAll, sizes, people, db } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const first = reserve(ada.id, 1, 'once')
  const keyed = await Promise.all(
    [first, reserve(ada.id, 1, 'once'), reserve(ada.id, 2, 'once'), reserve(ada.id, 4)].map(post),
  )
  t.strictSame(
    keyed.map(({ refusal, repeated, job }) => refusal?.code ?? [repeated, job?.id === first.job_id]),
    [[false, true], [true, true], 'idempotency_key_reused', [false, false]],
  )
  t.strictSame(sizes, [4])
  const open = await db.selectFrom('jobs').select('id').where('account_id', '=', ada.id).execute()
  t.equal(open.length, 2)
  const ended = await postAll([5, 6, 5].map((cost) => complete(ada.id, first.job_id, cost)))
  t.strictSame(ended, [{ credits: 91, held: 4 }, 'job_already_ended', { credits: 91, held: 4 }])
  t.strictSame(sizes, [4, 1, 1, 1], 'the second is merged into what the first leaves')
})

t.test('while somebody else has an account locked, everybody else is served, and its own wait in order', async (t) => {
  const { post, postAll, people } = await setUp(t)
  const everybody = await people(6, 10)
  const [held, ...others] = everybody as [Person, ...Person[]]
  const hold = await holdAccounts(t, await databaseUrl(), held.id)
  const answers: number[] = []
  const send = (cost: number) =>
    post(reserve(held.id, cost)).then(({ refusal }) => answers.push(refusal ? -cost : cost))
  const waiting = [6, 5, 4, 3].map(send)
  await hold.waiting(1)
  waiting.push(...[1, 1].map(send))
  for (let i = 1; i <= 3; i++)
    t.strictSame(
      await postAll(others.map(({ id }) => reserve(id, 1))),
      others.map(() => ({ credits: 10 - i, held: i })),
    )
  t.strictSame(answers, [], 'the held ones are still waiting')
  await hold.release()
  await Promise.all(waiting)
  t.strictSame(answers, [6, -5, 4, -3, -1, -1])
})

t.test('a lane holds a connection for a second at a time and keeps its order', async (t) => {
  const { post, people } = await setUp(t)
  const everybody = await people(7, 10)
  const [free, ...held] = everybody as [Person, ...Person[]]
  // More accounts than lanes have connections.
  const hold = await holdAccounts(t, await databaseUrl(), ...held.map(({ id }) => id))
  const began = performance.now()
  const waiting = held.map(({ id }) => post(reserve(id, 1)))
  const later = held.map(({ id }) => post(reserve(id, 2)))
  const first = await hold.waiting(4)
  t.equal(first.length, 4)
  t.match(await post(reserve(free.id, 1)), { account: { held: 1 } })
  await sleep(1_500)
  await hold.release()
  const outcomes = await Promise.all([...waiting, ...later])
  t.strictSame(
    outcomes.map(({ account }) => account.held),
    [...held.map(() => 1), ...held.map(() => 3)],
  )
  t.ok(performance.now() - began < 4_000, 'and not after a time-out')
})

t.test('behind many locked accounts nobody waits in line beyond his patience, and nothing has moved', async (t) => {
  const { people } = await setUp(t)
  // Ten turns of a second for each connection of the lanes.
  const held = await people(40, 10)
  const hold = await holdAccounts(t, await databaseUrl(), ...held.map(({ id }) => id))
  const began = performance.now()
  const answers = await Promise.all(held.flatMap((person) => [person.reserve(1), person.reserve(2)]))
  const waited = performance.now() - began
  t.strictSame(new Set(answers.map(({ statusCode }) => statusCode)), new Set([503]))
  t.ok(answers.every(({ headers }) => Number(headers['retry-after']) > 0))
  t.ok(waited < 8_000, `${Math.round(waited)} ms`)
  await hold.release()
  const balances = await Promise.all(held.map((person) => person.balance()))
  t.strictSame(new Set(balances.map(({ credits, held }) => `${credits} ${held}`)), new Set(['10 0']))
})

t.test('a statement that the server gives up for its time is not sent again', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const job = (await ada.reserve(1)).json().job_id
  const main = pipelines(config.database, 1, 1_000)
  let sent = 0
  const { post, close } = createPoster(db, { main, lanes: pipelines(config.database, 1, 1_000) }, () => sent++)
  t.teardown(close)
  const rival = new pg.Client({ connectionString: await databaseUrl() })
  await rival.connect()
  t.teardown(() => rival.end())
  await rival.query('begin')
  await rival.query('select from jobs where account_id = $1 and id = $2 for update', [ada.id, job])
  await t.rejects(post(complete(ada.id, job, 1)), { timedOut: true, cause: { code: '57014' } })
  t.equal(sent, 1)
  t.strictSame(await ada.balance(), { credits: 99, held: 1 })
  await rival.query('commit')
  t.match(await post(complete(ada.id, job, 1)), { account: { credits: 99, held: 0 } }, 'on the same connection')
})

t.test('a thousand at once are served; far beyond what can be, 503 overloaded, and nothing moves', async (t) => {
  const { app, people } = await setUp(t)
  const [ada] = (await people(1, 10_000)) as [Person]
  const thousand = await Promise.all(Array.from({ length: 1_000 }, () => ada.reserve(1)))
  t.strictSame(new Set(thousand.map(({ statusCode }) => statusCode)), new Set([200]))
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const flood = Array.from({ length: 5_000 }, () => app.ledger.post(reserve(ada.id, 1)))
  const refused = await ada.reserve(1)
  t.match([refused.statusCode, refused.json().error, refused.headers['retry-after']], [503, 'overloaded', '1'])
  await hold.release()
  t.equal((await Promise.all(flood)).filter(({ refusal }) => refusal === null).length, 5_000)
  t.strictSame(await ada.balance(), { credits: 4_000, held: 6_000 })
})

t.test('an operation whose client has gone away still ends, and before the service closes', async (t) => {
  const { app, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  await app.listen({ port: 0, host: '127.0.0.1' })
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const { port } = app.server.address() as AddressInfo
  const headers = { authorization: ada.authorization, 'content-type': 'application/json', host: 'localhost:3000' }
  const gone = request({ port, host: '127.0.0.1', method: 'POST', path: '/api/jobs', headers })
  gone.on('error', () => {})
  gone.end(JSON.stringify({ app: 'clips', action: 'render', cost_estimate: 5 }))
  await hold.waiting(1)
  gone.destroy()
  const closed = app.close()
  t.equal(await Promise.race([closed.then(() => 'closed'), sleep(50).then(() => 'waits')]), 'waits')
  await hold.release()
  await closed
  const again = await start(t)
  const { rows } = {
    rows: await again.db.selectFrom('accounts').select(['credits', 'held']).where('id', '=', ada.id).execute(),
  }
  t.strictSame(rows, [{ credits: 95, held: 5 }])
})

t.test('an app may write ids in any case', async (t) => {
  const { app, people, admin } = await setUp(t)
  const set = await (await admin()).put('/api/admin/apps/any-case', { starter_credits: 0, settle_key: 'rotate' })
  const everybody = await people(2)
  const jobs = await Promise.all(
    [...everybody, ...everybody, ...everybody].map(async ({ id, post }, i) => {
      const asked = { app: 'any-case', action: 'render', cost_estimate: 2 }
      const { job_id } = (await post('/api/jobs', asked)).json()
      return i % 2 ? { account_id: id.toUpperCase(), job_id } : { account_id: id, job_id: job_id.toUpperCase() }
    }),
  )
  const headers = { 'x-app-key': set.json().app.settle_key }
  const complete = (job: object) =>
    app.inject({ method: 'POST', url: '/api/jobs/complete', headers, payload: { ...job, actual_cost: 1 } })
  const ended = await Promise.all(jobs.map(complete))
  t.match(
    ended.map((reply) => reply.statusCode),
    jobs.map(() => 200),
  )
  for (const ada of everybody) t.strictSame(await ada.balance(), { credits: 97, held: 0 })
})

t.test('a balance that leaves the safe integers is refused, also where others would bring it back', async (t) => {
  const { neighbours, postAll, sizes } = await setUp(t)
  const [ada, bob] = (await neighbours(2)) as [Person, Person]
  const ids: string[] = await Promise.all([1, 2, 40].map(async (cost) => (await ada.reserve(cost)).json().job_id))
  const [a = '', b = '', c = ''] = ids
  t.equal((await ada.complete(a, Number.MAX_SAFE_INTEGER)).statusCode, 200)
  const { credits } = await ada.balance()
  const results = await postAll([complete(ada.id, b, 100), fail(ada.id, c, false), reserve(bob.id, 1)])
  t.strictSame(results, ['balance_out_of_range', { credits, held: 2 }, { credits: 99, held: 1 }])
  t.strictSame(sizes, [3])
  t.equal((await ada.get('/api/wallet/entries')).statusCode, 200)
  t.match((await ada.complete(b, 100)).json(), { error: 'balance_out_of_range' })
})

/** Connections whose round trips go through `send`, in the middle of the service's own. */
const through = (
  sessions: Sessions,
  send: (session: Session, queries: Parameters<Session['send']>[0]) => Promise<unknown>,
) =>
  ({
    use: (work) =>
      sessions.use((session) => work({ send: (queries) => send(session, queries) as ReturnType<Session['send']> })),
    close: () => sessions.close(),
  }) as Sessions

t.test('when the database is silent, nobody waits for it twice', async (t) => {
  const { db } = await start(t)
  const silent = new DatabaseUnavailable(new Error('nothing came'), true)
  let asked = 0
  const deaf = through(overConnection(db), () => {
    asked++
    return Promise.reject(silent)
  })
  const { post, waiting } = createPoster(db, { main: deaf, lanes: deaf })
  const account = uuidv7()
  const results = await Promise.allSettled(Array.from({ length: 200 }, () => post(reserve(account, 1))))
  t.strictSame(new Set(results.map((result) => result.status === 'rejected' && result.reason)), new Set([silent]))
  t.equal(asked, 1)
  t.equal(waiting(), 0)
})

t.test(
  'an answer that was lost is found by the second attempt, whatever became of the account meanwhile',
  async (t) => {
    const { db, config, people } = await setUp(t)
    const [ada] = (await people(1)) as [Person]
    const { main, lanes } = connectForPosting(config.database, db)
    let lose = false
    let sent = 0
    const losing = through(main, async (session, queries) => {
      const results = await session.send(queries)
      if (!lose || queries.at(-1)?.text !== 'commit') return results
      lose = false
      // As an operator would, in the moment between.
      await db.updateTable('accounts').set({ closed_at: new Date() }).where('id', '=', ada.id).execute()
      throw new DatabaseUnavailable(new Error('the answer was lost'))
    })
    const { post, close } = createPoster(db, { main: losing, lanes }, () => sent++)
    t.teardown(close)
    const jobs = [reserve(ada.id, 5), reserve(ada.id, 6)]
    for (const job of jobs) await post(job)
    sent = 0
    lose = true
    const again = [
      reserve(ada.id, 7, 'key'),
      complete(ada.id, jobs[0]?.job_id ?? '', 3),
      fail(ada.id, jobs[1]?.job_id ?? '', true),
      adjust(ada.id, 11, 'a gift'),
    ]
    const outcomes = await Promise.all(again.map(post))
    t.equal(sent, 2, 'the whole batch, once')
    t.strictSame(
      outcomes.map(({ refusal, repeated }) => [refusal, repeated]),
      again.map(() => [null, true]),
    )
    t.equal(outcomes[0]?.job?.id, (again[0] as { job_id: string }).job_id)
    t.match(await post(reserve(ada.id, 1)), { refusal: { code: 'account_closed' } })
  },
)

t.test('rows of an operation are committed with it, and only where it moves something', async (t) => {
  const { db, post } = await setUp(t)
  const account = uuidv7()
  const name = unique('row')
  const rows = () => [{ text: 'insert into settings (name, value) values ($1, $2)', values: [name, 'with the gift'] }]
  const stored = async () => (await db.selectFrom('settings').selectAll().where('name', '=', name).execute()).length
  t.match(await post({ ...adjust(account, -5, 'a gift'), rows }), { refusal: { code: 'would_go_negative' } })
  t.equal(await stored(), 0)
  t.match(await post({ ...adjust(account, 5, 'a gift'), rows }), { refusal: null, repeated: false })
  t.equal(await stored(), 1)
  t.match(await post({ ...adjust(account, 5, 'a gift'), rows }), { repeated: true })
  await t.rejects(
    post({ ...adjust(account, 6, 'another gift'), rows }),
    { code: '23505' },
    'and neither without the other',
  )
  const [balance] = await db.selectFrom('accounts').select('credits').where('id', '=', account).execute()
  t.equal(balance?.credits, 5)
})

t.test('a COMMIT that rolls back answers nobody', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const { main, lanes } = connectForPosting(config.database, db)
  const odd = through(main, async (session, queries) => {
    const results = await session.send(queries)
    return queries.at(-1)?.text === 'commit' ? [...results.slice(0, -1), { rows: [], command: 'ROLLBACK' }] : results
  })
  const { post, close } = createPoster(db, { main: odd, lanes })
  t.teardown(close)
  await t.rejects(post(reserve(ada.id, 1)), { message: 'The transaction was rolled back.' })
})

t.test('times are of after the wait for the lock, in the order of the entries', async (t) => {
  const { post, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const waiting = post(reserve(ada.id, 1))
  await hold.waiting(1)
  await sleep(300)
  const released = Date.now()
  await hold.release()
  const { job } = await waiting
  t.ok((job?.created_at ?? 0) >= released - 5, 'this machine and the database share a clock')
  const { entries } = (await ada.get('/api/wallet/entries')).json()
  t.ok(Date.parse(entries[0].created_at) >= released - 5)
})

t.test('overdue holds are read only where credits are short of what the batch asks', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada, bob] = (await people(2, 10)) as [Person, Person]
  const { main, lanes } = connectForPosting(config.database, db)
  const names: (string | undefined)[] = []
  const seen = through(main, (session, queries) => {
    names.push(...queries.map(({ name }) => name))
    return session.send(queries)
  })
  const { post, close } = createPoster(db, { main: seen, lanes })
  t.teardown(close)
  await Promise.all([post(reserve(ada.id, 5)), post(reserve(bob.id, 10))])
  const reads = () => names.some((name) => name?.startsWith('ledger_overdue'))
  t.notOk(reads())
  t.match(await post(reserve(ada.id, 6)), { refusal: { code: 'insufficient_credits', available: 5 } })
  t.ok(reads())
})

t.test(
  'two hundred overdue holds are given back at once, the largest first, and the rest at the next attempt',
  async (t) => {
    const { db, post, postAll, people } = await setUp(t)
    const [ada] = (await people(1, 205)) as [Person]
    await postAll([...Array.from({ length: 200 }, () => reserve(ada.id, 1)), reserve(ada.id, 3), reserve(ada.id, 2)])
    await sql`update jobs set expires_at = ${earlier('expires_at', '2 hours')} where account_id = ${ada.id}`.execute(db)
    t.match(await post(reserve(ada.id, 205)), {
      refusal: { code: 'insufficient_credits', available: 203 },
      account: { credits: 203, held: 2 },
    })
    t.match(await post(reserve(ada.id, 205)), { refusal: null, account: { credits: 0, held: 205 } })
  },
)

t.test('the payment page of a purchase, stored while a report is posted, stays', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const id = uuidv7()
  await sql`insert into purchases (account_id, id, pack_slug, pack_name, credits, price, currency, provider, origin)
    values (${ada.id}, ${id}, 'small', 'Small', 100, 500, 'usd', 'stripe', 'checkout')`.execute(db)
  const { main, lanes } = connectForPosting(config.database, db)
  const between = through(main, async (session, queries) => {
    if (queries.some(({ name }) => name?.startsWith('store_purchases')))
      await db.updateTable('purchases').set({ checkout_id: 'cs_1' }).where('id', '=', id).execute()
    return session.send(queries)
  })
  const { post, close } = createPoster(db, { main: between, lanes })
  t.teardown(close)
  const payment = {
    ...({
      status: 'processing',
      failure_reason: null,
      checkout_id: null,
      payment_id: 'pi_1',
      reference: null,
    } as const),
    ...{ amount: null, receipt_url: null, disputed: false, reversals: [] },
  }
  t.match(await post({ type: 'reconcile', account_id: ada.id, purchase_id: id, version: 0, payment }), {
    refusal: null,
  })

  const row = await db.selectFrom('purchases').selectAll().where('id', '=', id).executeTakeFirst()
  t.match(row, { checkout_id: 'cs_1', payment_id: 'pi_1', status: 'processing' })
})

t.test('a visit is remembered only where its app was read', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const visits = rememberVisits()
  const sessions = pipelines(config.database, 1, 5_000)
  t.teardown(() => sessions.close())
  const [read, unread] = [unique('read').slice(0, 40), unique('unread').slice(0, 40)].map((name) =>
    name.replaceAll('_', '-'),
  )
  const operations = [
    { type: 'visit', account_id: ada.id, app: read },
    reserve(ada.id, 1, null, { app: unread }),
  ] as Operation[]
  // Known so far to grant nothing, so that it is not read; the account's apps are, for the other one.
  const known = { ...visits, has: ({ app }: { app: string }) => app === unread }
  await sessions.use((session) =>
    transact(session, operations, { db, visits: known, waits: false, sharded: isCluster() }),
  )
  t.ok(visits.has({ account_id: ada.id, app: read as string }))
  t.notOk(visits.has({ account_id: ada.id, app: unread as string }))
})

t.test('a posting reads the jobs that it names, however many its account has', async (t) => {
  const { db, config, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  // Postgres believes that every account has few jobs.
  await sql`insert into accounts (id, clerk_id)
    select gen_random_uuid(), 'user_with_few_jobs_' || n from generate_series(1, 500) n`.execute(db)
  const insert = sql`insert into jobs (account_id, id, app_slug, action, reserved, expires_at)
    select accounts.id, gen_random_uuid(), 'video', 'render', 0, now() + interval '1 day'`
  await sql`${insert} from accounts, generate_series(1, 10)`.execute(db)
  await sql`analyze jobs`.execute(db)
  await sql`${insert} from accounts, generate_series(1, 500) where id = ${ada.id}::uuid`.execute(db)
  const kept = { ...config.database, sessionOptions: '-c plan_cache_mode=force_generic_plan' }
  const { main, lanes } = connectForPosting(kept, db)
  const counted = through(main, (session, queries) =>
    session.send([...queries.slice(0, -1), { text: 'select pg_stat_force_next_flush()' }, ...queries.slice(-1)]),
  )
  const { post, close } = createPoster(db, { main: counted, lanes })
  t.teardown(close)
  const read = async () => {
    const counts = sql<{
      n: number
    }>`select idx_tup_fetch + seq_tup_read as n from pg_stat_user_tables where relname = 'jobs'`
    return (await counts.execute(db)).rows[0]?.n ?? 0
  }
  for (let i = 0; i < 3; i++) {
    const before = await read()
    const jobs = [reserve(ada.id, 1, `key ${i}`), reserve(ada.id, 1)]
    await Promise.all(jobs.map(post))
    await Promise.all(jobs.map(({ job_id }) => post(complete(ada.id, job_id, 1))))
    const count = (await read()) - before
    t.ok(count < 100, `${count} rows of jobs are read`)
  }
})

t.test('an account that does not exist is opened by what needs it, however many ask at once', async (t) => {
  const { db, post } = await setUp(t)
  const clerk_id = unique('user_new')
  const account = uuidv7()
  const opened = async () => (await db.selectFrom('accounts').select('id').where('id', '=', account).execute()).length
  t.match(await post(complete(account, uuidv7(), 1)), { refusal: { code: 'job_not_found' } })
  t.match(await post(reserve(account, 1, null, { clerk_id })), { refusal: { code: 'insufficient_credits' } })
  t.equal(await opened(), 0, 'a refusal stores nothing')
  const free = await Promise.all(Array.from({ length: 20 }, () => post(reserve(account, 0, null, { clerk_id }))))
  t.ok(free.every(({ refusal }) => refusal === null))
  t.equal(await opened(), 1)
})

t.test("the operator's own connection options stay beside those of the poster's connections", async (t) => {
  const { config, db } = await start(t)
  const url = new URL(await databaseUrl())
  const inEnvironment = { ...config.database, url: url.href, sessionOptions: '-c geqo=off' }
  url.searchParams.set('options', '-c geqo=off')
  for (const database of [{ ...config.database, url: url.href }, inEnvironment]) {
    const { main } = connectForPosting(database, db)
    t.teardown(() => main.close())
    const text = `select name, setting from pg_settings where name in ('geqo', 'enable_seqscan') order by name`
    const [result] = await main.use((session) => session.send([{ text }]))
    t.match(result?.rows, [{ setting: 'off' }, { setting: 'off' }])
  }
})
