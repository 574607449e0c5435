import { type CompiledQuery, sql } from 'kysely'
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { isCluster } from '../support/database.ts'
import { daysAgo, type PastJob, pastJobs } from '../support/history.ts'
import { inlined, type Plan, textOf } from '../support/plan.ts'
import { type App, type Person, personWith, start } from '../support/start.ts'

interface Page {
  jobs: { id: string; app_slug: string; status: string; action: string }[]
  next_cursor: string | null
}

const page = async (somebody: Person, query = ''): Promise<Page> => (await somebody.get(`/api/jobs?${query}`)).json()
const idsOf = ({ jobs }: Page) => jobs.map(({ id }) => id)

async function add(somebody: Person, app = 'clips'): Promise<string> {
  return (await somebody.post('/api/jobs', { app, action: 'render', cost_estimate: 1 })).json().job_id
}

/** Somebody with so many jobs; their ids, newest first */
async function withJobs(app: App, count: number) {
  const ada = await personWith(app, 1_000)
  const ids: string[] = []
  for (let i = 0; i < count; i++) ids.unshift(await add(ada))
  return { ada, ids }
}

/** Follows next_cursor to the end */
async function walk(somebody: Person, query: string, between = async () => {}): Promise<string[][]> {
  const pages: string[][] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const current: Page = await page(somebody, `${query}${cursor && `&cursor=${cursor}`}`)
    pages.push(idsOf(current))
    cursor = current.next_cursor
    await between()
  }
  return pages
}

t.test('nobody without jobs sees any', async (t) => {
  const { person } = await start(t)
  t.strictSame(await page(await person()), { jobs: [], next_cursor: null })
})

t.test('jobs come newest first, as many as asked for', async (t) => {
  const { app } = await start(t)
  const { ada, ids } = await withJobs(app, 53)
  t.strictSame(idsOf(await page(ada)), ids.slice(0, 50), '50 unless asked')
  t.strictSame(idsOf(await page(ada, 'limit=1')), ids.slice(0, 1))
  t.strictSame(idsOf(await page(ada, 'limit=200')), ids)
  t.equal((await page(ada, 'limit=52')).next_cursor, ids[51])
  t.equal((await page(ada, 'limit=53')).next_cursor, null, 'exactly all of them')
  t.equal((await page(ada, 'limit=54')).next_cursor, null)
})

t.test('pages have no gap and no double while new jobs arrive', async (t) => {
  const { app } = await start(t)
  const { ada, ids } = await withJobs(app, 23)
  const pages = await walk(ada, 'limit=5', async () => {
    await Promise.all([add(ada), add(ada)])
  })
  t.strictSame(pages.flat(), ids)
  t.strictSame(
    pages.map((each) => each.length),
    [5, 5, 5, 5, 3],
  )
  t.strictSame((await walk(ada, 'limit=1')).flat().slice(-23), ids)
})

t.test('jobs are filtered by app, by status, and by both', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 1_000)
  const expected: Record<string, string[]> = {}
  for (let round = 0; round < 3; round++) {
    for (const slug of ['clips', 'audio']) {
      for (const status of ['started', 'completed', 'failed']) {
        const id = await add(ada, slug)
        if (status === 'completed') await ada.complete(id, 1)
        if (status === 'failed') await ada.fail(id)
        for (const query of ['', `app=${slug}`, `status=${status}`, `app=${slug}&status=${status}`]) {
          expected[query] = [id, ...(expected[query] ?? [])]
        }
      }
    }
  }
  t.equal(Object.keys(expected).length, 12)
  for (const [query, ids] of Object.entries(expected)) {
    t.strictSame(idsOf(await page(ada, query)), ids, query)
    t.strictSame((await walk(ada, `${query}&limit=2`)).flat(), ids, `${query} by pages`)
  }
  t.strictSame(await page(ada, 'app=other'), { jobs: [], next_cursor: null })
})

