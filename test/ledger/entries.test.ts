import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CompiledQuery, type Kysely, sql } from 'kysely'
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import type { Tables } from '../../src/db/tables.ts'
import { DatabaseUnavailable } from '../../src/db/unavailable.ts'
import { daysAgo, past, pastJobs } from '../support/history.ts'
import { type Plan, textOf } from '../support/plan.ts'
import { earlier, type Person, personWith, start, startOwn, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

interface Entry {
  seq: number
  kind: string
  amount: number
  balance_after: number
  job_id: string | null
  reference: string | null
  reason: string | null
  corrects_job_id: string | null
  created_at: string
}
interface Page {
  entries: Entry[]
  next_cursor: string | null
}

const page = async (somebody: Person, query = ''): Promise<Page> =>
  (await somebody.get(`/api/wallet/entries?${query}`)).json()
const csvPage = (somebody: Person, query = '') => somebody.get(`/api/wallet/entries?${query}`, { accept: 'text/csv' })

/** An entry by an administrator, with these texts */
async function give(admin: Person, ada: Person, texts: { reference?: string; reason?: string }): Promise<void> {
  const wish = { clerk_id: ada.clerkId, amount: 1, kind: 'adjustment', reference: unique('ref'), reason: 'because' }
  const reply = await admin.post('/api/admin/credits', { ...wish, ...texts })
  if (reply.statusCode !== 200) throw new Error(reply.body)
}

/** RFC 4180, the strict way: the fields of each line */
function parseCsv(csv: string): string[][] {
  const lines: string[][] = [[]]
  const field = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|$)/gy
  for (let match = field.exec(csv); match?.index !== undefined && match.index < csv.length; match = field.exec(csv)) {
    const [, raw = '', end = ''] = match
    lines.at(-1)?.push(raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw)
    if (end !== ',' && field.lastIndex < csv.length) lines.push([])
  }
  return lines
}

t.test('entries come newest first and say what moved and why', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const { job_id } = (await ada.reserve(4)).json()
  await ada.complete(job_id, 1)
  const { entries, next_cursor } = await page(ada)
  t.equal(next_cursor, null)
  t.match(entries, [
    { seq: 3, kind: 'job_refund', amount: 3, balance_after: 9, job_id, reference: null, reason: null },
    { seq: 2, kind: 'job_reserve', amount: -4, balance_after: 6, job_id, reference: null, reason: null },
    { seq: 1, kind: 'admin_grant', amount: 10, balance_after: 10, job_id: null, reason: 'for a test' },
  ])
  t.match(entries[2]?.reference, /^given-/)
  t.notOk(
    entries.some((entry) => 'actor' in entry),
    'not by whom: that is the operator’s business',
  )
  for (const { created_at } of entries) t.equal(new Date(created_at).toISOString(), created_at)
})

t.test('pages of entries have no gap and no double while new ones arrive', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 100)
  for (let i = 0; i < 11; i++) await ada.reserve(1)
  const seqs: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { entries, next_cursor }: Page = await page(ada, `limit=5${cursor && `&cursor=${cursor}`}`)
    seqs.push(...entries.map(({ seq }) => seq))
    cursor = next_cursor
    await ada.reserve(1)
  }
  t.strictSame(seqs, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  t.equal((await page(ada, 'limit=200')).next_cursor, null)
  t.strictSame(await page(ada, 'cursor=1'), { entries: [], next_cursor: null })
})

t.test("nobody sees somebody else's entries", async (t) => {
  const { app, person } = await start(t)
  await personWith(app, 100)
  t.strictSame(await page(await person()), { entries: [], next_cursor: null })
})

