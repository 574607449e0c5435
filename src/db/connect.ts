import { Kysely, type LogEvent, PostgresDialect } from 'kysely'
import type { Config } from '../config.ts'
import { pglitePool } from './pglite.ts'
import { overConnection, pipelines, type Sessions } from './pipeline.ts'
import type { PoolUse } from './pool-use.ts'
import { postgresPool } from './postgres.ts'
import type { Db, Tables } from './tables.ts'

const uses = new WeakMap<Db, PoolUse>()

/** The use of the pool below a database that `connect` opened; undefined for others. */
export const poolUse = (db: Db): PoolUse | undefined => uses.get(db)

/** Connections that post. One is enough for a plain Postgres; the others are for the shards of a cluster. */
const MAIN_SIZE = 6
/** Connections on which postings wait for locks. */
const LANES_SIZE = 4

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
        onLostConnection: onTrouble.lostConnection,
      })
    : await pglitePool(config.dataDir, onTrouble.lostFolder)
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), ...(log && { log }) })
  uses.set(db, pool.use)
  return db
}

/**
 * Connections for posting to the ledger, apart from those of requests.
 * @returns with PGlite, `db`'s one connection for both
 */
export function connectForPosting(config: Config['database'], db: Db): { main: Sessions; lanes: Sessions } {
  if (!config.url) return { main: overConnection(db), lanes: overConnection(db) }
  return { main: pipelines(config, MAIN_SIZE, STATEMENT_MS), lanes: pipelines(config, LANES_SIZE, STATEMENT_MS) }
}

/** One connection without a statement time-out, for migrations, which may have to rewrite a table. */
export function connectForMigration(url: string): Db {
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: postgresPool(url, { poolSize: 1, statementNames: false, statementMs: 0 }) }),
  })
}
