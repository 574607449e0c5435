import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { type CompiledQuery, sql } from 'kysely'
import t, { type Test } from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { connectForPosting } from '../src/db/connect.ts'
import { nameOf } from '../src/db/statement.ts'
import type { Db } from '../src/db/tables.ts'
import { DatabaseUnavailable } from '../src/db/unavailable.ts'
import { postInBatches } from '../src/ledger/batch.ts'
import { adjust, openAccount } from '../src/ledger/post.ts'
import { refundKind } from '../src/ledger/rules.ts'
import { holdAccounts } from './support/hold.ts'
import { databaseUrl, type Person, personWith, start, unique } from './support/start.ts'

// Where the other tests run without batches, these do not.
delete process.env.TEST_POSTING

/** A poster of our own beside the service, with the sizes of the batches that it sends. */
async function setUp(t: Test, over: (db: Db) => Db = (db) => db) {
  const service = await start(t)
  const { db, config } = service
  const sizes: number[] = []
  const post = postInBatches(db, over(connectForPosting(config.database, db)), (size) => sizes.push(size))
  t.teardown(() => post.close())
  return {
    ...service,
    post,
    sizes,
    people: (n: number, credits = 100) =>
      Promise.all(Array.from({ length: n }, () => personWith(service.app, credits))),
  }
}

const wish = (account_id: string, cost: number, idempotency_key: string | null = null) => ({
  ...{ account_id, job_id: uuidv7(), app: 'video', action: 'render', cost, metadata: null, idempotency_key },
  ...{ request_hash: idempotency_key && 'hash', ttl_seconds: 3600, ttl_without_key: false },
})
const ending = (
  account_id: string,
  job_id: string,
  actual_cost: number | null,
  status: 'completed' | 'failed' = 'completed',
) => ({
  ...{ account_id, job_id, key_of: null, status, actual_cost, failure_reason: null, metadata: null },
  refund_kind: refundKind({ status, failure_reason: null }),
})

/** An account, without the person. */
async function accountWith(db: Db, amount: number): Promise<string> {
  const account_id = uuidv7()
  await openAccount(db, account_id, unique('user_batch'))
  const gift = {
    account_id,
    amount,
    kind: 'admin_grant',
    reason: 'a test',
    actor: 'test',
    allow_negative: false,
  } as const
  await adjust(db, { ...gift, reference: unique('gift') })
  return account_id
}

/** The database as a sharded one is: it refuses row locks over many shards, and so the statement that takes them. */
const sharded = (db: Db): Db =>
  ({
    executeQuery: (query: CompiledQuery) =>
      nameOf(query.sql)?.startsWith('post_many')
        ? Promise.reject(Object.assign(new Error('not over many shards'), { code: '0A000' }))
        : db.executeQuery(query),
    destroy: () => db.destroy(),
  }) as unknown as Db

t.test('what arrives together is one statement, and each has its own answer', async (t) => {
  const { post, sizes, people } = await setUp(t)
  const [ada, bob] = (await people(2)) as [Person, Person]
  const wishes = [wish(ada.id, 10), wish(bob.id, 1), wish(ada.id, 20), wish(ada.id, 71), wish(ada.id, 70)]
  const held = await Promise.all(wishes.map(post.reserve))
  t.match(held, [
    [{ credits: 90, held: 10 }],
    [{ credits: 99, held: 1 }],
    [{ credits: 70, held: 30 }],
    [],
    [{ credits: 0, held: 100 }],
  ])
  t.strictSame(sizes, [5])
  const [first, second] = wishes as [(typeof wishes)[number], (typeof wishes)[number]]
  const ends = [
    ending(ada.id, first.job_id, 15),
    ending(bob.id, second.job_id, null, 'failed'),
    ending(bob.id, first.job_id, 1),
  ]
  const ended = await Promise.all(ends.map(post.end))
  t.match(ended, [
    [{ id: first.job_id, status: 'completed', reserved: 10, actual_cost: 15, credits: -5, held: 90 }],
    [{ id: second.job_id, status: 'failed', actual_cost: 1, credits: 99, held: 0 }],
    [],
  ])
  t.strictSame(sizes, [5, 3])
})

t.test('one that comes alone leaves at once, and what comes meanwhile goes together', async (t) => {
  const { post, sizes, people } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  await post.reserve(wish(ada.id, 1))
  t.strictSame(sizes, [1])
  const first = post.reserve(wish(ada.id, 1))
  // Past the turn of the event loop in which the first one leaves.
  await new Promise(setImmediate)
  const others = Array.from({ length: 10 }, () => post.reserve(wish(ada.id, 1)))
  await Promise.all([first, ...others])
  t.strictSame(sizes, [1, 1, 10])
})

