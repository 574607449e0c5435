import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { DatabaseUnavailable } from './unavailable.ts'

const FOLDER = new URL('../../migrations/', import.meta.url)
const WAIT_MS = 30_000

/**
 * Brings the schema up to date. Replicas that start together wait for each other on Kysely's migration lock.
 * @returns the names of the migrations that this call ran
 */
export async function migrateToLatest<T>(db: Kysely<T>): Promise<string[]> {
  const known = await getMigrations()
  let ahead: string[] = []
  for (;;) {
    // A newer release may have been here, as in a rolling upgrade that is taken back: Kysely knows no migrations but its own.
    const migrations = { ...known, ...Object.fromEntries(ahead.map((name) => [name, NOTHING])) }
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
    const { error, results = [] } = await migrator.migrateToLatest()
    if (!error) return results.map(({ migrationName }) => migrationName)
    const others = (await doneMigrations(db)).filter((name) => !(name in migrations))
    if (others.length) {
      ahead = [...ahead, ...others]
      continue
    }
    const failed = results.find(({ status }) => status === 'Error')
    throw failed ? new Error(`Migration ${failed.migrationName} failed`, { cause: error }) : error
  }
}

/** What a newer release has done to the schema; nothing is left to do. */
const NOTHING: Migration = { up: async () => {} }

/** The migrations of this release that the database lacks. */
export async function missingMigrations<T>(db: Kysely<T>): Promise<string[]> {
  const [ours, done] = await Promise.all([migrationNames(), doneMigrations(db)])
  return ours.filter((name) => !done.includes(name))
}

async function doneMigrations<T>(db: Kysely<T>): Promise<string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
    return rows.map(({ name }) => name)
  } catch (error) {
    if ((error as { code?: string }).code === UNDEFINED_TABLE) return []
    throw error
  }
}

const UNDEFINED_TABLE = '42P01'

async function migrationNames(): Promise<string[]> {
  return (await readdir(FOLDER)).filter((file) => file.endsWith('.ts')).map((file) => file.slice(0, -3))
}

async function getMigrations(): Promise<Record<string, Migration>> {
  const names = await migrationNames()
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await import(new URL(`${name}.ts`, FOLDER).href)])),
  )
}

/**
 * Waits until the database answers, for 30 s at most.
 * @throws {DatabaseUnavailable} the last failure, when the time is over or `signal` aborts
 */
export async function waitForDatabase<T>(
  db: Kysely<T>,
  say: (sentence: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const giveUp = Date.now() + WAIT_MS
  for (;;) {
    try {
      await sql`select 1`.execute(db)
      return
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || isRefusal(error) || signal?.aborted || Date.now() > giveUp)
        throw error
      const left = Math.max(0, Math.round((giveUp - Date.now()) / 1000))
      say(
        `The database does not answer yet (${(error.cause as Error).message || error.message}); trying for ${left} s more.`,
      )
      await sleep(1_000, undefined, { signal }).catch(() => {})
    }
  }
}

/** Whether the server answered, and does not let us in: a wrong password or database does not mend itself. */
export function isRefusal(error: DatabaseUnavailable): boolean {
  const { code = '' } = error.cause as { code?: string }
  return code.startsWith('28') || code === '3D000'
}
