import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import { placeAdded } from './shard.ts'
import type { Db } from './tables.ts'
import { DatabaseUnavailable } from './unavailable.ts'

const FOLDER = new URL('../../migrations/', import.meta.url)
const WAIT_MS = 30_000

/**
 * Brings the schema up to date. Each migration runs in its own transaction, so that on a large ledger no table stays locked while the next
 * one runs. Replicas that start together take turns under Kysely's migration lock, an advisory lock, and each migration runs once.
 * On a Citus cluster, new tables are also distributed.
 * @returns the names of the migrations that this call ran
 * @throws {Error} `Migration … failed`, with the cause
 */
export async function migrateToLatest(db: Db): Promise<string[]> {
  const ours = await getMigrations()
  let newer: string[] = []
  const ran: string[] = []
  for (;;) {
    // Kysely refuses to run when an applied migration has no file, as after a rollback from a newer release. No-ops stand in for them.
    const migrations = { ...ours, ...Object.fromEntries(newer.map((name) => [name, NO_OP])) }
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
    const { error, results = [] } = await migrator.migrateUp()
    if (!error) {
      if (results.length === 0) break
      ran.push(...results.map(({ migrationName }) => migrationName))
      continue
    }
    const unknown = (await appliedMigrations(db)).filter((name) => !(name in migrations))
    if (unknown.length) {
      newer = [...newer, ...unknown]
      continue
    }
    const failed = results.find(({ status }) => status === 'Error')
    throw failed ? new Error(`Migration ${failed.migrationName} failed`, { cause: error }) : error
  }
  await placeAdded(db)
  return ran
}

/** Stands in for a migration that a newer release has applied. */
const NO_OP: Migration = { up: async () => {} }

/** The names of this release's migrations that have not been applied. */
export async function missingMigrations<T>(db: Kysely<T>): Promise<string[]> {
  const [ours, applied] = await Promise.all([migrationNames(), appliedMigrations(db)])
  return ours.filter((name) => !applied.includes(name))
}

async function appliedMigrations<T>(db: Kysely<T>): Promise<string[]> {
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
    await Promise.all(
      names.map(async (name) => [name, onCluster(await import(new URL(`${name}.ts`, FOLDER).href))] as const),
    ),
  )
}

/**
 * Makes a migration use one connection to each node: Citus refuses to change a small table or a function after a statement of the same
 * transaction that used several. Postgres without Citus accepts the setting and ignores it.
 */
const onCluster = ({ up }: Migration): Migration => ({
  async up(db) {
    await sql`set local citus.multi_shard_modify_mode = 'sequential'`.execute(db)
    await up(db)
  },
})

/**
 * Waits up to 30 s until the database answers.
 * @param say reports each failed attempt
 * @throws {DatabaseUnavailable} the last failure, after 30 s or when `signal` aborts; immediately when the server refuses the login
 */
export async function waitForDatabase<T>(
  db: Kysely<T>,
  say: (sentence: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + WAIT_MS
  for (;;) {
    try {
      await sql`select 1`.execute(db)
      return
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || isRefusal(error) || signal?.aborted || Date.now() > deadline)
        throw error
      const left = Math.max(0, Math.round((deadline - Date.now()) / 1000))
      say(
        `The database does not answer yet (${(error.cause as Error).message || error.message}); retrying for ${left} s.`,
      )
      await sleep(1_000, undefined, { signal }).catch(() => {})
    }
  }
}

/** Whether the server refused the login (SQLSTATE class 28, or 3D000: no such database). Retrying does not help. */
export function isRefusal(error: DatabaseUnavailable): boolean {
  const { code = '' } = error.cause as { code?: string }
  return code.startsWith('28') || code === '3D000'
}