t.test('the same as CSV, where that is asked for', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  await ada.reserve(4)
  const reply = await csvPage(ada)
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['content-type'], 'text/csv; charset=utf-8')
  t.notOk('link' in reply.headers)
  const { entries } = await page(ada)
  const columns = [
    ...(['seq', 'created_at', 'kind', 'amount', 'balance_after', 'job_id', 'reference', 'reason'] as const),
    'corrects_job_id' as const,
  ]
  t.ok(reply.body.startsWith('\ufeff'), 'spreadsheets take it for UTF-8')
  const [head, ...rows] = parseCsv(reply.body.slice(1))
  t.strictSame(head, [...columns, 'app', 'action'])
  t.strictSame(
    rows.map((row) => row.slice(0, -2)),
    entries.map((entry) => columns.map((column) => String(entry[column] ?? ''))),
  )
  t.strictSame(
    rows.map((row) => row.slice(-2)),
    [
      ['clips', 'render'],
      ['', ''],
    ],
  )
  t.match(reply.body, /,-4,6,/, 'a number below zero is no formula')
})

t.test('the Accept header decides, JSON in doubt, and caches are told', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 1)
  const wanted: [accept: string | undefined, type: string][] = [
    [undefined, 'application/json; charset=utf-8'],
    ['*/*', 'application/json; charset=utf-8'],
    ['application/json', 'application/json; charset=utf-8'],
    ['application/json, text/csv', 'application/json; charset=utf-8'],
    ['text/csv;q=0.5, application/json;q=0.9', 'application/json; charset=utf-8'],
    ['text/csv;q=0', 'application/json; charset=utf-8'],
    ['image/png', 'application/json; charset=utf-8'],
    ['nonsense', 'application/json; charset=utf-8'],
    ['text/csv', 'text/csv; charset=utf-8'],
    ['TEXT/CSV', 'text/csv; charset=utf-8'],
    ['text/*', 'text/csv; charset=utf-8'],
    ['text/csv, */*;q=0.1', 'text/csv; charset=utf-8'],
  ]
  for (const [accept, type] of wanted) {
    const reply = await ada.get('/api/wallet/entries', accept === undefined ? {} : { accept })
    t.equal(reply.statusCode, 200, String(accept))
    t.equal(reply.headers['content-type'], type, String(accept))
    t.match(String(reply.headers.vary), /accept/i, String(accept))
  }
})

t.test('a page of CSV links the next one', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 100)
  for (let i = 0; i < 6; i++) await ada.reserve(1)
  const seqs: string[] = []
  for (let path: string | undefined = '/api/wallet/entries?limit=3'; path; ) {
    const reply = await ada.get(path, { accept: 'text/csv' })
    seqs.push(
      ...parseCsv(reply.body)
        .slice(1)
        .map(([seq]) => seq ?? ''),
    )
    path = /^<http:\/\/localhost:3000([^>]+)>; rel="next"$/.exec(String(reply.headers.link ?? ''))?.[1]
  }
  t.strictSame(seqs, ['7', '6', '5', '4', '3', '2', '1'])
})

t.test('a page without entries is a header line', async (t) => {
  const { person } = await start(t)
  const reply = await csvPage(await person())
  const head = 'seq,created_at,kind,amount,balance_after,job_id,reference,reason,corrects_job_id,app,action'
  t.equal(reply.body, `\ufeff${head}\n`)
})

t.test('texts are quoted, and those that a spreadsheet would run are defused', async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 1)
  const operator = await admin()
  const texts: [reason: string, cell: string][] = [
    ['=HYPERLINK("http://evil.example.com","x")', '\'=HYPERLINK("http://evil.example.com","x")'],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', "'\r=1"],
    ['\n=1', "'\n=1"],
    ['＝1+1', "'＝1+1"],
    ['＋1', "'＋1"],
    ['－1', "'－1"],
    ['＠SUM(A1)', "'＠SUM(A1)"],
    ['a "quoted", text\nof two lines', 'a "quoted", text\nof two lines'],
    ["it's 1+1=2", "it's 1+1=2"],
    ['ä, 😀', 'ä, 😀'],
  ]
  for (const [reason] of texts) await give(operator, ada, { reason })
  await give(operator, ada, { reference: '=cmd|calc' })
  const [, newest, ...rows] = parseCsv((await csvPage(ada)).body)
  t.equal(newest?.[6], "'=cmd|calc")
  t.strictSame(
    rows.slice(0, -1).map((row) => row[7]),
    texts.map(([, cell]) => cell).reverse(),
  )
  t.strictSame(
    (await page(ada)).entries.slice(1, -1).map(({ reason }) => reason),
    texts.map(([reason]) => reason).reverse(),
    'JSON has them as they are',
  )
})

