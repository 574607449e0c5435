import t from 'tap'
import { gather, gatheredReads } from '../../src/db/gather.ts'
import type { Db } from '../../src/db/tables.ts'
import { DatabaseUnavailable } from '../../src/db/unavailable.ts'
import { personWith, start, startOwn } from '../support/start.ts'
import { until } from '../support/until.ts'

/** A read whose queries wait until the test answers them. */
function scripted() {
  const queries: { keys: string[]; answer: (rows?: Map<string, string>) => void; fail: (error: Error) => void }[] = []
  const db = {} as Db
  const read = gather<string>((_db, keys) => {
    const { promise, resolve, reject } = Promise.withResolvers<Map<string, string>>()
    const rows = new Map(keys.map((key) => [key, `row ${key}`]))
    queries.push({ keys, answer: (other = rows) => resolve(other), fail: reject })
    return promise
  })
  return { queries, read: (key: string) => read(db, key), use: gatheredReads(db) }
}

t.test('a single read is sent immediately; reads that arrive meanwhile share the next query', async (t) => {
  const { queries, read, use } = scripted()
  const first = read('a')
  t.strictSame(
    queries.map(({ keys }) => keys),
    [['a']],
  )
  const later = [read('b'), read('c'), read('a'), read('b')]
  t.equal(queries.length, 1)
  t.equal(use.waiting(), 3)
  queries[0]?.answer()
  t.equal(await first, 'row a')
  await until(() => queries.length === 2)
  t.strictSame(queries[1]?.keys, ['b', 'c', 'a'], 'each key once')
  queries[1]?.answer(new Map([['b', 'row b']]))
  t.strictSame(await Promise.all(later), ['row b', undefined, undefined, 'row b'], 'without a row: undefined')
  t.equal(use.waiting(), 0)
  t.equal(use.served(), 4)
})

t.test('a query has at most 200 keys, and a slow one delays the others by at most 50 ms', async (t) => {
  const { queries, read } = scripted()
  const first = read('slow')
  const others = Promise.all(Array.from({ length: 450 }, (_, i) => read(`key ${i}`)))
  await until(() => queries.length === 2)
  t.equal(queries[1]?.keys.length, 200)
  queries[1]?.answer()
  await until(() => queries.length === 3)
  queries[2]?.answer()
  await until(() => queries.length === 4)
  t.equal(queries[3]?.keys.length, 50)
  queries[3]?.answer()
  t.equal((await others).length, 450)
  queries[0]?.answer()
  t.equal(await first, 'row slow')
})

t.test('a failed query fails only its own reads', async (t) => {
  const { queries, read } = scripted()
  const first = read('a')
  const second = read('b')
  queries[0]?.fail(new DatabaseUnavailable(new Error('gone')))
  await t.rejects(first, { message: 'database unavailable: gone' })
  await until(() => queries.length === 2)
  queries[1]?.answer()
  t.equal(await second, 'row b')
})

t.test('reads beyond 5,000 that wait are refused, and a read that has waited for 5 s fails', async (t) => {
  const { queries, read } = scripted()
  const now = performance.now.bind(performance)
  const running = read('first')
  const waiting = Array.from({ length: 5_000 }, (_, i) => read(`key ${i}`))
  await t.rejects(read('one more'), { message: 'database unavailable: too many reads wait' })
  t.intercept(performance, 'now', { value: () => now() + 6_000 })
  queries[0]?.answer()
  await running
  const settled = await Promise.allSettled(waiting)
  t.ok(settled.every(({ status }) => status === 'rejected'))
  t.equal(queries.length, 1)
})

t.test('a read sees every posting that was answered before, on whichever instance', async (t) => {
  const [one, other] = [await start(t), await startOwn(t)]
  const ada = await personWith(one.app, 1_000)
  // Other reads keep both instances busy, so that these wait for a running query.
  let done = false
  const crowd = Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const app = i % 2 ? one.app : other.app
      while (!done) await app.inject({ url: '/api/wallet', headers: { authorization: ada.authorization } })
    }),
  )
  const seen: number[] = []
  for (let round = 0; round < 200; round++) {
    const [writing, reading] = round % 2 ? [one.app, other.app] : [other.app, one.app]
    const posted = await writing.inject({
      method: 'POST',
      url: '/api/jobs',
      headers: { authorization: ada.authorization },
      payload: { app: 'gather', action: 'x', cost_estimate: 1 },
    })
    if (posted.statusCode !== 200) throw new Error(posted.body)
    const wallet = await reading.inject({ url: '/api/wallet', headers: { authorization: ada.authorization } })
    const job = await reading.inject({
      url: `/api/jobs/${posted.json().job_id}`,
      headers: { authorization: ada.authorization },
    })
    if (job.statusCode !== 200) throw new Error(job.body)
    seen.push(wallet.json().account.held)
  }
  done = true
  await crowd
  t.strictSame(
    seen,
    Array.from({ length: 200 }, (_, i) => i + 1),
  )
})
