import { setTimeout as sleep } from 'node:timers/promises'
import { buildApp } from './app.ts'
import { startBackground } from './background/index.ts'
import { type Config, ConfigError, processConfig } from './config.ts'
import { connect, connectForMigration } from './db/connect.ts'
import { isRefusal, migrateToLatest, waitForDatabase } from './db/migrate.ts'
import { FolderInUse } from './db/pglite.ts'
import { DatabaseUnavailable } from './db/unavailable.ts'
import { openLog, speaker } from './observe/log.ts'
import { listenForMetrics } from './observe/metrics-listener.ts'

/** Requests that still run so long after the start of a stop are cut off, in ms. */
const CUT_OFF_MS = 8_000
/** A stop waits no longer than this for the database, in ms. The process itself exits after 10 s. */
const LEAVE_MS = 9_000

export interface Service {
  /** @param drain answers /readyz with 503 and serves for DRAIN_SECONDS before it closes, so that a balancer can notice */
  close(options?: { drain?: boolean }): Promise<void>
}

/**
 * Starts the service: configuration, database, schema, listener.
 * @param signal aborts starting; then, or after a failure, nothing stays open
 * @returns what to close; undefined when `signal` came first
 * @throws {ConfigError | FolderInUse | DatabaseUnavailable} what `explain` has a sentence for
 */
export async function start(signal: AbortSignal): Promise<Service | undefined> {
  const config = processConfig()
  const log = openLog(config)
  const say = speaker(config, log)
  const tracing = config.otlpEndpoint
    ? (await import('./observe/tracing.ts')).startTracing(config.otlpEndpoint)
    : undefined
  if (!config.database.url) say(`Opening the embedded database in ${config.database.dataDir} …`)
  const onTrouble = {
    lostConnection: (error: Error) => log.warn(`A database connection was lost: ${error.message}`),
    lostFolder: () => {
      console.error(
        `Another process has taken the data folder ${config.database.dataDir}; stopping before both write to it.`,
      )
      process.exit(1)
    },
  }
  const db = await connect(config.database, onTrouble, tracing?.query)
  let app: Awaited<ReturnType<typeof buildApp>> | undefined
  let stopBackground: (() => Promise<void>) | undefined
  const close = async ({ drain = false } = {}) => {
    const began = performance.now()
    // A client that has sent half a request must not keep the database from being closed.
    const cutOff = setTimeout(() => app?.server.closeAllConnections(), CUT_OFF_MS)
    if (drain && app?.server.listening) {
      app.drain()
      await sleep(config.drainSeconds * 1000)
    }
    // The jobs post to the ledger, which closes with the app.
    await stopBackground?.()
    await app?.close()
    clearTimeout(cutOff)
    await tracing?.stop()
    // A statement of a request that was cut off may still run. The server rolls it back when the connection closes.
    const late = began + LEAVE_MS - performance.now()
    await Promise.race([db.destroy(), sleep(Math.max(late, 0), undefined, { ref: false })])
  }
  const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  try {
    if (signal.aborted) return void (await close())
    await waitForDatabase(db, say, signal)
    // A stop does not wait for a migration that another replica runs.
    if (config.database.migrateOnStart) await Promise.race([migrate(), stopped])
    if (signal.aborted) return void (await close())
    app = await buildApp(config, db, { log, tracing })
    if (signal.aborted) return void (await close())
    if (config.metricsPort) await listenForMetrics(app, config.metricsPort)
    stopBackground = startBackground(app)
    await app.listen({ host: config.host, port: config.port })
    for (const sentence of welcome(config)) say(sentence)
    return { close }
  } catch (error) {
    await close()
    if (signal.aborted) return undefined
    throw error
  }

  async function migrate() {
    const { url, migrateUrl, sessionOptions } = config.database
    const owner = url ? connectForMigration(migrateUrl ?? url, sessionOptions) : db
    try {
      const ran = await migrateToLatest(owner)
      if (ran.length) say(`Migrated the database: ${ran.join(', ')}`)
    } finally {
      if (owner !== db) await owner.destroy()
    }
  }
}

/** @returns a sentence for a failure that the operator can mend; any other error as it is */
export function explain(error: unknown): unknown {
  if (error instanceof ConfigError || error instanceof FolderInUse) return error.message
  if (error instanceof DatabaseUnavailable) {
    const reason = (error.cause as Error).message || (error.cause as NodeJS.ErrnoException).code
    if (isRefusal(error)) return `The database refuses us: ${reason}. Is DATABASE_URL right?`
    return `The database did not answer within 30 s (${reason}). Is DATABASE_URL right, and is the server running?`
  }
  const { code, port, address, hostname, path } = error as Partial<NodeJS.ErrnoException & Record<string, string>>
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} of ${address} is taken. Stop what listens there, or set PORT or METRICS_PORT to another.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `There is no address ${address ?? hostname} here to listen on (${code}). Set HOST to one that this machine has.`
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EEXIST':
    case 'ENOTDIR':
      if (path)
        return `${path} cannot be used as data folder (${code}). Set DATA_DIR to one that this process may write to.`
      return `This process may not listen on port ${port} (${code}). Set PORT to another, 1024 or above.`
    case '42P01':
    case '42703':
      return `The database lacks something of this release's schema (${(error as Error).message}). Run \`npm run migrate\`.`
  }
  return error
}

/** The lines that are printed when the service listens. */
function welcome(config: Config): string[] {
  const { url, dataDir } = config.database
  const lines = [`The Focus API listens on ${config.publicUrl} (address ${config.host}, port ${config.port}).`]
  if (!url) {
    lines.push(
      `Its data is in ${dataDir}, in an embedded Postgres (PGlite): for trying out. For real use, set DATABASE_URL to a Postgres server.`,
    )
  }
  if (!config.clerk) {
    lines.push(
      'Anybody signs in with any e-mail address (the local identity): for trying out. For real use, set CLERK_SECRET_KEY and CLERK_PUBLISHABLE_KEY.',
    )
  }
  return [...lines, `Sign in at ${config.publicUrl}/signin, read the API at ${config.publicUrl}/api/docs.`]
}