t.test('queries that make no sense are refused by name', async (t) => {
  const { person } = await start(t)
  const ada = await person()
  const bad = {
    limit: ['0', '-1', '201', '1.5', 'abc', '', '1e300', '1&limit=2'],
    cursor: ['', '0', '-1', '01', 'abc', '1.5', '1e3', '99999999999999999', '1&cursor=2', '%00', '1%20'],
  }
  for (const [field, values] of Object.entries(bad)) {
    for (const value of values) {
      for (const accept of ['application/json', 'text/csv']) {
        const reply = await ada.get(`/api/wallet/entries?${field}=${value}`, { accept })
        t.equal(reply.statusCode, 400, `${field}=${value}`)
        t.match(reply.json(), { error: 'invalid_request', field }, `${field}=${value}`)
      }
    }
  }
  t.equal((await ada.get('/api/wallet/entries?cursor=9999999999999999&limit=200')).statusCode, 200)
})

t.test('a page of many entries is read from the index, without a sort', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  await sql`insert into ledger_entries (account_id, seq, kind, amount, balance_after)
    select ${ada.id}::uuid, n, 'adjustment', 1, n from generate_series(1, 5000) n`.execute(db)
  await sql`update accounts set credits = 5000, seq = 5000 where id = ${ada.id}`.execute(db)
  await sql`analyze ledger_entries`.execute(db)
  const { rows } = await sql<Plan>`explain select seq from ledger_entries
    where account_id = ${ada.id} and seq < 4000 order by seq desc limit 51`.execute(db)
  const plan = textOf(rows)
  t.match(plan, /Index (Only )?Scan (Backward )?using ledger_entries_pkey/)
  t.notMatch(plan, /\b(Sort|Seq Scan|Bitmap Heap Scan)\b(?! Key)/)
  t.equal((await page(ada, 'limit=200&cursor=4000')).entries[0]?.seq, 3999)
})

t.test('until= lists what was there at a time, the balance at that time first', async (t) => {
  const { app, db, admin } = await start(t)
  const [operator, ada] = [await admin(), await personWith(app, 10)]
  for (let i = 0; i < 4; i++) await give(operator, ada, {})
  const { entries } = await page(ada)
  const [, , third] = entries
  if (!third) throw new Error('no entry')

  const then = await page(ada, `until=${third.created_at}`)
  t.strictSame(then.entries, entries.slice(2), 'an entry belongs to the moment that it says')
  t.equal(then.entries[0]?.balance_after, 12)
  const before = new Date(Date.parse(third.created_at) - 1).toISOString()
  t.equal((await page(ada, `until=${before}`)).entries[0]?.balance_after, 11)
  t.strictSame(await page(ada, 'until=2020-01-01T00:00:00Z'), { entries: [], next_cursor: null })
  t.equal((await page(ada, 'until=2999-01-01T00:00:00%2B01:00')).entries.length, 5)

  const first = await page(ada, `limit=2&until=${third.created_at}`)
  t.strictSame(first.entries, entries.slice(2, 4))
  const next = await page(ada, `limit=2&until=${third.created_at}&cursor=${first.next_cursor}`)
  t.strictSame(next, { entries: entries.slice(4), next_cursor: null })
  const csv = await csvPage(ada, `limit=2&until=${third.created_at}`)
  const link = /<([^>]+)>/.exec(String(csv.headers.link))?.[1] ?? ''
  t.equal(new URL(link).searchParams.get('until'), third.created_at, 'the next page is of the same time')

  // A statement that began earlier and waited for the account has a later number and an earlier time.
  await sql`alter table ledger_entries disable trigger user`.execute(db)
  await sql`update ledger_entries set created_at = ${earlier('created_at', '-1 hour')}
    where account_id = ${ada.id} and seq = 2`.execute(db)
  await sql`alter table ledger_entries enable trigger user`.execute(db)
  t.strictSame(
    (await page(ada, `until=${third.created_at}`)).entries.map(({ seq }) => seq),
    [3, 2, 1],
    'no gap: what came before counts',
  )
})

