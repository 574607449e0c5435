import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { printedBytes } from '../../src/ledger/metadata.ts'
import { type Person, personWith, start } from '../support/start.ts'

const LIMIT = 16_384

const create = (somebody: Person, metadata: unknown) =>
  somebody.post('/api/jobs', { app: 'clips', action: 'render', cost_estimate: 1, metadata } as object)
const metadataOf = async (somebody: Person, id: string) => (await somebody.get(`/api/jobs/${id}`)).json().job.metadata

/** So many bytes as compact JSON, in a shape that jsonb writes with spaces after each comma and colon. */
function weighing(bytes: number, prefix = 'k'): Record<string, unknown> {
  const metadata: Record<string, unknown> = { [`${prefix}0`]: [1, [2, { x: {}, y: [] }], null, 'ä€😀\n\u007f'] }
  for (let i = 1; i <= 80; i++) metadata[`${prefix}${i}`] = { n: i, t: [true, false] }
  const missing = bytes - Buffer.byteLength(JSON.stringify({ ...metadata, [prefix]: '' }))
  return { ...metadata, [prefix]: 'x'.repeat(missing) }
}

const text = fc.string({ unit: 'binary', maxLength: 12 }).map((raw) => raw.replaceAll('\0', ''))
const name = fc.oneof(
  text,
  fc.constantFrom('', '__proto__', 'constructor', 'prototype', 'toString', 'toJSON', 'hasOwnProperty', 'length', '0'),
)
// Object.fromEntries makes "__proto__" a plain property, as JSON.parse does.
function object<T>(value: fc.Arbitrary<T>) {
  return fc.array(fc.tuple(name, value), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs))
}

/** Any JSON that fits in a metadata object, with the keys and numbers that trip programs up. */
const { json } = fc.letrec<{ json: unknown; leaf: unknown }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(null, true, false, 0, -0, 1e300, -1e300, 5e-324, Number.MAX_VALUE, 2 ** 53 + 2, 0.1, 1e21, 1e-7),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    text,
  ),
  json: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('json'), { maxLength: 4 }),
    object(tie('json')),
  ),
}))
t.test('metadata of any JSON comes back deep-equal, and so does what it is merged with', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10_000)
  const property = fc.asyncProperty(object(json), object(json), async (before, patch) => {
    const created = await create(ada, before)
    deepStrictEqual(created.statusCode, 200, created.body)
    const { job_id } = created.json()
    deepStrictEqual(await metadataOf(ada, job_id), asJson(before))
    const completed = await ada.complete(job_id, 1, patch)
    const merged = Object.fromEntries([...Object.entries(asJson(before)), ...Object.entries(asJson(patch))])
    deepStrictEqual(completed.json().job.metadata, merged)
    deepStrictEqual((await ada.complete(job_id, 1, patch)).statusCode, 200)
  })
  await fc.assert(property, { numRuns: 150 })
})

const asJson = (value: object): object => JSON.parse(JSON.stringify(value))

t.test('keys that mean something to JavaScript are only keys', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const raw = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"":{"":[]},"toJSON":1}'
  const reply = await ada.post(
    '/api/jobs',
    `{"app":"clips","action":"a","cost_estimate":1,"__proto__":{"cost_estimate":0},"metadata":${raw}}`,
  )
  t.equal(reply.statusCode, 200)
  const job = await ada.get(`/api/jobs/${reply.json().job_id}`)
  deepStrictEqual(job.json().job.metadata, JSON.parse(raw))
  t.equal(job.json().job.reserved, 1)
  t.equal(({} as { polluted?: boolean }).polluted, undefined)
})

t.test('metadata nests 400 levels deep, and no more than 500', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const send = (levels: number) => {
      const nested = `${open.repeat(levels)}1${close.repeat(levels)}`
      return ada.post('/api/jobs', `{"app":"a","action":"a","cost_estimate":1,"metadata":{"m":${nested}}}`)
    }
    const deep = await send(400)
    t.equal(deep.statusCode, 200)
    const { m } = await metadataOf(ada, deep.json().job_id)
    t.equal(JSON.stringify(m), `${open.repeat(400)}1${close.repeat(400)}`)
    t.equal((await ada.complete(deep.json().job_id, 1, { n: 1 })).statusCode, 200)
    for (const levels of [501, 10_000]) {
      const reply = await send(levels)
      t.equal(reply.statusCode, 400)
      t.match(reply.json(), { error: 'invalid_request', field: 'metadata' })
    }
  }
  t.equal((await ada.balance()).held, 0)
})

