import { Kysely, type LogEvent, PostgresDialect } from 'kysely'
import type { Config } from '../config.ts'
import { pglitePool } from './pglite.ts'
import type { PoolUse } from './pool-use.ts'
import { postgresPool } from './postgres.ts'
import type { Db, Tables } from './tables.ts'

const uses = new WeakMap<Db, PoolUse>()

/** The use of the pool below a database that `connect` opened; undefined for others. */
export const poolUse = (db: Db): PoolUse | undefined => uses.get(db)

/** The most that one statement of a request may take, in ms. */
const STATEMENT_MS = 5_000

/**
 * Opens the database that the configuration names: Postgres by `url`, else PGlite in `dataDir`.
 * `destroy()` of the result closes it. Connecting is lazy with Postgres.
 * @param log told of every statement after it has run
 * @throws {FolderInUse}
 */
export async function connect(
  config: Config['database'],
  onTrouble: { lostConnection: (error: Error) => void; lostFolder: (error: Error) => void },
  log?: (event: LogEvent) => void,
): Promise<Db> {
  const pool = config.url
    ? postgresPool(config.url, {
        poolSize: config.poolSize,
        statementNames: config.statementNames,
        statementMs: STATEMENT_MS,
        sessionOptions: config.sessionOptions,
        onLostConnection: onTrouble.lostConnection,
      })
    : await pglitePool(config.dataDir, onTrouble.lostFolder)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), ...(log && { log }) })
  uses.set(db, pool.use)
  return db
}

/**
 * One connection for the statement that posts many operations at once. Postgres keeps the plan that it makes of it: on
 * tables that are still empty it would choose to scan them, so that is off here. Nobody waits long behind another's lock.
 * @returns `db` itself with PGlite, which has but one connection
 */
export function connectForPosting(config: Config['database'], db: Db): Db {
  if (!config.url) return db
  const settings = { enable_seqscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off', lock_timeout: '50ms' }
  const pool = postgresPool(config.url, {
    poolSize: 1,
    statementNames: config.statementNames,
    statementMs: STATEMENT_MS,
    settings,
    sessionOptions: config.sessionOptions,
  })
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}

/** One connection without a statement time-out, for migrations, which may have to rewrite a table. */
export function connectForMigration(url: string, sessionOptions?: string): Db {
  const pool = postgresPool(url, { poolSize: 1, statementNames: false, statementMs: 0, sessionOptions })
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}