t.test('until= finds the last entry also where entries waited for each other', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  // One every half second, each begun up to 4.4 s before.
  const began = Date.parse('2026-01-01T00:00:00Z')
  const times = Array.from({ length: 300 }, (_, i) => began + i * 500 - ((i * 7919) % 45) * 100)
  await sql`insert into ledger_entries (account_id, seq, kind, amount, balance_after, created_at)
    select ${ada.id}::uuid, n, 'adjustment', 1, n, moment
    from unnest(${times.map((time) => new Date(time))}::timestamptz[]) with ordinality as made (moment, n)`.execute(db)
  await sql`update accounts set credits = 300, seq = 300 where id = ${ada.id}`.execute(db)
  for (let moment = began - 6_000; moment < began + 160_000; moment += 1_700) {
    const last = times.findLastIndex((time) => time <= moment) + 1
    const { entries } = await page(ada, `limit=1&until=${new Date(moment).toISOString()}`)
    t.equal(entries[0]?.seq ?? 0, last, new Date(moment).toISOString())
  }
})

t.test('until= is a moment', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  for (const odd of ['yesterday', '2026-11-21', '2026-02-30T00:00:00Z', '2016-12-31T23:59:60Z', '1e9', '']) {
    const refused = await ada.get(`/api/wallet/entries?until=${odd}`)
    t.match([refused.statusCode, refused.json().field], [400, 'until'], odd)
  }
})

t.test('what is served is the stored row byte for byte', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 100)
  for (let n = 0; n < 6; n++) {
    await ada.complete((await ada.reserve(3)).json().job_id, n)
  }
  const entries = await db
    .selectFrom('ledger_entries')
    .select(['seq', 'kind', 'amount', 'balance_after', 'job_id', 'reference', 'reason'])
    .select([sql`null`.as('corrects_job_id'), 'created_at'])
    .where('account_id', '=', ada.id)
    .orderBy('seq', 'desc')
    .execute()
  t.equal((await ada.get('/api/wallet/entries')).body, JSON.stringify({ entries, next_cursor: null }))
})

/** The numbers of all entries that a query selects, by pages of two. */
async function selected(somebody: Person, query: string): Promise<number[]> {
  const seqs: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { entries, next_cursor }: Page = await page(somebody, `limit=2&${query}${cursor && `&cursor=${cursor}`}`)
    seqs.push(...entries.map(({ seq }) => seq))
    cursor = next_cursor
  }
  return seqs
}