for (const [database, over] of [
  ['one database', undefined],
  ['a sharded one', sharded],
] as const) {
  t.test(`on ${database}, batches of any operations end as one after the other would`, async (t) => {
    const { post, db } = await setUp(t, over)
    const operation = fc.record({
      who: fc.nat(2),
      cost: fc.nat(60),
      ends: fc.option(fc.record({ job: fc.nat(7), actual: fc.nat(90) })),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(operation, { maxLength: 12 }), { maxLength: 4 }), async (rounds) => {
        const accounts = await Promise.all([1, 2, 3].map(() => accountWith(db, 100)))
        const expected = accounts.map(() => ({ credits: 100, held: 0 }))
        const jobs: { id: string; who: number; reserved: number; open: boolean }[] = []
        for (const round of rounds) {
          const running: Promise<unknown[]>[] = []
          const answers: ({ credits: number; held: number } | undefined)[] = []
          const open = [...jobs]
          for (const { who, cost, ends } of round) {
            const job = ends && open[ends.job]
            const owner = job ? job.who : who
            const balance = expected[owner] as { credits: number; held: number }
            const account = accounts[owner] ?? ''
            if (job) {
              running.push(post.end(ending(account, job.id, ends.actual)))
              if (job.open) {
                balance.credits += job.reserved - ends.actual
                balance.held -= job.reserved
              }
              answers.push(job.open ? { ...balance } : undefined)
              job.open = false
            } else {
              const reserve = wish(account, cost)
              running.push(post.reserve(reserve))
              const covered = balance.credits >= cost
              if (covered) {
                balance.credits -= cost
                balance.held += cost
                jobs.push({ id: reserve.job_id, who: owner, reserved: cost, open: true })
              }
              answers.push(covered ? { ...balance } : undefined)
            }
          }
          const got = (await Promise.all(running)) as { credits: number; held: number }[][]
          const seen = got.map(([row]) => row && { credits: row.credits, held: row.held })
          if (JSON.stringify(seen) !== JSON.stringify(answers))
            throw new Error(`${JSON.stringify(seen)}, expected ${JSON.stringify(answers)}`)
        }
      }),
      { numRuns: 25 },
    )
  })
}

t.test('an operation that the database refuses hurts none of those that came with it', async (t) => {
  const { post, sizes, people } = await setUp(t)
  const [ada, bob] = (await people(2)) as [Person, Person]
  const [a, b] = [wish(ada.id, 1), wish(bob.id, 1)]
  await Promise.all([post.reserve(a), post.reserve(b)])
  const lowest = ending(ada.id, a.job_id, Number.MAX_SAFE_INTEGER)
  await post.end({ ...lowest, actual_cost: 5 })
  const c = wish(ada.id, 1)
  await post.reserve(c)
  const results = await Promise.allSettled([
    post.reserve(wish(ada.id, 2)),
    post.end({ ...ending(ada.id, c.job_id, 1), status: 'unheard-of' as never }),
    post.end(ending(bob.id, b.job_id, 3)),
    post.reserve(wish(ada.id, 3)),
  ])
  t.match(results, [
    { status: 'fulfilled', value: [{ credits: 92 }] },
    { status: 'rejected', reason: { code: '23514' } },
    { status: 'fulfilled', value: [{ credits: 97, held: 0 }] },
    { status: 'fulfilled', value: [{ credits: 89 }] },
  ])
  t.ok(sizes.includes(4), 'they were sent together')
})

t.test('the same job and the same key twice in one batch', async (t) => {
  const { post, sizes, people, db } = await setUp(t)
  const [ada] = (await people(1)) as [Person]
  const keyed = await Promise.allSettled([
    ...[1, 2, 3].map((cost) => post.reserve(wish(ada.id, cost, 'once'))),
    post.reserve(wish(ada.id, 4)),
  ])
  const got = keyed.map((result) => result.status === 'fulfilled' && result.value.length === 1)
  t.strictSame(got, [true, false, false, true], 'the caller looks the others up')
  t.strictSame(sizes[0], 1, 'what follows one that waits, waits too: order within the account')
  const [{ id }] = (await db
    .selectFrom('jobs')
    .select('id')
    .where('account_id', '=', ada.id)
    .where('reserved', '=', 1)
    .execute()) as [{ id: string }]
  const ended = await Promise.all(
    [5, 6, 7].map((cost) => post.end(ending(ada.id, cost === 6 ? id.toUpperCase() : id, cost))),
  )
  t.match(ended, [[{ actual_cost: 5 }], [], []])
})