t.test('metadata may have 16 KiB as compact JSON, and not a byte more', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  t.equal(Buffer.byteLength(JSON.stringify(weighing(LIMIT))), LIMIT)
  const fits = await create(ada, weighing(LIMIT))
  t.equal(fits.statusCode, 200)
  t.strictSame(await metadataOf(ada, fits.json().job_id), weighing(LIMIT))

  const reply = await create(ada, weighing(LIMIT + 1))
  t.equal(reply.statusCode, 400)
  t.match(reply.json(), { error: 'invalid_request', field: 'metadata', message: /16384 bytes/ })
  const { job_id } = (await ada.reserve(1)).json()
  t.strictSame(await ada.balance(), { credits: 8, held: 2 })

  // The body may have spaces: they are not kept.
  const spacious = JSON.stringify({ app: 'clips', action: 'a', cost_estimate: 1, metadata: weighing(LIMIT) }, null, 2)
  t.ok(spacious.length > LIMIT + 800)
  t.equal((await ada.post('/api/jobs', spacious)).statusCode, 200)
  t.equal((await ada.complete(job_id, 1, weighing(LIMIT))).statusCode, 200)
})

t.test('a merge may fill the 16 KiB exactly', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  // {…} and {…} are merged to {…,…}: one byte less than both together.
  const before = weighing(8_000, 'old')
  const { job_id } = (await create(ada, before)).json()
  const patch = weighing(LIMIT + 1 - 8_000, 'new')
  t.equal(Buffer.byteLength(JSON.stringify({ ...before, ...patch })), LIMIT)
  const reply = (await ada.complete(job_id, 1, patch)).json()
  t.strictSame(reply.job.metadata, { ...before, ...patch })
  t.notOk('warning' in reply)
})

t.test('the printed length of a number is that of the database', async (t) => {
  const { db } = await start(t)
  const numbers = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.maxSafeInteger())
  const known = [
    1e300, -1e300, 5e-324, -5e-324, 1.5e-7, 1e-9, 1e21, 1.7976931348623157e308, 1e20, 1e-6, 0.1, -0, 123e30,
  ]
  const sample = [...known, ...fc.sample(numbers, 1_000)]
  const { rows } = await sql<{ length: number }>`
    select octet_length(value::text)::int as length from jsonb_array_elements(${JSON.stringify(sample)}::jsonb) as value`.execute(
    db,
  )
  for (const [n, { length }] of rows.entries()) t.equal(printedBytes(sample[n] ?? 0), length, String(sample[n]))
})

t.test('numbers count as they are printed: 1e300 has 301 digits', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  const of = (number: number, count: number) => ({ n: Array.from({ length: count }, () => number), fill: '' })
  for (const [number, digits] of [
    [1e300, 301],
    [-1e300, 302],
    [5e-324, 326],
    [1.5e-7, 10],
  ] as const) {
    const fits = of(number, 40)
    fits.fill = 'x'.repeat(LIMIT - JSON.stringify(fits).length - 40 * (digits - String(number).length))
    const created = await create(ada, fits)
    t.equal(created.statusCode, 200, `${number}`)
    const reply = await create(ada, { ...fits, fill: `${fits.fill}x` })
    t.match([reply.statusCode, reply.json()], [400, { field: 'metadata', message: /16384 bytes/ }], `${number}`)

    // What is merged counts the same.
    const { job_id } = created.json()
    const merged = (await ada.complete(job_id, 0, { fill: `${fits.fill}x` })).json()
    t.match(merged, { job: { status: 'completed', metadata: fits }, warning: /16 KiB/ })
    const { rows } = await sql<{ bytes: number }>`
      select octet_length(metadata::text) as bytes from jobs where id = ${job_id}`.execute(db)
    t.ok((rows[0]?.bytes ?? 0) <= LIMIT + 1_000, 'what the database prints is bounded, but for its spaces')
  }
  await settleAll(ada)
})

