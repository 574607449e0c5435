import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import type { Tables } from '../../src/db/tables.ts'
import { takeTurns } from '../../src/usage/turns.ts'
import { bearer, logIn } from '../support/device.ts'
import { daysAgo, past, pastJobs } from '../support/history.ts'
import { earlier, type Person, personWith, start, unique } from '../support/start.ts'

interface Sums {
  jobs: number
  completed: number
  failed: number
  credits: number
  held: number
}
type Row = Sums &
  Record<'app' | 'action' | 'token' | 'day' | 'plan' | 'name', string | undefined> & { key: string | null }
interface Usage {
  from: string
  to: string
  rows: Row[]
  total: Sums
  more: boolean
}

const usage = async (somebody: Pick<Person, 'get'>, query = '', path = '/api/usage'): Promise<Usage> => {
  const reply = await somebody.get(`${path}?${query}`)
  if (reply.statusCode !== 200) throw new Error(reply.body)
  return reply.json()
}
const day = (time: Date) => time.toISOString().slice(0, 10)
const none = { jobs: 0, completed: 0, failed: 0, credits: 0, held: 0 }

t.test('nothing was used where there are no jobs; without dates, the last thirty days are shown', async (t) => {
  const { person } = await start(t)
  const expected = { from: day(daysAgo(29)), to: day(daysAgo(-1)), rows: [], total: none, more: false }
  t.strictSame(await usage(await person()), expected)
})

t.test('jobs count with what they cost or hold, whichever way they ended', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 1_000)
  const reserve = async (slug: string, action: string, cost_estimate: number) =>
    (await ada.post('/api/jobs', { app: slug, action, cost_estimate })).json().job_id as string
  await ada.complete(await reserve('clips', 'render', 10), 4)
  await ada.complete(await reserve('clips', 'render', 10), 15)
  await ada.fail(await reserve('clips', 'cut', 10), true)
  await ada.fail(await reserve('clips', 'cut', 6), false)
  await reserve('audio', 'mix', 3)
  const late = await reserve('audio', 'mix', 20)
  await db
    .updateTable('jobs')
    .set({ expires_at: earlier('expires_at', '2 days') })
    .where('id', '=', late)
    .execute()
  await sweepHolds(db, app.ledger)
  t.match((await usage(ada)).total, { failed: 3, credits: 25, held: 3 }, 'expired: it costs nothing')
  await ada.complete(late, 9)

  t.strictSame((await usage(ada)).rows, [
    { key: 'clips', app: 'clips', jobs: 4, completed: 2, failed: 2, credits: 25, held: 0 },
    { key: 'audio', app: 'audio', jobs: 2, completed: 1, failed: 0, credits: 9, held: 3 },
  ])
  const today = day(new Date())
  const { rows, total } = await usage(ada, 'group_by=day,action,app')
  t.strictSame(
    rows.map(({ key, action, credits }) => [key, action, credits]),
    [
      [`${today}/render/clips`, 'render', 19],
      [`${today}/mix/audio`, 'mix', 9],
      [`${today}/cut/clips`, 'cut', 6],
    ],
  )
  t.strictSame(total, { jobs: 6, completed: 3, failed: 2, credits: 34, held: 3 })
  t.strictSame(await ada.balance(), { credits: 1_000 - 34 - 3, held: 3 })
})

t.test('jobs are summed up by the token that made them, with its name', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 100)
  const token = await logIn(app, ada, { client_name: 'Laptop' })
  await ada.reserve(2)
  const { job_id } = (
    await bearer(app, token).post('/api/jobs', { app: 'clips', action: 'a', cost_estimate: 5 })
  ).json()
  await ada.complete(job_id, 5)
  const [{ id }] = (await ada.get('/api/tokens')).json().tokens
  const { rows } = await usage(ada, 'group_by=token')
  const sums = { jobs: 1, completed: 1, failed: 0, credits: 5, held: 0 }
  t.strictSame(rows, [
    { key: id, token: id, name: `Laptop …${token.slice(-4)}`, ...sums },
    { key: null, token: null, name: null, jobs: 1, completed: 0, failed: 0, credits: 0, held: 2 },
  ])
})

