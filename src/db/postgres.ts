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
  onLostConnection?: (error: Error) => void
}

/**
 * A pg pool as Kysely wants it, with what `pg` leaves open: named statements, int8 as a safe integer, and an
 * end to waiting. A server that no longer answers is noticed by our own clock: the connection is destroyed, and so
 * are the idle ones beside it, which the same dead network would cost 5 s each.
 */
export function postgresPool(
  url: string,
  { poolSize, statementNames, statementMs, onLostConnection }: PostgresOptions,
): PostgresPool & { use: PoolUse } {
  const options: pg.PoolConfig = {
    ...connectionOptions(url, statementMs),
    max: poolSize,
    Client: QuickToConnect as unknown as NonNullable<pg.PoolConfig['Client']>,
    ...(statementMs && { query_timeout: statementMs, connectionTimeoutMillis: statementMs }),
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
          const met = translated(error, (error as Error).message === 'Query read timeout')
          if (!met.lost) throw met.error
          // Nobody gets this connection again.
          broken = met.error
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
 * What every connection has.
 * @param settings of the server, for these connections, such as enable_seqscan
 */
export const connectionOptions = (
  url: string,
  statementMs: number,
  settings: Record<string, string> = {},
): pg.ClientConfig => ({
  connectionString: withSettings(url, settings),
  keepAlive: true,
  types: { getTypeParser: (oid, format) => (oid === 20 ? safeInteger : pg.types.getTypeParser(oid, format)) },
  application_name: 'focus-api',
  // The server gives up a little before we do: then the outcome of a slow statement is known.
  ...(statementMs && { statement_timeout: statementMs - 500 }),
  connectionTimeoutMillis: CONNECT_MS,
})

/**
 * What a failed statement means.
 * @param timedOut whether our own clock ended it
 * @returns `lost`: the connection is of no use any more
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

/** pg-pool has one time-out for connecting and for waiting in its queue; a dead network must not take as long as a full pool may. */
class QuickToConnect extends pg.Client {
  constructor(options: pg.ClientConfig) {
    super({ ...options, connectionTimeoutMillis: CONNECT_MS })
  }
}

/** The URL with settings for its connections beside the operator's own, which stand in it or in PGOPTIONS. */
function withSettings(url: string, settings: Record<string, string>): string {
  const given = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`)
  if (given.length === 0) return url
  const full = new URL(url)
  const own = full.searchParams.get('options') ?? process.env.PGOPTIONS ?? ''
  full.searchParams.set('options', [own, ...given].join(' ').trim())
  return full.href
}

/** SQLSTATEs that speak of the server and not of the statement; the transaction they met was rolled back. */
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