t.test('entries are filtered by kind, by app, by token and by time, in JSON and as CSV', async (t) => {
  const { app, db, admin, person } = await start(t)
  const operator = await admin()
  const slug = unique('app')
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 50 })
  const ada = await personWith(app, 100)
  await ada.get(`/api/wallet?app=${slug}`)
  const [token_id, grant_id] = [uuidv7(), uuidv7()]
  const [mine] = await pastJobs(db, ada.id, [
    { at: daysAgo(5), reserved: 5, end: 'completed', cost: 4, token_id },
    { at: daysAgo(4), app: slug, reserved: 5, end: 'released', token_id: uuidv7(), grant_id },
    { at: daysAgo(3), reserved: 5, end: 'completed', cost: 9 },
    { at: daysAgo(2), reserved: 5, end: 'completed', cost: 3, token_id },
    { at: daysAgo(1), reserved: 5, end: 'late', cost: 3 },
  ])
  const back = { account_id: ada.id, amount: 2, reason: 'it was black' }
  t.equal((await operator.post(`/api/admin/jobs/${mine}/refund`, back)).statusCode, 200)
  const { entries } = await page(ada, 'limit=200')
  t.equal(entries.length, 14)
  const seqs = (matches: (entry: Entry) => boolean) => entries.filter(matches).map(({ seq }) => seq)
  const cases: [query: string, expected: number[]][] = [
    ['kind=adjustment', seqs(({ kind }) => kind === 'adjustment')],
    ['kind=job_reserve', seqs(({ kind }) => kind === 'job_reserve')],
    ['kind=job_refund', seqs(({ kind }) => kind === 'job_refund')],
    ['kind=job_late_charge', [13]],
    ['kind=topup', []],
    [`app=${slug}`, [6, 5, 2]],
    [`app=${slug}&kind=starter_grant`, [2]],
    [`token=${token_id}`, [14, 10, 9, 4, 3]],
    [`token=${token_id}&kind=adjustment`, [14]],
    [`token=${grant_id}`, [6, 5]],
    [`token=${uuidv7()}`, []],
    [`token=${token_id}&app=${slug}`, []],
  ]
  for (const [query, expected] of cases) {
    t.strictSame(await selected(ada, query), expected, query)
    const csv = parseCsv((await csvPage(ada, query)).body)
    t.strictSame(
      csv.slice(1).map(([seq]) => Number(seq)),
      expected,
      `${query} as CSV`,
    )
  }
  const bob = await person()
  await past(db, bob.id, [{ at: daysAgo(7), amount: 100 }])
  await pastJobs(
    db,
    bob.id,
    [6, 5, 4, 3].map((days) => ({ at: daysAgo(days), reserved: 1 })),
  )
  const bobs = (await page(bob)).entries
  const time = (seq: number) => bobs.find((entry) => entry.seq === seq)?.created_at
  for (const [query, expected] of [
    [`from=${time(3)}&to=${time(5)}`, [4, 3]],
    [`from=${time(3)}`, [5, 4, 3]],
    [`until=${time(4)}&to=${time(4)}`, [3, 2, 1]],
    [`from=${time(4)?.slice(0, 10)}&kind=job_reserve`, [5, 4]],
    [`from=${time(5)}&to=${time(3)}`, []],
  ] as const) {
    t.strictSame(await selected(bob, query), expected, query)
  }
  for (const [field, value] of [
    ['from', 'yesterday'],
    ['to', '2026-02-30'],
    ['kind', 'gift'],
    ['token', 'x'],
    ['status', 'failed'],
  ]) {
    const reply = await ada.get(`/api/wallet/entries?${field}=${value}`)
    t.match([reply.statusCode, reply.json().field], [400, field], `${field}=${value}`)
  }
})

/** So many entries of 600 bytes. */
async function giveEntries(db: Kysely<Tables>, { id }: Person, count: number): Promise<void> {
  await sql`insert into ledger_entries (account_id, seq, kind, amount, balance_after, reason)
    select ${id}::uuid, n, 'adjustment', 1, n, repeat('x', 500) from generate_series(1, ${count}::int) n`.execute(db)
  await sql`update accounts set credits = ${count}::int, seq = ${count}::int where id = ${id}`.execute(db)
}

t.test('a search looks at a bounded number of entries, and the next page goes on', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  const token_id = uuidv7()
  await past(db, ada.id, [{ at: daysAgo(9), amount: 10 }])
  await pastJobs(db, ada.id, [{ at: daysAgo(9), reserved: 1, token_id }])
  await sql`insert into ledger_entries (account_id, seq, kind, amount, balance_after)
    select ${ada.id}::uuid, n, 'adjustment', 1, n + 7 from generate_series(3, 1150) n`.execute(db)
  await sql`update accounts set credits = 1157, seq = 1150 where id = ${ada.id}`.execute(db)
  const pages: number[][] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { entries, next_cursor }: Page = await page(ada, `token=${token_id}${cursor && `&cursor=${cursor}`}`)
    pages.push(entries.map(({ seq }) => seq))
    cursor = next_cursor
  }
  t.strictSame(pages, [[], [], [2]])
  t.strictSame(await selected(ada, 'kind=job_reserve'), [2])
  const csv = parseCsv((await csvPage(ada, `token=${token_id}`)).body)
  t.strictSame(
    csv.slice(1).map(([seq]) => seq),
    ['2'],
    'an export goes on by itself',
  )
})