t.test('jobs are filtered by time, and by the token or grant that made them', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 1_000)
  const [token_id, grant_id] = [uuidv7(), uuidv7()]
  const noon = new Date(`${daysAgo(10).toISOString().slice(0, 10)}T12:00:00Z`)
  const at = (hours: number) => new Date(noon.getTime() + hours * 3_600_000)
  const jobs: PastJob[] = [
    { at: at(-13), reserved: 1, token_id },
    { at: at(-12), reserved: 1, app: 'audio', end: 'completed', cost: 2, token_id },
    { at: at(0), reserved: 1, end: 'completed', cost: 2, token_id: uuidv7(), grant_id },
    { at: at(11), reserved: 1, app: 'audio' },
    { at: at(12), reserved: 1, token_id },
  ]
  const ids = await pastJobs(db, ada.id, jobs)
  const day = (hours: number) => at(hours).toISOString().slice(0, 10)
  const cases: [query: string, expected: number[]][] = [
    [`from=${day(0)}&to=${day(12)}`, [3, 2, 1]],
    [`from=${day(0)}`, [4, 3, 2, 1]],
    [`to=${day(0)}`, [0]],
    [`from=${at(-12).toISOString()}&to=${at(11).toISOString()}`, [2, 1]],
    [`from=${day(0)}&to=${day(12)}&app=audio`, [3, 1]],
    [`from=${day(0)}&to=${day(12)}&status=completed`, [2, 1]],
    [`from=${day(0)}&to=${day(12)}&status=completed&app=audio`, [1]],
    [`from=${day(12)}&to=${day(0)}`, []],
    [`token=${token_id}`, [4, 1, 0]],
    [`token=${grant_id}`, [2]],
    [`token=${token_id}&to=${day(12)}`, [1, 0]],
    [`token=${token_id}&app=audio`, [1]],
    [`token=${token_id}&status=started`, [4, 0]],
    [`token=${token_id}&status=started&app=audio`, []],
    [`token=${uuidv7()}`, []],
  ]
  for (const [query, expected] of cases) {
    t.strictSame(
      (await walk(ada, `${query}&limit=2`)).flat(),
      expected.map((n) => ids[n]),
      query,
    )
  }
  // An instance's clock may differ from the database's by minutes.
  const skewed = {
    account_id: ada.id,
    app_slug: 'clips',
    action: 'a',
    reserved: 0,
    status: 'failed' as const,
    expires_at: noon,
  }
  const odd = [4, -4].map((minutes) => uuidv7({ msecs: at(36).getTime() + minutes * 60_000 }))
  await db
    .insertInto('jobs')
    .values(odd.map((id) => ({ ...skewed, id, created_at: at(36) })))
    .execute()
  t.strictSame(idsOf(await page(ada, `from=${at(36).toISOString()}`)), odd)
  t.strictSame(idsOf(await page(ada, `from=${day(12)}&to=${at(36).toISOString()}`)), [ids[4]])
  const { total } = (await ada.get(`/api/usage?from=${day(36)}&to=${day(60)}`)).json()
  t.equal(total.jobs, 2)
})

t.test('a search looks at a bounded number of jobs, and the next page goes on', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  const token_id = uuidv7()
  const ids = await pastJobs(db, ada.id, [{ at: new Date('2024-01-01'), reserved: 0, token_id }])
  await sql`insert into jobs (account_id, id, app_slug, action, status, reserved, expires_at, token_id)
    select ${ada.id}::uuid, ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'clips', 'render', 'completed', 0, now(),
      case when n > 1000 then ${token_id}::uuid end
    from generate_series(1, 1100) n`.execute(db)
  t.strictSame(
    (await walk(ada, `token=${token_id}&limit=60`)).map(({ length }) => length),
    [60, 40, 0, 1],
  )
  t.strictSame((await walk(ada, `token=${token_id}`)).flat().at(-1), ids[0])
  t.equal((await walk(ada, `token=${uuidv7()}`)).length, 3)
})

t.test("somebody else's jobs are never seen", async (t) => {
  const { app, person } = await start(t)
  const { ada, ids } = await withJobs(app, 3)
  const grace = await person()
  t.strictSame(await page(grace, `cursor=${ids[0]}`), { jobs: [], next_cursor: null })
  const own = (await grace.reserve(0)).json().job_id
  t.strictSame(idsOf(await page(grace, 'app=clips&status=started')), [own])
  t.strictSame(idsOf(await page(ada, `cursor=${own}`)), ids, 'a foreign cursor is a place in time, nothing more')
  t.equal((await grace.get(`/api/jobs/${ids[0]}`)).statusCode, 404)
})

t.test('a listed job is the same as the job itself', async (t) => {
  const { app } = await start(t)
  const { ada, ids } = await withJobs(app, 1)
  const { job } = (await ada.complete(ids[0] ?? '', 2, { a: 1 })).json()
  t.strictSame((await page(ada)).jobs, [job])
  t.strictSame((await ada.get(`/api/jobs/${ids[0]}`)).json(), { job })
  t.strictSame((await ada.get(`/api/jobs/${ids[0]?.toUpperCase()}`)).json(), { job })
})

