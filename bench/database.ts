import pg from 'pg'
import { readConfig } from '../src/config.ts'
import { connect } from '../src/db/connect.ts'
import { migrateToLatest } from '../src/db/migrate.ts'
import { verify } from '../src/ledger/verify.ts'
import { query } from '../test/support/database.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { parentOf } from './usage.ts'

/**
 * A temporary Postgres with fsync, since the cost of a commit is part of the measurement. Its buffers hold the database of a small
 * service. There is no checkpoint during a run, because it would distort single rounds.
 */
export const durablePostgres = () =>
  startPostgres({
    settings: {
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      shared_buffers: '1GB',
      max_wal_size: '16GB',
      checkpoint_timeout: '1h',
    },
  })

const rethrow = (error: Error) => {
  throw error
}

/** Connects to a database as the service does and closes the connection afterwards. */
export async function withDatabase<Result>(
  url: string,
  act: (db: Awaited<ReturnType<typeof connect>>) => Promise<Result>,
) {
  const db = await connect(readConfig({ DATABASE_URL: url }).database, {
    lostConnection: rethrow,
    lostFolder: rethrow,
  })
  try {
    return await act(db)
  } finally {
    await db.destroy()
  }
}

/** Creates an empty database. @returns its URL */
export async function createDatabase(server: string, name: string): Promise<string> {
  await query(server, `create database ${name} template template0 encoding 'UTF8' locale 'C' locale_provider libc`)
  const url = new URL(server)
  url.pathname = name
  return url.href
}

/** Creates a database with the service's schema. @returns its URL */
export async function migratedDatabase(server: string, name: string): Promise<string> {
  const url = await createDatabase(server, name)
  await withDatabase(url, migrateToLatest)
  return url
}

/** The process id of the postmaster; NaN without /proc. */
export async function postmasterOf(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return parentOf(rows[0]?.pid ?? Number.NaN)
  } finally {
    await client.end()
  }
}

/** Verifies the ledger. @throws {Error} naming the checks that do not hold */
export async function mustBeRight(url: string): Promise<void> {
  const { ok, checks } = await withDatabase(url, verify)
  const broken = checks.filter(({ violations }) => violations > 0).map(({ name }) => name)
  if (!ok) throw new Error(`The ledger is broken: ${broken.join('; ')}`)
}