t.test('the same as CSV, where a spreadsheet sees no formula', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 100)
  await ada.post('/api/jobs', { app: 'clips', action: '=1+1', cost_estimate: 5 })
  const reply = await ada.get('/api/usage?group_by=app,action', { accept: 'text/csv' })
  t.match(reply.headers, { 'content-type': 'text/csv; charset=utf-8', vary: /Accept/ })
  t.equal(reply.body, "\ufeffapp,action,jobs,completed,failed,credits,held\nclips,'=1+1,1,0,0,0,5\n")
})

t.test('what is asked for wrongly is refused', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 1)
  for (const [query, field] of [
    ['group_by=account', 'group_by'],
    ['group_by=plan', 'group_by'],
    ['group_by=app,', 'group_by'],
    ['from=2026-02-30', 'from'],
    ['from=0000-01-01&to=0000-02-01', 'to'],
    ['from=2026-01-01T00:00:00Z', 'from'],
    ['from=2026-01-02&to=2026-01-02', 'to'],
    ['from=2026-01-01&to=2027-02-06', 'from'],
    [`from=${day(daysAgo(-2))}`, 'from'],
    ['app=clips', 'app'],
  ] as const) {
    const reply = await ada.get(`/api/usage?${query}`)
    t.match([reply.statusCode, reply.json().field], [400, field], query)
  }
  t.equal((await ada.get('/api/usage?from=2026-01-01&to=2027-02-05')).statusCode, 200, '400 days')
  t.equal((await ada.get('/api/admin/usage')).statusCode, 403)
  t.equal((await (await admin()).get('/api/admin/usage?group_by=token')).statusCode, 400)
})

const ENDS = [undefined, 'completed', 'released', 'kept', 'late'] as const
const job = fc.record({
  days: fc.integer({ min: 0, max: 8 * 96 }).map((quarters) => quarters / 96),
  app: fc.constantFrom('clips', 'audio', 'news'),
  action: fc.constantFrom('render', 'mix'),
  reserved: fc.nat({ max: 50 }),
  end: fc.constantFrom(...ENDS),
  cost: fc.nat({ max: 80 }),
  maker: fc.nat({ max: 3 }),
})

t.test('sums agree with the ledger to the credit, for any period and any grouping', async (t) => {
  const { app, db, admin } = await start(t)
  const administrator = await admin()
  const makers = [{}, { token_id: uuidv7() }, { token_id: uuidv7() }, { token_id: uuidv7(), grant_id: uuidv7() }]
  const groupings = fc.subarray(['app', 'action', 'token', 'day'], { minLength: 1 })
  const run = async (jobs: { days: number; maker: number }[], from: number, length: number, groups: string[]) => {
    const ada = await personWith(app, 1)
    await past(db, ada.id, [{ at: daysAgo(20), amount: 100_000 }])
    const oldestFirst = jobs.toSorted((one, other) => other.days - one.days)
    await pastJobs(
      db,
      ada.id,
      oldestFirst.map(({ days, maker, ...more }) => ({ at: daysAgo(days), ...makers[maker], ...more }) as never),
    )
    const period = { from: day(daysAgo(from)), to: day(daysAgo(from - length)) }
    const query = `group_by=${groups}&from=${period.from}&to=${period.to}`
    const answer = await usage(ada, query)
    const byKey = Object.fromEntries(
      answer.rows.map((row) => [
        groups.map((group) => row[group as 'app'] ?? null).join(),
        [row.jobs, row.completed, row.failed, row.credits, row.held],
      ]),
    )
    t.strictSame(byKey, await fromLedger(db, ada.id, period, groups), `${query} ${JSON.stringify(jobs)}`)
    for (const sum of ['jobs', 'completed', 'failed', 'credits', 'held'] as const) {
      t.equal(
        answer.total[sum],
        answer.rows.reduce((all, row) => all + row[sum], 0),
      )
    }
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(job, { maxLength: 12 }),
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      groupings,
      run,
    ),
    { numRuns: 12 },
  )
  // Nobody else has this plan.
  const plan = unique('plan')
  const ada = await personWith(app, 1)
  await past(db, ada.id, [{ at: daysAgo(20), amount: 100 }])
  await pastJobs(db, ada.id, [
    { at: daysAgo(3), reserved: 5, end: 'completed', cost: 4 },
    { at: daysAgo(2), reserved: 7 },
  ])
  await db.updateTable('accounts').set({ plan }).where('id', '=', ada.id).execute()
  const all = await usage(administrator, 'group_by=plan', '/api/admin/usage')
  const sums = { jobs: 2, completed: 1, failed: 0, credits: 4, held: 7 }
  t.strictSame(
    all.rows.filter(({ key }) => key === plan),
    [{ key: plan, plan, ...sums }],
  )
  const [ledger] = Object.values(await fromLedger(db, undefined, { from: all.from, to: all.to }, []))
  t.strictSame(Object.values(all.total), ledger, 'all accounts')
  for (const group_by of ['app', 'day', 'day,app,plan']) {
    const { total } = await usage(administrator, `group_by=${group_by}`, '/api/admin/usage')
    t.strictSame(total, all.total)
  }
})