t.test('a page ends at 1 MiB, and the next one goes on', async (t) => {
  const { app, db } = await start(t)
  const { ada, ids } = await withJobs(app, 90)
  const large = { t: 'x'.repeat(16_000) }
  await db
    .updateTable('jobs')
    .set({ metadata: JSON.stringify(large) })
    .where('id', 'in', ids)
    .execute()
  for (const query of ['limit=200', 'limit=200&app=clips', 'limit=200&status=started']) {
    const first = await ada.get(`/api/jobs?${query}`)
    t.ok(first.body.length <= 1_048_576, `${first.body.length} bytes`)
    t.ok(first.body.length > 900_000, 'it is filled')
    const pages = await walk(ada, query)
    t.strictSame(pages.flat(), ids, query)
    t.equal(pages.length, 2)
  }
  t.equal((await page(ada, 'limit=60')).jobs.length, 60, 'what fits is as long as it was asked for')

  // Stored before there were bounds: 16 KiB in JSON, 700 KB where the database prints it.
  const old = { n: Array(2_300).fill(1e308) }
  await db
    .updateTable('jobs')
    .set({ metadata: JSON.stringify(old) })
    .where('id', 'in', ids.slice(0, 3))
    .execute()
  const pages = await walk(ada, 'limit=10')
  t.strictSame(pages.flat(), ids)
  t.strictSame(
    pages.slice(0, 4).map(({ length }) => length),
    [1, 1, 10, 10],
    'the third of them is on a page with others',
  )
  const { jobs } = (await ada.get('/api/jobs?limit=10')).json()
  t.strictSame(jobs[0].metadata, old)
})

t.test('HEAD of a list is its GET without a body', async (t) => {
  const { app } = await start(t)
  const { ada } = await withJobs(app, 1)
  const { authorization } = ada
  const reply = await app.inject({ method: 'HEAD', url: '/api/jobs', headers: { authorization } })
  t.equal(reply.statusCode, 200)
  t.equal(reply.body, '')
})

t.test('queries that make no sense are refused by name', async (t) => {
  const { app } = await start(t)
  const { ada, ids } = await withJobs(app, 1)
  const bad: Record<string, string[]> = {
    limit: ['0', '-1', '201', '1.5', 'abc', '', '1e300', 'NaN', 'null', '1&limit=2', `${2 ** 53}`, '%00'],
    cursor: ['', 'abc', '1', `${ids[0]}x`, `urn:uuid:${ids[0]}`, `{${ids[0]}}`, `${ids[0]}&cursor=${ids[0]}`, '%00'],
    app: ['', 'A', 'a_b', '-a', 'a%00', 'x'.repeat(64), 'a&app=b', '%ED%A0%80'],
    status: ['', 'STARTED', 'done', 'expired', 'started&status=failed', '%00'],
    token: ['', 'abc', '%00'],
    from: ['', 'today', '2026-13-01', '2026-11-01 12:00', '1', '2016-12-31T23:59:60Z'],
    to: ['', '2026-02-30', '%00'],
    kind: ['job_reserve'],
  }
  for (const [field, values] of Object.entries(bad)) {
    for (const value of values) {
      const reply = await ada.get(`/api/jobs?${field}=${value}`)
      t.equal(reply.statusCode, 400, `${field}=${value}`)
      t.match(reply.json(), { error: 'invalid_request', field }, `${field}=${value}`)
    }
  }
  t.equal((await ada.get('/api/jobs?limit=5&_=something')).statusCode, 200, 'what is meant for caches is ignored')
  t.equal((await ada.get(`/api/jobs?cursor=${'f'.repeat(8)}-ffff-ffff-ffff-${'f'.repeat(12)}`)).statusCode, 200)
})

t.test('the list needs a token', async (t) => {
  const { app } = await start(t)
  for (const url of ['/api/jobs', '/api/jobs/0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f', '/api/wallet/entries']) {
    const reply = await app.inject({ url })
    t.equal(reply.statusCode, 401)
    t.match(reply.json(), { error: 'not_signed_in' })
  }
})