t.test('while somebody else has an account locked, everybody else is served, and its own wait in order', async (t) => {
  const { post, people } = await setUp(t)
  const everybody = await people(6, 10)
  const [held, ...others] = everybody as [Person, ...Person[]]
  const hold = await holdAccounts(t, await databaseUrl(), held.id)
  const answers: number[] = []
  const waiting = [6, 5, 4, 3].map((cost) =>
    post.reserve(wish(held.id, cost)).then((rows) => answers.push(rows.length ? cost : -cost)),
  )
  await hold.waiting(1)
  waiting.push(
    ...[1, 1].map((cost) => post.reserve(wish(held.id, cost)).then((rows) => answers.push(rows.length ? cost : -cost))),
  )
  for (let i = 0; i < 3; i++)
    t.match(
      await Promise.all(others.map(({ id }) => post.reserve(wish(id, 1)))),
      others.map(() => [{ held: i + 1 }]),
    )
  t.strictSame(answers, [], 'the held ones are still waiting')
  await hold.release()
  await Promise.all(waiting)
  t.strictSame(answers, [6, -5, 4, -3, -1, -1])
})

t.test('a thousand at once are served; far beyond what can be, 503 overloaded, and nothing moves', async (t) => {
  const { app, post, people } = await setUp(t)
  const [ada] = (await people(1, 10_000)) as [Person]
  const thousand = await Promise.all(Array.from({ length: 1_000 }, () => ada.reserve(1)))
  t.strictSame(new Set(thousand.map(({ statusCode }) => statusCode)), new Set([200]))
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const flood = Array.from({ length: 5_000 }, () => app.ledger.post.reserve(wish(ada.id, 1)))
  const refused = await ada.reserve(1)
  t.match([refused.statusCode, refused.json().error, refused.headers['retry-after']], [503, 'overloaded', '1'])
  await hold.release()
  t.equal((await Promise.all(flood)).filter((rows) => rows.length === 1).length, 5_000)
  t.strictSame(await ada.balance(), { credits: 4_000, held: 6_000 })
  await post.close()
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
  gone.end(JSON.stringify({ app: 'video', action: 'render', cost_estimate: 5 }))
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
  const { people, post, sizes } = await setUp(t)
  const [ada, bob] = (await people(2)) as [Person, Person]
  const ids: string[] = await Promise.all([1, 2, 40].map(async (cost) => (await ada.reserve(cost)).json().job_id))
  const [a = '', b = '', c = ''] = ids
  t.equal((await ada.complete(a, Number.MAX_SAFE_INTEGER)).statusCode, 200)
  const results = await Promise.allSettled([
    post.end(ending(ada.id, b, 100)),
    post.end(ending(ada.id, c, null, 'failed')),
    post.end(ending(ada.id, c, 0, 'failed')),
    post.reserve(wish(bob.id, 1)),
  ])
  t.match(results, [
    { status: 'rejected', reason: { code: '23514' } },
    { status: 'fulfilled', value: [{ actual_cost: 40 }] },
    { status: 'fulfilled', value: [] },
    { status: 'fulfilled', value: [{ credits: 99 }] },
  ])
  t.ok(sizes.some((size) => size > 1))
  t.equal((await ada.get('/api/wallet/entries')).statusCode, 200)
  t.match((await ada.complete(b, 100)).json(), { error: 'balance_out_of_range' })
})

t.test('when the database is silent, nobody waits for it twice', async (t) => {
  const { db } = await start(t)
  const silent = new DatabaseUnavailable(new Error('nothing came'), true)
  let asked = 0
  // Together it does not go, and alone nothing comes back.
  const deaf = {
    executeQuery: ({ sql }: CompiledQuery) => {
      asked++
      return Promise.reject(nameOf(sql)?.startsWith('post_') ? Object.assign(new Error(), { code: '23505' }) : silent)
    },
    destroy: () => db.destroy(),
  } as unknown as Db
  const post = postInBatches(deaf, deaf)
  const account = uuidv7()
  const results = await Promise.allSettled(Array.from({ length: 200 }, () => post.reserve(wish(account, 1))))
  t.strictSame(new Set(results.map((result) => result.status === 'rejected' && result.reason)), new Set([silent]))
  t.equal(asked, 3, 'many together, those of the account together, and one alone')
  t.equal(post.waiting(), 0)
})

t.test("the operator's own connection options stay beside those of the batch's connection", async (t) => {
  const { config } = await start(t)
  const url = new URL(await databaseUrl())
  const options = '-c geqo=off'
  const inEnvironment = { ...config.database, url: await databaseUrl(), sessionOptions: options }
  url.searchParams.set('options', `-c statement_timeout=4321 ${options}`)
  for (const database of [{ ...config.database, url: url.href }, inEnvironment]) {
    const connection = connectForPosting(database, {} as Db)
    t.teardown(() => connection.destroy())
    const { rows } = await sql<{ name: string; setting: string }>`select name, setting from pg_settings
    where name in ('geqo', 'enable_seqscan', 'lock_timeout') order by name`.execute(connection)
    t.strictSame(
      rows.map(({ setting }) => setting),
      ['off', 'off', '50'],
    )
  }
})
