import { statement } from './statement.ts'
import type { Db } from './tables.ts'
import { DatabaseUnavailable } from './unavailable.ts'

/** The most keys of one query. More gain nothing. */
const MAX_KEYS = 200
/** The most reads that wait in one place. */
const MAX_WAITING = 5_000
/** After so long, in ms, a running query no longer delays what waits: the next one starts beside it. */
const SLOW_MS = 50
/** The most queries of one kind at a time, so that slow ones leave connections for others. */
const MAX_RUNNING = 4
/** A read that waited for so long, in ms, is given up: the database answers nobody. */
const PATIENCE_MS = 5_000

interface Read<Row> {
  /** When it was asked for */
  since: number
  answer: PromiseWithResolvers<Row | undefined>
}

/** How many reads of a database wait to be sent, and how many were answered, for the overload protection. */
export interface Gathered {
  waiting(): number
  served(): number
}

const counters = new WeakMap<Db, { waiting: number; served: number }>()

function counterOf(db: Db) {
  const counter = counters.get(db) ?? { waiting: 0, served: 0 }
  counters.set(db, counter)
  return counter
}

/** The reads of a database that go through `gather`. */
export function gatheredReads(db: Db): Gathered {
  const counter = counterOf(db)
  return { waiting: () => counter.waiting, served: () => counter.served }
}

/**
 * Makes a read of one row of a read of many: what is asked for while a query runs shares the next one. A read that comes alone
 * leaves at once. Its query starts after it was asked for, so it sees everything that was committed before.
 * @param read runs one query for up to 200 different keys. Returns the rows found by their keys
 * @returns a function that reads the row of one key; undefined: there is none. It throws what `read` throws, and
 *   {DatabaseUnavailable} after 5 s of waiting
 */
export function gather<Row>(
  read: (db: Db, keys: string[]) => Promise<Map<string, Row>>,
): (db: Db, key: string) => Promise<Row | undefined> {
  const places = new WeakMap<Db, (key: string) => Promise<Row | undefined>>()
  return (db, key) => {
    let ask = places.get(db)
    if (!ask) {
      ask = place(db, read)
      places.set(db, ask)
    }
    return ask(key)
  }
}

/**
 * `gather` for rows that are found by one column. A read that comes alone has a statement of its own: Postgres would plan that for
 * a list anew each time, because for one key a plan looks cheaper than for any number of them.
 * @param name of the statements on the server
 * @param type of the column, such as `uuid`
 * @param text SQL with the key as column `key`; it is given what follows the column in its condition. Keys are sorted, so that
 *   statements that lock rows do so in one order
 */
export function gatherRows<Row extends object>(name: string, type: string, text: (is: string) => string) {
  const one = statement<{ key: string }, Row & { key: string }>(`${name}_one`, text(`= $key::${type}`))
  const many = statement<{ keys: string[] }, Row & { key: string }>(name, text(`= any($keys::${type}[])`))
  return gather<Row>(async (db, keys) => {
    const [key] = keys
    const rows = await (keys.length === 1 && key !== undefined ? one(db, { key }) : many(db, { keys: keys.sort() }))
    return new Map(rows.map((row) => [row.key, row]))
  })
}

/** Where the reads of one kind from one database wait. */
function place<Row>(db: Db, read: (db: Db, keys: string[]) => Promise<Map<string, Row>>) {
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

  /** Sends what waits. */
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