t.test('every filter is served by an index, without a sort, however rare what it looks for', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  // Of 20,000 jobs, every thousandth belongs to a rare app, every 400th has failed, every 500th is under way.
  await sql`insert into jobs (account_id, id, created_at, app_slug, action, status, reserved, expires_at)
    select ${ada.id}::uuid, ('0195a1f0-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '2025-03-17 00:00Z'::timestamptz,
      case when n % 1000 = 0 then 'rare' else 'clips' end, 'render',
      case when n % 500 = 1 then 'started' when n % 400 = 2 then 'failed' else 'completed' end, 0, now()
    from generate_series(1, 20000) n`.execute(db)
  await sql`analyze jobs`.execute(db)

  const executed = t.capture(db, 'executeQuery', db.executeQuery)
  /** The plan of a query, for its parameters or for any, as a prepared statement comes to have. */
  const explain = (text: string, parameters: readonly unknown[], mode: string) =>
    db.transaction().execute(async (trx) => {
      // A cluster's nodes plan for the values, but EXPLAIN ANALYZE there plans for any where they are parameters.
      if (isCluster())
        return textOf((await sql.raw<Plan>(`explain analyze ${inlined(text, parameters)}`).execute(trx)).rows)
      await sql`set local plan_cache_mode = ${sql.lit(mode)}`.execute(trx)
      await sql`prepare list as ${sql.raw(text)}`.execute(trx)
      const values = sql.join(parameters.map((value) => sql.lit(value)))
      const { rows } = await sql<Plan>`explain (analyze) execute list (${values})`.execute(trx)
      await sql`deallocate list`.execute(trx)
      return textOf(rows)
    })

  const cursor = 'cursor=0195a1f0-0000-7000-8000-000000002000'
  const period = 'from=2025-03-01&to=2026-01-01T00:00:00Z'
  for (const app_filter of ['', 'app=clips', 'app=rare', 'app=unknown']) {
    for (const status_filter of ['', 'status=started', 'status=failed', 'status=completed']) {
      for (const place of ['limit=50', `limit=50&${cursor}`, `limit=50&${period}`]) {
        const query = [app_filter, status_filter, place].filter(Boolean).join('&')
        executed()
        t.equal((await ada.get(`/api/jobs?${query}`)).statusCode, 200)
        const [list] = executed()
          .map(({ args: [query] }) => query as CompiledQuery)
          .filter(({ sql, parameters }) => sql.includes('from jobs') && parameters.includes(ada.id))
        if (!list) throw new Error('no query was seen')
        for (const mode of isCluster() ? ['force_custom_plan'] : ['force_custom_plan', 'force_generic_plan']) {
          const plan = await explain(list.sql, list.parameters, mode)
          const name = `${query}, ${mode}`
          t.match(plan, /Index (Only )?Scan (Backward )?using jobs_/, name)
          t.notMatch(plan, /\b(Sort|Seq Scan|Bitmap Heap Scan)\b(?! Key)/, name)
          const removed = Number(/Rows Removed by Filter: (\d+)/.exec(plan)?.[1] ?? 0)
          t.ok(removed < 500, `${name} reads ${removed} rows that it does not want`)
        }
      }
    }
  }
})

t.test('what is served is the stored row byte for byte, whether listed or read alone', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  const metadata = [
    null,
    {},
    '{"b": 1, "a": {"z": [1, 2.50, 1e21, 1e-7, -0.0], "y": null}, "2": "x", "10": "y", "1": true}',
    { text: 'é \u2028 "quoted" \\ </script> 𝄞', deep: [[{ a: [] }]], number: 123456789012345 },
  ].map((value) => (typeof value === 'string' || value === null ? value : JSON.stringify(value)))
  const moments = ['2026-11-21 12:00:00.123987+00', '2026-11-21 12:00:00+00', '2024-02-29 23:59:59.9996+00']
  await sql`insert into jobs (account_id, id, app_slug, action, status, reserved, metadata, failure_reason, expires_at, created_at, updated_at)
    select ${ada.id}::uuid, ('0195a1f0-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'video', 'render "x"', 'failed', 0,
      (${sql.val(metadata)}::jsonb[])[1 + n % 4], case when n % 2 = 0 then 'expired' end,
      m[1 + n % 3]::timestamptz, m[1 + (n + 1) % 3]::timestamptz, m[1 + (n + 2) % 3]::timestamptz
    from generate_series(1, 24) n, (select ${sql.val(moments)}::text[] as m) as moments`.execute(db)
  const rows = await db
    .selectFrom('jobs')
    .select(['id', 'app_slug', 'action', 'status', 'reserved', 'actual_cost'])
    .select([sql<number>`actual_cost`.as('requested_cost'), 'refunded', 'metadata', 'failure_reason'])
    .select(['expires_at', 'created_at', 'updated_at'])
    .where('account_id', '=', ada.id)
    .orderBy('id', 'desc')
    .execute()
  for (const query of [
    'limit=24',
    'limit=24&app=video',
    'limit=24&status=failed',
    'limit=24&status=failed&app=video',
  ]) {
    t.equal((await ada.get(`/api/jobs?${query}`)).body, JSON.stringify({ jobs: rows, next_cursor: null }), query)
  }
  for (const job of rows.slice(0, 12)) {
    t.equal((await ada.get(`/api/jobs/${job.id}`)).body, JSON.stringify({ job }))
  }
  t.equal((await ada.get(`/api/jobs/${rows[0]?.id.toUpperCase()}`)).json().job.id, rows[0]?.id, 'ids in any case')
})
