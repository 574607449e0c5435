import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { startBackground } from './background/index.ts'
import { type Config, ConfigError, processConfig } from './config.ts'
import { connect, connectForMigration } from './db/connect.ts'
import { isRefusal, migrateToLatest, waitForDatabase } from './db/migrate.ts'
import { FolderInUse } from './db/pglite.ts'
import { CannotShard } from './db/shard.ts'
import { DatabaseUnavailable } from './db/unavailable.ts'
import { LOCAL_ADMINISTRATOR } from './identity/local.ts'
import type { Identity } from './identity/types.ts'
import { openLog, speaker } from './observe/log.ts'
import { listenForMetrics } from './observe/metrics-listener.ts'

/** Connections still open this long after shutdown began are destroyed, in ms. */
const DESTROY_CONNECTIONS_MS = 8_000
/** Shutdown stops waiting for the database after this time, in ms. server.ts exits the process after 10 s. */
const CLOSE_DATABASE_MS = 9_000

export interface Service {
  /** @param drain answer /readyz with 503 and keep serving for DRAIN_SECONDS before closing, so that a load balancer can react */
  close(options?: { drain?: boolean }): Promise<void>
}

/**
 * Starts the service: configuration, database, schema, app, background jobs, listener.
 * @param signal aborts start-up. After an abort or a failure, everything that was opened is closed again
 * @returns a handle to close the service; undefined when `signal` aborted start-up
 * @throws {ConfigError | FolderInUse | DatabaseUnavailable} and system errors; `explain` words them for the operator
 */
export async function start(signal: AbortSignal): Promise<Service | undefined> {
  const config = processConfig()
  const log = openLog(config)
  const say = speaker(config, log)
  const tracing = config.otlpEndpoint
    ? (await import('./observe/tracing.ts')).startTracing(config.otlpEndpoint)
    : undefined
  if (!config.database.url) say(`Opening the embedded database in ${config.database.dataDir} …`)
  const handlers = {
    lostConnection: (error: Error) => log.warn(`A database connection was lost: ${error.message}`),
    lostFolder: () => {
      console.error(
        `Another process has taken over the data folder ${config.database.dataDir}. Exiting, so that only one process writes to it.`,
      )
      process.exit(1)
    },
  }
  const db = await connect(config.database, handlers, tracing?.query)
  let app: Awaited<ReturnType<typeof buildApp>> | undefined
  let stopBackground: (() => Promise<void>) | undefined
  const close = async ({ drain = false } = {}) => {
    const began = performance.now()
    // A client that never completes its request must not delay closing the database.
    const destroyTimer = setTimeout(() => app?.server.closeAllConnections(), DESTROY_CONNECTIONS_MS)
    if (drain && app?.server.listening) {
      app.drain()
      await sleep(config.drainSeconds * 1000)
    }
    // Before the app: background jobs post to the ledger, which closes with the app.
    await stopBackground?.()
    await app?.close()
    clearTimeout(destroyTimer)
    await tracing?.stop()
    // A destroyed connection may leave a statement running. Postgres rolls it back when the process exits.
    const remaining = began + CLOSE_DATABASE_MS - performance.now()
    await Promise.race([db.destroy(), sleep(Math.max(remaining, 0), undefined, { ref: false })])
  }
  const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  try {
    if (signal.aborted) return void (await close())
    await waitForDatabase(db, say, signal)
    // An abort does not wait for the migration lock, which another replica may hold.
    if (config.database.migrateOnStart) await Promise.race([migrate(), stopped])
    if (signal.aborted) return void (await close())
    app = await buildApp(config, db, { log, tracing })
    if (signal.aborted) return void (await close())
    if (config.metricsPort) await listenForMetrics(app, config.metricsPort)
    stopBackground = startBackground(app)
    await app.listen({ host: config.host, port: config.port })
    for (const line of startupLines(app)) say(line)
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

/** @returns a message for start-up failures that the operator can fix; any other error unchanged */
export function explain(error: unknown): unknown {
  if (error instanceof ConfigError || error instanceof FolderInUse || error instanceof CannotShard) return error.message
  if (error instanceof DatabaseUnavailable) {
    const reason = (error.cause as Error).message || (error.cause as NodeJS.ErrnoException).code
    if (isRefusal(error)) return `The database refused the connection: ${reason}. Check DATABASE_URL.`
    return `The database did not answer within 30 s (${reason}). Check DATABASE_URL and that the server is running.`
  }
  const { code, port, address, hostname, path } = error as Partial<NodeJS.ErrnoException & Record<string, string>>
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${address} is in use. Stop the process that listens there, or set PORT or METRICS_PORT to another port.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `Cannot listen on ${address ?? hostname} (${code}). Set HOST to an address of this machine.`
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'EEXIST':
    case 'ENOTDIR':
      if (path)
        return `${path} cannot be used as the data folder (${code}). Set DATA_DIR to a folder that this process can write to.`
      return `This process is not permitted to listen on port ${port} (${code}). Set PORT to 1024 or above.`
    case '42P01':
    case '42703':
      return `The database schema is older than this release (${(error as Error).message}). Run \`npm run migrate\`.`
  }
  return error
}

function administratorLine({ adminClerkIds }: Config, { administrators }: Identity): string {
  const ids = `${adminClerkIds.length} ${adminClerkIds.length === 1 ? 'id' : 'ids'} in ADMIN_CLERK_IDS`
  if (administrators.size)
    return `Sign in as ${LOCAL_ADMINISTRATOR}${adminClerkIds.length ? `, or as one of the ${ids}` : ''}.`
  if (adminClerkIds.length) return `Administrators: ${ids}.`
  return 'Nobody may open it yet: set ADMIN_CLERK_IDS to your user id, which /account shows.'
}

/** What start-up prints once the service listens. */
function startupLines({ config, identity }: Pick<FastifyInstance, 'config' | 'identity'>): string[] {
  const { url, dataDir } = config.database
  const lines = [`The Focus API is listening on ${config.publicUrl} (address ${config.host}, port ${config.port}).`]
  if (!url) {
    lines.push(
      `Data is stored in ${dataDir} by an embedded Postgres (PGlite), for evaluation only. In production, set DATABASE_URL to a Postgres server.`,
    )
  }
  if (!config.clerk) {
    lines.push(
      'The local identity accepts any e-mail address without a password, for evaluation only. In production, set CLERK_SECRET_KEY and CLERK_PUBLISHABLE_KEY.',
    )
  }
  return [
    ...lines,
    `Sign in at ${config.publicUrl}/signin. The API documentation is at ${config.publicUrl}/api/docs.`,
    `The operator's console is at ${config.publicUrl}/console. ${administratorLine(config, identity)}`,
  ]
}
