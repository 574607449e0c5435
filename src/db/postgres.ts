import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { typeParser } from './exchange.ts'
import { nameOf } from './statement.ts'
import { DatabaseUnavailable } from './unavailable.ts'

/** Time limit of one connection attempt, in ms. */
const CONNECT_MS = 2_000

/** Usage counters of a connection pool. */
export interface PoolUse {
  /** Connections that are lent out */
  inUse(): number
  /** Connections that are open and free */
  idle(): number
  /** Callers waiting for a connection */
  waiting(): number
  /** Connections lent since the start */
  served(): number
}

interface PostgresOptions {
  poolSize: number
  /** Whether statements are sent as named prepared statements */
  statementNames: boolean
  /** Client-side time limit of one statement, in ms; 0: no limit (migrations) */
  statementMs: number
  /** The operator's PGOPTIONS */
  sessionOptions?: string | undefined
  onLostConnection?: (error: Error) => void
}

/**
 * A pg pool for Kysely with named statements, int8 as a safe integer, and a time limit on everything. When a statement
 * times out on the client side, the network is presumed dead: its connection is destroyed, and the pool is replaced,
 * because each idle connection would take another 5 s to fail.
 */
export function postgresPool(
  url: string,
  { poolSize, statementNames, statementMs, sessionOptions, onLostConnection }: PostgresOptions,
): PostgresPool & { use: PoolUse } {
  const options: pg.PoolConfig = {
    ...connectionOptions(url, statementMs, sessionOptions),
    max: poolSize,
    Client: QuickToConnect as unknown as NonNullable<pg.PoolConfig['Client']>,
    ...(statementMs && { query_timeout: statementMs, connectionTimeoutMillis: statementMs }),
  }
  let pool = newPool()
  /** One entry per caller that waits for a connection of `pool`; calling it ends the wait */
  const waiting = new Set<() => void>()
  let lent = 0

  function newPool(): pg.Pool {
    const fresh = new pg.Pool(options)
    fresh.on('error', (error) => onLostConnection?.(error))
    // The pool handles 'error' events of idle connections only. A lent connection that breaks rejects its statement and also
    // emits 'error', which without a listener would end the process.
    fresh.on('connect', (client) => client.on('error', () => {}))
    return fresh
  }

  /** Replaces a pool when its server does not answer. Its waiting callers move to the new one. */
  function abandon(dead: pg.Pool): void {
    if (dead !== pool) return
    pool = newPool()
    dead.end().catch(() => {})
    for (const leave of [...waiting]) leave()
  }

  /** A connection of `home`; undefined when `home` was abandoned meanwhile, or after `waitMs`. */
  function lend(home: pg.Pool, waitMs?: number): Promise<pg.PoolClient | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<pg.PoolClient | undefined>()
    const leave = () => {
      clearTimeout(timer)
      if (waiting.delete(leave)) resolve(undefined)
    }
    const timer = waitMs === undefined ? undefined : setTimeout(leave, waitMs)
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

  /** Waits for a connection, at most `statementMs` in all, also when the pool is replaced meanwhile. */
  async function borrow(): Promise<{ home: pg.Pool; client: pg.PoolClient }> {
    const began = Date.now()
    let waitMs: number | undefined
    do {
      const home = pool
      const client = await lend(home, waitMs).catch((error: Error) => {
        const waited = Date.now() - began
        // Attempts are short so that a dead server is noticed soon. On a busy machine a second one may succeed.
        if (/time-?out/i.test(error.message) && waited + CONNECT_MS <= statementMs) return undefined
        throw new DatabaseUnavailable(error, waited >= CONNECT_MS)
      })
      if (client) {
        lent++
        return { home, client }
      }
      waitMs = began + statementMs - Date.now()
    } while (waitMs > 0)
    throw new DatabaseUnavailable(new Error('no connection became available in time'), true)
  }

  async function connect(): Promise<PostgresPoolClient> {
    const { home, client } = await borrow()
    let broken: DatabaseUnavailable | undefined
    let reportMs = 0
    return {
      async query(text: string, values: unknown[]) {
        // For example the ROLLBACK after a timeout, which would time out as well.
        if (broken) throw broken
        const name = statementNames ? nameOf(text) : undefined
        // A transaction that raises the server's limit raises the client's limit with it.
        const raised = /^set local statement_timeout = (\d+)$/.exec(text)?.[1]
        if (raised) reportMs = Number(raised) + 500
        try {
          return await client.query({
            text,
            values,
            ...(name && { name }),
            ...(reportMs && { query_timeout: reportMs }),
          })
        } catch (error) {
          const failure = translated(error, (error as Error).message === 'Query read timeout')
          if (!failure.lost) throw failure.error
          // The pool must not reuse this connection.
          broken = failure.error
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

/**
 * The options of every connection.
 * @param statementMs client-side time limit of a statement, in ms; 0: no limit
 * @param sessionOptions the operator's PGOPTIONS; `options` in the URL replaces it
 * @param settings server settings for these connections, such as enable_seqscan
 */
export const connectionOptions = (
  url: string,
  statementMs: number,
  sessionOptions: string | undefined,
  settings: Record<string, string> = {},
): pg.ClientConfig => ({
  connectionString: withSettings(url, settings, sessionOptions),
  keepAlive: true,
  types: { getTypeParser: typeParser },
  application_name: 'focus-api',
  // The server's limit is 500 ms shorter, so a slow statement ends with an error and a known outcome.
  ...(statementMs && { statement_timeout: statementMs - 500 }),
  connectionTimeoutMillis: CONNECT_MS,
})

/**
 * Classifies the error of a statement.
 * @param timedOut whether the client's time limit ended it
 * @returns the error to throw; `lost`: the connection can no longer be used
 */
export function translated(
  error: unknown,
  timedOut: boolean,
): { error: DatabaseUnavailable; lost: true } | { error: unknown; lost: false } {
  if (error instanceof pg.DatabaseError) {
    if (!isServerTrouble(error.code)) return { error, lost: false }
    if (error.code === '57014') return { error: new DatabaseUnavailable(error, true), lost: false }
    return { error: new DatabaseUnavailable(error), lost: true }
  }
  if (error instanceof RangeError) return { error, lost: false }
  return { error: new DatabaseUnavailable(error as Error, timedOut), lost: true }
}

/** pg-pool has one timeout for connecting and for queueing. A shorter one for connecting detects a dead network early. */
class QuickToConnect extends pg.Client {
  constructor(options: pg.ClientConfig) {
    super({ ...options, connectionTimeoutMillis: CONNECT_MS })
  }
}

/** The URL with these settings and the operator's in its parameter `options`. */
function withSettings(url: string, settings: Record<string, string>, sessionOptions: string | undefined): string {
  const given = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
  if (given.length === 0 && !sessionOptions) return url
  const full = new URL(url)
  const own = full.searchParams.get('options') ?? sessionOptions ?? ''
  full.searchParams.set('options', [own, ...given].join(' ').trim())
  return full.href
}

/** SQLSTATEs of server failures, as opposed to errors of the statement. The transaction was rolled back. */
function isServerTrouble(code = ''): boolean {
  return (
    code.startsWith('08') || // connection exception
    code.startsWith('53') || // out of disk, memory, connections
    code === '57014' || // statement_timeout
    code === '25P03' || // idle in a transaction for too long
    /^57P0[1-5]$/.test(code) || // shutting down, crashed, starting up
    code === '25006' // read-only after a failover
  )
}
