import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import { lock } from 'proper-lockfile'
import type { PoolUse } from './pool-use.ts'
import { safeInteger } from './tables.ts'

/** A lock not refreshed for this long belongs to a process that is gone. */
const STALE_MS = 5_000

/** Another process works in PGlite's folder. */
export class FolderInUse extends Error {
  constructor(dataDir: string) {
    super(
      `The data folder ${dataDir} is in use by another process. Stop that one, or set DATA_DIR to another folder, ` +
        'or DATABASE_URL to a Postgres server, which serves many.',
    )
  }
}

/**
 * The embedded Postgres as a pool of one connection. Kysely's own PGlite dialect hands the same connection to
 * everybody at once: a statement of one request would run inside the transaction of another. Here a lease is
 * exclusive, and everything else works as on a server, migration locks included.
 * @param dataDir folder of its files; undefined: in memory
 * @throws {FolderInUse} when another process has the folder
 */
export async function pglitePool(
  dataDir: string | undefined,
  onLockLost: (error: Error) => void,
): Promise<PostgresPool & { use: PoolUse }> {
  const unlock = dataDir && (await lockFolder(dataDir, onLockLost))
  const pglite = await PGlite.create({ ...(dataDir && { dataDir }), parsers: { 20: safeInteger } })
  let queue: Promise<void> = Promise.resolve()
  const counts = { asked: 0, lent: 0, returned: 0 }

  async function connect(): Promise<PostgresPoolClient> {
    counts.asked++
    const turn = queue
    const { promise, resolve: release } = Promise.withResolvers<void>()
    queue = promise
    await turn
    counts.lent++
    return {
      async query(text: string, values: unknown[]) {
        const { rows, affectedRows = 0 } = await pglite.query(text, values)
        return { rows, rowCount: affectedRows, command: text.trimStart().split(/\s/, 1)[0]?.toUpperCase() }
      },
      release: () => {
        counts.returned++
        release()
      },
    } as unknown as PostgresPoolClient
  }

  async function end(): Promise<void> {
    await queue
    await pglite.close()
    if (unlock) await unlock()
  }

  const inUse = () => counts.lent - counts.returned
  const use: PoolUse = {
    inUse,
    idle: () => 1 - inUse(),
    waiting: () => counts.asked - counts.lent,
    served: () => counts.lent,
  }
  return { connect, end, options: {}, use }
}

/** PGlite does not notice a second process in its folder. The lock is kept fresh, so neither a crash nor a reused pid holds it for good. */
async function lockFolder(dataDir: string, onLockLost: (error: Error) => void): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true })
  try {
    return await lock(dataDir, {
      lockfilePath: resolve(dataDir, 'focus.lock'),
      stale: STALE_MS,
      update: 1_000,
      // After a crash the lock is stale within STALE_MS: wait that long before saying no.
      retries: { retries: 12, minTimeout: 500, maxTimeout: 500 },
      onCompromised: onLockLost,
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') throw new FolderInUse(dataDir)
    throw error
  }
}