t.test('metadata has at most a thousand values, at any depth', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const flat = (count: number, prefix = 'k') =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix}${n}`, n]))
  const shapes: ((count: number) => object)[] = [
    flat,
    (count) => ({ list: Array(count - 1).fill(0) }),
    (count) => ({ a: { b: { c: [{}, [], null, '', ...Array(count - 8).fill(false)] } }, z: 1 }),
  ]
  for (const shape of shapes) {
    const most = await create(ada, shape(1_000))
    t.equal(most.statusCode, 200)
    t.strictSame(await metadataOf(ada, most.json().job_id), shape(1_000))
    const reply = await create(ada, shape(1_001))
    t.match([reply.statusCode, reply.json()], [400, { field: 'metadata', message: /1000 values/ }])
  }
  const before = flat(600, 'old')
  const { job_id } = (await create(ada, before)).json()
  const settled = (await ada.complete(job_id, 0, flat(401, 'new'))).json()
  t.match(settled, { job: { status: 'completed' }, warning: /1000 values/ })
  t.strictSame(settled.job.metadata, before)
  await settleAll(ada)
})

t.test('metadata that is too large by itself is no reason not to settle', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  for (const [patch, why] of [
    [weighing(LIMIT + 1), /16384 bytes/],
    [{ n: Array(60).fill(1e308) }, /16384 bytes.*digits/],
    [{ n: Array(1_001).fill(1) }, /1000 values/],
  ] as const) {
    const { job_id } = (await create(ada, { a: 1 })).json()
    for (const call of ['the call', 'its repeat']) {
      const reply = await ada.complete(job_id, 0, patch)
      t.equal(reply.statusCode, 200, call)
      t.match(reply.json(), { job: { status: 'completed' }, warning: why }, call)
      t.strictSame(reply.json().job.metadata, { a: 1 }, call)
    }
  }
})

/** Ends what a test has left, so that the next has the credits. */
async function settleAll(somebody: Person): Promise<void> {
  for (const { id } of (await somebody.get('/api/jobs?status=started&limit=200')).json().jobs) await somebody.fail(id)
}

t.test('what was stored before there were bounds stays as it is, can be read, and settles', async (t) => {
  const { app, db } = await start(t)
  const ada = await personWith(app, 10)
  const old = { n: Array(2_300).fill(1e308) }
  const store = async (metadata: object) => {
    const { job_id } = (await ada.reserve(1)).json()
    await db
      .updateTable('jobs')
      .set({ metadata: JSON.stringify(metadata) })
      .where('id', '=', job_id)
      .execute()
    return job_id as string
  }
  const id = await store(old)
  const stored = () => metadataOf(ada, id)
  t.strictSame(await stored(), old)
  t.strictSame((await ada.post(`/api/jobs/${id}/heartbeat`, {})).json().job.metadata, old)
  const settled = (await ada.complete(id, 1, { a: 1 })).json()
  t.match(settled, { job: { status: 'completed' }, warning: /16 KiB/ })
  t.strictSame(settled.job.metadata, old)
  t.strictSame(await stored(), old)
  t.notOk('warning' in (await ada.complete(id, 1)).json())
  t.match((await ada.complete(id, 1, { b: 1 })).json(), { warning: String }, 'as often as it is asked')

  const ended = await store(old)
  t.equal((await ada.fail(ended)).statusCode, 200)
  t.strictSame(await metadataOf(ada, ended), old)

  // Too many values, but not too long to be read along: what it has already can be sent again.
  const many = { n: Array(4_000).fill(1) }
  const third = await store(many)
  t.notOk(
    'warning' in (await ada.complete(third, 1, { n: many.n.slice(0, 900) })).json(),
    'a patch may make it smaller',
  )
  t.strictSame(await metadataOf(ada, third), { n: many.n.slice(0, 900) })
  const fourth = await store(many)
  t.match((await ada.complete(fourth, 1, { a: 1 })).json(), { warning: /1000 values/ })
  t.strictSame(await metadataOf(ada, fourth), many)
})

t.test(
  'a merge that would pass 16 KiB settles, keeps the old metadata and says so, as often as it is asked',
  async (t) => {
    const { app } = await start(t)
    const ada = await personWith(app, 10)
    const before = weighing(8_000, 'old')
    const { job_id } = (await create(ada, before)).json()
    const patch = weighing(LIMIT + 2 - 8_000, 'new')
    for (const call of ['the call', 'its repeat']) {
      const reply = await ada.complete(job_id, 0, patch)
      t.equal(reply.statusCode, 200, call)
      t.match(
        reply.json(),
        { job: { status: 'completed' }, moved: { amount: 1 }, credits: 10, warning: /16 KiB/ },
        call,
      )
      t.strictSame(reply.json().job.metadata, before, call)
    }
    t.notOk('warning' in (await ada.complete(job_id, 0)).json())
    t.equal((await ada.complete(job_id, 1, patch)).statusCode, 409)
  },
)

const MANGLED = ['9007199254740993', '-9007199254740993', '12345678901234567890', '1152921504606846977']
const EXACT = [
  '9007199254740991',
  '9007199254740992',
  '-9007199254740992',
  '10000000000000000000000',
  '-38772632701357130',
  '1152921504606846976',
]
const NO_INTEGERS = [
  '"12345678901234567890"',
  '"a \\" 9007199254740993"',
  '0.12345678901234567',
  '1.0e20',
  '12345678901234567e3',
]

t.test('an integer whose digits would change is refused on create', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const send = (metadata: string, more = '') =>
    ada.post('/api/jobs', `{"app":"clips","action":"a","cost_estimate":0,"metadata":${metadata}${more}}`)
  const shapes = (number: string) => [`{"id":${number}}`, `{"a":{"b":[1, ${number}]}}`, `{"__proto__": ${number}}`]
  for (const shape of MANGLED.flatMap(shapes)) {
    const reply = await send(shape)
    t.match([reply.statusCode, reply.json()], [400, { error: 'invalid_request', field: 'metadata' }], shape)
  }
  for (const shape of [...EXACT, ...NO_INTEGERS].flatMap(shapes)) t.equal((await send(shape)).statusCode, 200, shape)
  t.equal((await send('{}', ',"trace":12345678901234567890')).statusCode, 200, 'outside of metadata it is nobody’s')
  t.equal((await send('{"id":9007199254740993}', ',"metadata":{"id":1}')).statusCode, 200, 'the last of two counts')
})

t.test('settling with such an integer settles, keeps the metadata and says so', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  for (const [path, cost] of [
    ['complete', ',"actual_cost":1'],
    ['fail', ''],
  ]) {
    const { job_id } = (await create(ada, { a: 1 })).json()
    for (const call of ['the call', 'its repeat']) {
      const reply = await ada.post(
        `/api/jobs/${path}`,
        `{"job_id":"${job_id}"${cost},"metadata":{"b":2,"id":12345678901234567890}}`,
      )
      t.equal(reply.statusCode, 200, call)
      t.match(reply.json(), { job: { metadata: { a: 1 } }, warning: /digits/ }, call)
      t.notOk('b' in reply.json().job.metadata)
    }
  }
})

t.test('metadata that is not an object is refused', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const { job_id } = (await ada.reserve(1)).json()
  for (const metadata of [[], [1], ['a'], '', 'text', '{"a":1}', 0, 1, true, false, null]) {
    for (const reply of [
      await create(ada, metadata),
      await ada.post('/api/jobs/complete', { job_id, actual_cost: 1, metadata }),
    ]) {
      t.equal(reply.statusCode, 400, JSON.stringify(metadata))
      t.match(reply.json(), { error: 'invalid_request', field: 'metadata' })
    }
  }
  t.strictSame(await ada.balance(), { credits: 9, held: 1 })
})

t.test('what Postgres cannot store is refused by name', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 10)
  const { job_id } = (await ada.reserve(1)).json()
  const unstorable = [
    ...['\0', 'a\0b', '\ud800', '\udc00', 'a\udbff', '\udfff\ud800'].flatMap((bad) => [
      { key: bad },
      { [bad]: 1 },
      { deep: [[{ x: [bad] }]] },
      { deep: [{ x: { [bad]: null } }] },
    ]),
  ].map((metadata) => JSON.stringify(metadata))
  unstorable.push('{"n":1e400}', '{"n":[[-1e400]]}', `{"n":${'9'.repeat(400)}}`)
  for (const metadata of unstorable) {
    for (const reply of [
      await ada.post('/api/jobs', `{"app":"clips","action":"a","cost_estimate":1,"metadata":${metadata}}`),
      await ada.post('/api/jobs/complete', `{"job_id":"${job_id}","actual_cost":1,"metadata":${metadata}}`),
    ]) {
      t.equal(reply.statusCode, 400, metadata.slice(0, 80))
      t.match(reply.json(), { error: 'invalid_request', field: 'metadata' })
    }
  }
  t.strictSame(await ada.balance(), { credits: 9, held: 1 })
})
