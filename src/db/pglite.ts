import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import { lock } from 'proper-lockfile'
import type { PoolUse } from './postgres.ts'
import { safeInteger } from './tables.ts'

/** A lock that was not refreshed for this time, in ms, counts as abandoned. */
const STALE_MS = 5_000

/** Another process uses PGlite's data folder. */
export class FolderInUse extends Error {
  constructor(dataDir: string) {
    super(
      `The data folder ${dataDir} is in use by another process. Stop that process, set DATA_DIR to another folder, ` +
        'or set DATABASE_URL to a Postgres server, which several processes can share.',
    )
  }
}

/**
 * PGlite as a pool of one connection, lent exclusively. Kysely's PGlite dialect shares the connection instead: a statement
 * of one request could run inside the transaction of another.
 * @param dataDir folder of the database files; undefined: in memory
 * @param onLockLost called when another process takes over the folder
 * @throws {FolderInUse} another process uses the folder
 */
export async function pglitePool(
  dataDir: string | undefined,
  onLockLost: (error: Error) => void,
): Promise<PostgresPool & { use: PoolUse }> {
  const unlock = dataDir && (await lockFolder(dataDir, onLockLost))
  const pglite = await PGlite.create({ ...(dataDir && { dataDir }), parsers: { 20: safeInteger } })
  let queue: Promise<void> = Promise.resolve()
  const counts = { requested: 0, lent: 0, returned: 0 }

  async function connect(): Promise<PostgresPoolClient> {
    counts.requested++
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
    waiting: () => counts.requested - counts.lent,
    served: () => counts.lent,
  }
  return { connect, end, options: {}, use }
}

/** Locks the folder, because PGlite does not detect a second process. The lock is refreshed every second and expires, so a crash does not leave it held. */
async function lockFolder(dataDir: string, onLockLost: (error: Error) => void): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true })
  try {
    return await lock(dataDir, {
      lockfilePath: resolve(dataDir, 'focus.lock'),
      stale: STALE_MS,
      update: 1_000,
      // Longer than STALE_MS, so that the lock of a crashed process expires before we give up.
      retries: { retries: 12, minTimeout: 500, maxTimeout: 500 },
      onCompromised: onLockLost,
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') throw new FolderInUse(dataDir)
    throw error
  }
}
