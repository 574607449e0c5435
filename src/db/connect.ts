import { Kysely, type LogEvent, PostgresDialect } from 'kysely'
import type { Config } from '../config.ts'
import { pglitePool } from './pglite.ts'
import { overConnection, pipelines, type Sessions } from './pipeline.ts'
import { type PoolUse, postgresPool } from './postgres.ts'
import type { Db, Tables } from './tables.ts'

const uses = new WeakMap<Db, PoolUse>()

/** The usage counters of the connection pool, for a database that `connect` opened. */
export const poolUse = (db: Db): PoolUse | undefined => uses.get(db)

/** Connections for posting. Plain Postgres uses one; a cluster posts to several shards at once. */
const MAIN_SIZE = 4
/** Connections on which postings wait for locks. */
const LANES_SIZE = 4

/** Time limit of one statement of a request, in ms. */
const STATEMENT_MS = 5_000

/**
 * Opens the configured database: Postgres at `url`, or else PGlite in `dataDir`. Close it with `destroy()`. The first statement opens the
 * first connection to Postgres.
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
        sessionOptions: config.sessionOptions,
        onLostConnection: handlers.lostConnection,
      })
    : await pglitePool(config.dataDir, handlers.lostFolder)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), ...(log && { log }) })
  uses.set(db, pool.use)
  return db
}

/**
 * Opens the connections for posting to the ledger, which are separate from the pool of `connect`.
 * @returns `main` for postings, `lanes` for postings that wait for locks; with PGlite both use `db`'s one connection
 */
export function connectForPosting(config: Config['database'], db: Db): { main: Sessions; lanes: Sessions } {
  if (!config.url) return { main: overConnection(db), lanes: overConnection(db) }
  return { main: pipelines(config, MAIN_SIZE, STATEMENT_MS), lanes: pipelines(config, LANES_SIZE, STATEMENT_MS) }
}

/** Opens one connection without a statement timeout: a migration may rewrite a large table. */
export function connectForMigration(url: string, sessionOptions?: string): Db {
  const pool = postgresPool(url, { poolSize: 1, statementNames: false, statementMs: 0, sessionOptions })
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}