t.test('all entries are exported as CSV, however many, and HEAD reads none of them', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  await giveEntries(db, ada, 2_500)
  const reply = await csvPage(ada)
  t.notOk('link' in reply.headers)
  const rows = parseCsv(reply.body.slice(1))
  t.strictSame(
    rows.slice(1).map(([seq]) => Number(seq)),
    Array.from({ length: 2_500 }, (_, n) => 2_500 - n),
  )
  t.strictSame([...new Set(rows.map(({ length }) => length))], [11])
  const { authorization } = ada
  const head = await app.inject({
    method: 'HEAD',
    url: '/api/wallet/entries',
    headers: { authorization, accept: 'text/csv' },
  })
  t.match([head.statusCode, head.headers['content-type'], head.body], [200, 'text/csv; charset=utf-8', ''])
})

t.test('an export is read as its client takes it, and counts as a large answer until then', async (t) => {
  const { app, db, person } = await startOwn(t)
  const ada = await person()
  await giveEntries(db, ada, 30_000)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const executed = t.capture(db, 'executeQuery', db.executeQuery)
  const reads = () =>
    executed().filter(({ args: [query] }) => (query as CompiledQuery).sql.includes('as searched')).length
  const headers = `host: localhost\r\nauthorization: ${ada.authorization}\r\naccept: text/csv\r\n`
  const open = () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write(`GET /api/wallet/entries HTTP/1.1\r\n${headers}\r\n`)
    return socket
  }
  const sockets = Array.from({ length: 16 }, open)
  const ask = async () => (await fetch(`${url}/api/jobs`, { headers: { authorization: ada.authorization } })).status
  await until(async () => (await ask()) === 429)
  // What is read fills the buffers of the sockets, and then no more is read.
  let [before, total] = [-1, 0]
  for (; before !== total; await sleep(300)) {
    before = total
    total += reads()
  }
  t.ok(total > 16 && total < 16 * 25, `${total} of ${16 * 31} portions`)
  for (const socket of sockets) socket.destroy()
  await until(async () => (await ask()) === 200)
  await sleep(100)
  reads()
  await sleep(300)
  t.equal(reads(), 0, 'nothing more is read for clients who have gone')
})

t.test('where the database dies during an export, the connection breaks off and is not ended', async (t) => {
  const { app, db, person } = await startOwn(t)
  const ada = await person()
  await giveEntries(db, ada, 5_000)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const headers = { authorization: ada.authorization, accept: 'text/csv' }
  let reads = 0
  t.intercept(db, 'executeQuery', {
    value: (query: CompiledQuery) => {
      if (query.sql.includes('as searched') && ++reads > alive) throw new DatabaseUnavailable(new Error('gone'))
      return Object.getPrototypeOf(db).executeQuery.call(db, query)
    },
  })
  let alive = 2
  const cut = await fetch(`${url}/api/wallet/entries`, { headers })
  t.equal(cut.status, 200)
  await t.rejects(cut.text(), { message: 'terminated' })
  t.equal(reads, 3)
  reads = 0
  alive = 0
  const refused = await fetch(`${url}/api/wallet/entries`, { headers })
  t.match([refused.status, await refused.json()], [503, { error: 'database_unavailable' }], 'before the first line')
  alive = 100
  t.equal((await (await fetch(`${url}/api/wallet/entries`, { headers })).text()).split('\n').length, 5_002)
})
