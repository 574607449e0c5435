import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import type { PoolUse } from './pool-use.ts'
import { nameOf } from './statement.ts'
import { safeInteger } from './tables.ts'
import { DatabaseUnavailable } from './unavailable.ts'

const CONNECT_MS = 2_000

export interface PostgresOptions {
  poolSize: number
  /** Whether the server may keep a plan by its name from one transaction to the next */
  statementNames: boolean
  /** What one statement may take on our side, in ms; 0: no limit (migrations) */
  statementMs: number
  /** Of the server, for these connections, such as enable_seqscan */
  settings?: Record<string, string>
  /** The operator's PGOPTIONS; `options` in the URL replaces it */
  sessionOptions?: string | undefined
  onLostConnection?: (error: Error) => void
}

/**
 * A pg pool as Kysely wants it, with what `pg` leaves open: named statements, int8 as a safe integer, and an
 * end to waiting. A server that no longer answers is noticed by our own clock: the connection is destroyed, and so
 * are the idle ones beside it, which the same dead network would cost 5 s each.
 */
export function postgresPool(
  url: string,
  { poolSize, statementNames, statementMs, settings = {}, sessionOptions, onLostConnection }: PostgresOptions,
): PostgresPool & { use: PoolUse } {
  const options: pg.PoolConfig = {
    connectionString: withSettings(url, settings, sessionOptions),
    max: poolSize,
    keepAlive: true,
    Client: QuickToConnect as unknown as NonNullable<pg.PoolConfig['Client']>,
    types: { getTypeParser: (oid, format) => (oid === 20 ? safeInteger : pg.types.getTypeParser(oid, format)) },
    application_name: 'focus-api',
    // The server gives up a little before we do: then the outcome of a slow statement is known.
    ...(statementMs && {
      query_timeout: statementMs,
      statement_timeout: statementMs - 500,
      connectionTimeoutMillis: statementMs,
    }),
  }
  let pool = newPool()
  /** Those who wait for a connection of `pool`; calling one sends it away */
  const waiting = new Set<() => void>()
  let lent = 0

  function newPool(): pg.Pool {
    const fresh = new pg.Pool(options)
    fresh.on('error', (error) => onLostConnection?.(error))
    // The pool listens to idle connections only. One that breaks while it is lent out tells its statement, and also says
    // so as an event, which without a listener would end the process.
    fresh.on('connect', (client) => client.on('error', () => {}))
    return fresh
  }

  function abandon(dead: pg.Pool): void {
    if (dead !== pool) return
    pool = newPool()
    dead.end().catch(() => {})
    for (const leave of [...waiting]) leave()
  }

  /** A connection of `home`; undefined when that was abandoned meanwhile, or after `patience` ms where given. */
  function lend(home: pg.Pool, patience?: number): Promise<pg.PoolClient | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<pg.PoolClient | undefined>()
    const leave = () => {
      clearTimeout(timer)
      if (waiting.delete(leave)) resolve(undefined)
    }
    const timer = patience === undefined ? undefined : setTimeout(leave, patience)
    waiting.add(leave)
    home.connect().then(
      (client) => {
        clearTimeout(timer)
        if (waiting.delete(leave)) resolve(client)
        else client.release(home !== pool)
      },
      (error) => {
        clearTimeout(timer)
        waiting.delete(leave)
        reject(error)
      },
    )
    return promise
  }

  /** Who waits for an abandoned pool goes on waiting for the new one: all in all for one statement's time. */
  async function borrow(): Promise<{ home: pg.Pool; client: pg.PoolClient }> {
    const began = Date.now()
    let patience: number | undefined
    do {
      const home = pool
      const client = await lend(home, patience).catch((error: Error) => {
        const waited = Date.now() - began
        // One attempt is short, so that a dead one ends soon; a busy machine may need another.
        if (/time-?out/i.test(error.message) && waited + CONNECT_MS <= statementMs) return undefined
        throw new DatabaseUnavailable(error, waited >= CONNECT_MS)
      })
      if (client) {
        lent++
        return { home, client }
      }
      patience = began + statementMs - Date.now()
    } while (patience > 0)
    throw new DatabaseUnavailable(new Error('no connection within the time of a statement'), true)
  }

  async function connect(): Promise<PostgresPoolClient> {
    const { home, client } = await borrow()
    let broken: DatabaseUnavailable | undefined
    let patience = 0
    return {
      async query(text: string, values: unknown[]) {
        // Such as the ROLLBACK after a time-out: it would wait as long again.
        if (broken) throw broken
        const name = statementNames ? nameOf(text) : undefined
        // A report may take longer: our patience follows what its transaction told the server.
        const told = /^set local statement_timeout = (\d+)$/.exec(text)?.[1]
        if (told) patience = Number(told) + 500
        try {
          return await client.query({
            text,
            values,
            ...(name && { name }),
            ...(patience && { query_timeout: patience }),
          })
        } catch (error) {
          if (error instanceof pg.DatabaseError) {
            if (!isServerTrouble(error.code)) throw error
            // All but a statement that took too long end the connection, or make it useless: nobody gets it again.
            if (error.code === '57014') throw new DatabaseUnavailable(error, true)
            broken = new DatabaseUnavailable(error)
            throw broken
          }
          if (error instanceof RangeError) throw error
          broken = new DatabaseUnavailable(error as Error, (error as Error).message === 'Query read timeout')
          if (broken.timedOut) abandon(home)
          throw broken
        }
      },
      release: (destroy?: boolean) => client.release(destroy || broken !== undefined),
    } as unknown as PostgresPoolClient
  }

  const use: PoolUse = {
    inUse: () => pool.totalCount - pool.idleCount,
    idle: () => pool.idleCount,
    waiting: () => waiting.size,
    served: () => lent,
  }
  return { connect, end: () => pool.end(), options, use }
}

/** pg-pool has one time-out for connecting and for waiting in its queue; a dead network must not take as long as a full pool may. */
class QuickToConnect extends pg.Client {
  constructor(options: pg.ClientConfig) {
    super({ ...options, connectionTimeoutMillis: CONNECT_MS })
  }
}

/** The URL with settings for its connections, beside the operator's own in the URL or in PGOPTIONS. */
function withSettings(url: string, settings: Record<string, string>, sessionOptions = ''): string {
  const given = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
  const full = new URL(url)
  const all = [full.searchParams.get('options') ?? sessionOptions, ...given].join(' ').trim()
  if (!all) return url
  full.searchParams.set('options', all)
  return full.href
}

/** SQLSTATEs that speak of the server and not of the statement; the transaction they met was rolled back. */
function isServerTrouble(code = ''): boolean {
  return (
    code.startsWith('08') || // connection exception
    code.startsWith('53') || // out of disk, memory, connections
    code === '57014' || // statement_timeout
    /^57P0[1-5]$/.test(code) || // shutting down, crashed, starting up
    code === '25006' // read-only after a failover
  )
}
