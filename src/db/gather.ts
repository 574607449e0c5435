import { statement } from './statement.ts'
import type { Db } from './tables.ts'
import { DatabaseUnavailable } from './unavailable.ts'

/** The most keys of one query. Longer lists of keys bring no more throughput. */
const MAX_KEYS = 200
/** The most reads that wait in one queue. */
const MAX_WAITING = 5_000
/** When a query takes longer than this, in ms, the next one starts concurrently. */
const SLOW_MS = 50
/** The most concurrent queries of one queue, so that slow ones leave connections for others. */
const MAX_RUNNING = 4
/** A read that has waited longer than this, in ms, fails: the database does not answer. */
const PATIENCE_MS = 5_000

interface Read<Row> {
  /** When it was requested, by `performance.now()` */
  since: number
  answer: PromiseWithResolvers<Row | undefined>
}

/** Counters for the overload protection: reads that wait to be sent, and reads that were answered. */
interface Gathered {
  waiting(): number
  served(): number
}

const counters = new WeakMap<Db, { waiting: number; served: number }>()

function counterOf(db: Db) {
  const counter = counters.get(db) ?? { waiting: 0, served: 0 }
  counters.set(db, counter)
  return counter
}

/** The counters of all reads of a database that go through `gather`. */
export function gatheredReads(db: Db): Gathered {
  const counter = counterOf(db)
  return { waiting: () => counter.waiting, served: () => counter.served }
}

/**
 * Batches reads of single rows: the reads that are requested while a query runs share the next query. A read that comes alone is sent
 * immediately. The query of a read starts after its request, so it sees everything that was committed before.
 * @param read runs one query for up to 200 different keys, and returns the rows that it found by key
 * @returns a function that reads the row of one key; undefined: there is none. It throws what `read` throws, and
 *   {DatabaseUnavailable} after waiting for 5 s, or at once when 5,000 reads wait
 */
export function gather<Row>(
  read: (db: Db, keys: string[]) => Promise<Map<string, Row>>,
): (db: Db, key: string) => Promise<Row | undefined> {
  const queues = new WeakMap<Db, (key: string) => Promise<Row | undefined>>()
  return (db, key) => {
    let ask = queues.get(db)
    if (!ask) {
      ask = createQueue(db, read)
      queues.set(db, ask)
    }
    return ask(key)
  }
}

/**
 * `gather` for rows that are found by one column. A read of a single key has its own statement: Postgres would plan the statement for
 * lists again at each call with one key, because its generic plan expects several keys and looks more expensive.
 * @param name names the prepared statements
 * @param type SQL type of the column, such as `uuid`
 * @param text builds the SQL, which selects the key as column `key`. `is` follows the column in the condition; `only` is the key, where there is
 *   one: Citus finds the shard of a subquery by it. Keys are sorted, so that statements that lock rows do so in one order
 */
export function gatherRows<Row extends object>(
  name: string,
  type: string,
  text: (is: string, only?: string) => string,
) {
  const key = `$key::${type}`
  const one = statement<{ key: string }, Row & { key: string }>(`${name}_one`, text(`= ${key}`, key))
  const many = statement<{ keys: string[] }, Row & { key: string }>(name, text(`= any($keys::${type}[])`))
  return gather<Row>(async (db, keys) => {
    const [key] = keys
    const rows = await (keys.length === 1 && key !== undefined ? one(db, { key }) : many(db, { keys: keys.sort() }))
    return new Map(rows.map((row) => [row.key, row]))
  })
}

/** The queue of one `gather` and one database. @returns requests the row of a key */
function createQueue<Row>(db: Db, read: (db: Db, keys: string[]) => Promise<Map<string, Row>>) {
  const waiting = new Map<string, Read<Row>>()
  const counter = counterOf(db)
  let running = 0
  let slow: NodeJS.Timeout | undefined

  function ask(key: string): Promise<Row | undefined> {
    let asked = waiting.get(key)
    if (!asked) {
      if (waiting.size >= MAX_WAITING) return Promise.reject(new DatabaseUnavailable(new Error('too many reads wait')))
      asked = { since: performance.now(), answer: Promise.withResolvers() }
      waiting.set(key, asked)
      counter.waiting++
      if (running === 0) send()
      else if (running < MAX_RUNNING) slow ??= setTimeout(send, SLOW_MS)
    }
    return asked.answer.promise
  }

  /** Sends the waiting reads, up to `MAX_KEYS`. */
  function send(): void {
    clearTimeout(slow)
    slow = undefined
    const batch = take()
    if (batch.size === 0) return
    running++
    read(db, [...batch.keys()])
      .then(
        (rows) => {
          for (const [key, { answer }] of batch) answer.resolve(rows.get(key))
        },
        (error) => {
          for (const { answer } of batch.values()) answer.reject(error)
        },
      )
      .finally(() => {
        running--
        counter.served += batch.size
        if (waiting.size > 0) send()
      })
  }

  function take(): Map<string, Read<Row>> {
    const batch = new Map<string, Read<Row>>()
    const oldest = performance.now() - PATIENCE_MS
    for (const [key, asked] of waiting) {
      if (batch.size === MAX_KEYS) break
      waiting.delete(key)
      counter.waiting--
      if (asked.since >= oldest) batch.set(key, asked)
      else asked.answer.reject(new DatabaseUnavailable(new Error('no query could be sent in time'), true))
    }
    return batch
  }

  return ask
}