/** The same sums, by the entries of the jobs. */
async function fromLedger(
  db: Kysely<Tables>,
  account: string | undefined,
  { from, to }: { from: string; to: string },
  groups: string[],
): Promise<Record<string, number[]>> {
  const values: Record<string, string> = {
    app: 'app_slug',
    action: 'action',
    token: 'coalesce(grant_id, token_id)::text',
    day: `to_char(j.created_at at time zone 'UTC', 'YYYY-MM-DD')`,
  }
  const columns = groups.map((group) => `, ${values[group]} as "${group}"`).join('')
  const { rows } = await sql<Record<string, string> & { id: string; status: string; taken: number }>`
    select j.id, j.status ${sql.raw(columns)},
      (select coalesce(-sum(amount), 0)::bigint from ledger_entries e where e.account_id = j.account_id and e.job_id = j.id) as taken
    from jobs j where (${account ?? null}::uuid is null or j.account_id = ${account ?? null}::uuid)
      and j.created_at >= (${from}::timestamp at time zone 'UTC') and j.created_at < (${to}::timestamp at time zone 'UTC')`.execute(
    db,
  )
  const sums: Record<string, number[]> = {}
  for (const row of rows) {
    const key = groups.map((group) => row[group] ?? null).join()
    const of = sums[key] ?? [0, 0, 0, 0, 0]
    sums[key] = of
    const { status, taken } = row
    const added = [1, Number(status === 'completed'), Number(status === 'failed')]
    const credits = status === 'started' ? [0, Number(taken)] : [Number(taken), 0]
    for (const [i, value] of [...added, ...credits].entries()) of[i] = (of[i] ?? 0) + value
  }
  return sums
}

t.test('a sum beyond the safe integers is answered as the largest of them', async (t) => {
  const { app, db, admin } = await start(t)
  const largest = Number.MAX_SAFE_INTEGER
  for (let i = 0; i < 2; i++) {
    const ada = await personWith(app, 1)
    await pastJobs(db, ada.id, [{ at: daysAgo(90 + i), reserved: 0, end: 'completed', cost: largest - 1 }])
  }
  const period = `from=${day(daysAgo(92))}&to=${day(daysAgo(88))}`
  const { total, rows } = await usage(await admin(), `group_by=day&${period}`, '/api/admin/usage')
  t.equal(total.credits, largest)
  t.equal(rows[0]?.credits, largest - 1)
})

t.test('sums of one caller run one after the other, and leave turns to others', async (t) => {
  const inTurn = takeTurns()
  const ended: string[] = []
  const gates = new Map<string, () => void>()
  const read = (caller: string, name: string) =>
    inTurn(caller, async () => {
      await new Promise<void>((resolve) => gates.set(name, resolve))
      ended.push(name)
    })
  const all = [read('ada', 'a1'), read('ada', 'a2'), read('bob', 'b1'), read('cy', 'c1'), read('dot', 'd1')]
  await null
  t.strictSame([...gates.keys()], ['a1', 'b1', 'c1'], 'three at a time, one of each')
  gates.get('b1')?.()
  await all[2]
  await null
  t.ok(gates.has('d1') && !gates.has('a2'))
  for (const name of ['a1', 'c1', 'd1']) gates.get(name)?.()
  await Promise.all([all[0], all[3], all[4]])
  await null
  gates.get('a2')?.()
  await all[1]
  t.equal(ended.length, 5)
  await t.rejects(
    inTurn('ada', () => Promise.reject(new Error('no'))),
    { message: 'no' },
  )
  await inTurn('ada', async () => {})
})
