import type { Socket } from 'node:net'
import { CompiledQuery } from 'kysely'
import pg from 'pg'
import type { Config } from '../config.ts'
import { Exchange, type Prepared, type Result } from './exchange.ts'
import { connectionOptions, translated } from './postgres.ts'
import type { Query } from './statement.ts'
import type { Db } from './tables.ts'
import { DatabaseUnavailable } from './unavailable.ts'

/** One connection, lent for a while. */
export interface Session {
  /**
   * Sends statements together, in one round trip.
   * @throws {DatabaseUnavailable}, or the error of the first failed statement; its transaction is aborted
   */
  send(queries: Query[]): Promise<Result[]>
}

/** A set of connections for transactions of few round trips. */
export interface Sessions {
  /** Lends a connection, or waits in line for one. A connection that was lost is replaced by the next use. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>
  /** Closes the connections. Call it when none is in use */
  close(): Promise<void>
}

/** Connection attempts that may time out. A busy machine may need a second one. */
const ATTEMPTS = 2

/**
 * Connections outside the pool, opened when they are needed. Each sends several statements in one round trip.
 * @param size the most connections
 * @param statementMs time limit of one round trip, in ms
 */
export function pipelines(config: Config['database'], size: number, statementMs: number): Sessions {
  // The statements join arrays with tables by key. Generic plans save planning each call, which takes a seventh of a posting. But a plan
  // made while a table is empty would scan the whole table for as long as the connection lives, so all but index scans are disabled.
  const settings = {
    plan_cache_mode: 'force_generic_plan',
    ...{ enable_seqscan: 'off', enable_bitmapscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off' },
  }
  const idle: pg.Client[] = []
  const line: (() => void)[] = []
  let lent = 0

  async function open(): Promise<pg.Client> {
    for (let attempt = 1; ; attempt++) {
      const client = new pg.Client(connectionOptions(config.url ?? '', statementMs, config.sessionOptions, settings))
      // An idle connection that breaks emits 'error'. Drop it.
      client.on('error', () => drop(client))
      client.on('end', () => drop(client))
      try {
        await client.connect()
        if (config.statementNames) prepared.set(client, new Map())
        return client
      } catch (error) {
        const late = /time-?out/i.test((error as Error).message)
        if (!late || attempt === ATTEMPTS) throw new DatabaseUnavailable(error as Error, late)
      }
    }
  }

  function drop(client: pg.Client): void {
    const place = idle.indexOf(client)
    if (place >= 0) idle.splice(place, 1)
    broken.add(client)
  }
  const broken = new WeakSet<pg.Client>()
  const prepared = new WeakMap<pg.Client, Prepared>()

  async function send(client: pg.Client, queries: Query[]): Promise<Result[]> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      // Idle connections of a silent server are dead too. Each would take as long again to fail.
      for (const dead of [client, ...idle]) end(dead)
    }, statementMs)
    try {
      return await client.query(new Exchange(queries, prepared.get(client))).answer
    } catch (error) {
      const failure = translated(error, late)
      if (failure.lost) end(client)
      throw failure.error
    } finally {
      clearTimeout(timer)
    }
  }

  function end(client: pg.Client): void {
    drop(client)
    streamOf(client).destroy()
  }

  return {
    async use(work) {
      if (lent >= size) await new Promise<void>((resolve) => line.push(resolve))
      else lent++
      let client: pg.Client | undefined
      try {
        client = idle.pop() ?? (await open())
        const mine = client
        return await work({ send: (queries) => send(mine, queries) })
      } finally {
        if (client && !broken.has(client)) idle.push(client)
        const next = line.shift()
        if (next) next()
        else lent--
      }
    },
    async close() {
      await Promise.all(idle.splice(0).map((client) => client.end().catch(() => {})))
    },
  }
}

/** The connection's socket, which pg's types do not declare. */
const streamOf = (client: pg.Client) => (client as unknown as { connection: { stream: Socket } }).connection.stream

/** The same interface over the one connection of an embedded database. Statements run one after the other. */
export const overConnection = (db: Db): Sessions => ({
  use: (work) =>
    db.connection().execute((connection) =>
      work({
        async send(queries) {
          const results: Result[] = []
          for (const { text, values = [] } of queries) {
            const { rows } = await connection.executeQuery(CompiledQuery.raw(text, values))
            results.push({ rows, command: text.toUpperCase() })
          }
          return results
        },
      }),
    ),
  close: async () => {},
})
