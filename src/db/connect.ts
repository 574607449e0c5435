import { Kysely, type LogEvent, PostgresDialect } from 'kysely'
import type { Config } from '../config.ts'
import { pglitePool } from './pglite.ts'
import { type PoolUse, postgresPool } from './postgres.ts'
import type { Db, Tables } from './tables.ts'

const uses = new WeakMap<Db, PoolUse>()

/** The usage counters of the connection pool, for a database that `connect` opened. */
export const poolUse = (db: Db): PoolUse | undefined => uses.get(db)

/** Time limit of one statement of a request, in ms. */
const STATEMENT_MS = 5_000

/**
 * Opens the configured database: Postgres at `url`, or else PGlite in `dataDir`. Close it with `destroy()`. Postgres is
 * first contacted by the first statement.
 * @param handlers `lostConnection`: an idle connection broke. `lostFolder`: another process took over PGlite's folder
 * @param log called after each statement
 * @throws {FolderInUse} another process uses PGlite's folder
 */
export async function connect(
  config: Config['database'],
  handlers: { lostConnection: (error: Error) => void; lostFolder: (error: Error) => void },
  log?: (event: LogEvent) => void,
): Promise<Db> {
  const pool = config.url
    ? postgresPool(config.url, {
        poolSize: config.poolSize,
        statementNames: config.statementNames,
        statementMs: STATEMENT_MS,
        onLostConnection: handlers.lostConnection,
      })
    : await pglitePool(config.dataDir, handlers.lostFolder)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), ...(log && { log }) })
  uses.set(db, pool.use)
  return db
}

/**
 * Opens the single connection that posts batches of ledger operations. Its plan is cached; one made while the tables are
 * still empty would use sequential scans, so scans and the joins that need them are off. The lock time-out is short,
 * because one locked account delays the whole batch.
 * @returns `db` itself with PGlite, which has only one connection
 */
export function connectForPosting(config: Config['database'], db: Db): Db {
  if (!config.url) return db
  const settings = { enable_seqscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off', lock_timeout: '50ms' }
  const pool = postgresPool(config.url, {
    poolSize: 1,
    statementNames: config.statementNames,
    statementMs: STATEMENT_MS,
    settings,
  })
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}

/** Opens one connection without a statement time-out: a migration may rewrite a large table. */
export function connectForMigration(url: string): Db {
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: postgresPool(url, { poolSize: 1, statementNames: false, statementMs: 0 }) }),
  })
}
