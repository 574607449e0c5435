import type { LightMyRequestResponse } from 'fastify'
import { type Kysely, sql } from 'kysely'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { type Config, readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import { migrateToLatest } from '../../src/db/migrate.ts'
import type { Tables } from '../../src/db/tables.ts'
import { verify } from '../../src/ledger/verify.ts'
import { loggerOf } from '../../src/observe/log.ts'
import { freshDatabase } from './database.ts'

export type App = Awaited<ReturnType<typeof buildApp>>
type Headers = Record<string, string>
type Reply = LightMyRequestResponse

let fileDatabase: ReturnType<typeof freshDatabase> | undefined
t.teardown(async () => (await fileDatabase)?.drop())

/** The database of this test file: cloned at its first use, dropped with the file. */
export async function databaseUrl(): Promise<string> {
  fileDatabase ??= freshDatabase()
  return (await fileDatabase).url
}

/** How the service reaches a database: as the tests do, or through TEST_POOLER_URL (npm run test:pgbouncer). */
function serviceDatabase(url: string): Record<string, string> {
  const { TEST_POOLER_URL } = process.env
  if (!TEST_POOLER_URL) return { DATABASE_URL: url }
  return { DATABASE_URL: new URL(new URL(url).pathname, TEST_POOLER_URL).href, STATEMENT_NAMES: 'off' }
}

/**
 * The service on the file's database, ready for requests. When the test ends the service is closed and every invariant
 * of the ledger is checked.
 * @param env configuration beside the defaults; `DATABASE_URL: ''` takes PGlite in a folder of the test's own
 * @param log gets every line of the log, as the service writes it at level trace; absent: nothing is logged
 */
export async function start(t: Test, env: Record<string, string> = {}, log?: (line: string) => void) {
  // tap removes a test's folder before its teardowns, unless there was a teardown before there was a folder.
  let stop = async () => {}
  t.teardown(() => stop())
  const config = readConfig({
    LOG_LEVEL: 'silent',
    // Tests ask more often than people do; those of the limits set their own.
    RATE_LIMIT_MAX: '1000000',
    ...(env.DATABASE_URL === '' ? { DATA_DIR: t.testdir() } : serviceDatabase(await databaseUrl())),
    ...env,
  })
  const db = await openDatabase(config)
  const logger = log && { ...(loggerOf(config) as object), level: 'trace', stream: { write: log } }
  const app = await buildApp(config, db, { ...(logger && { logger }) })
  stop = async () => {
    await app.close()
    const { ok, checks } = await verify(db)
    await db.destroy()
    const broken = checks.filter(({ violations }) => violations > 0)
    if (!ok) throw new Error(`The ledger is broken: ${JSON.stringify(broken, null, 2)}`)
  }
  return {
    app,
    db,
    config,
    person: (email?: string) => person(app, email),
    admin: () => person(app, 'admin@example.com'),
  }
}

async function openDatabase(config: Config): Promise<Kysely<Tables>> {
  const rethrow = (error: Error) => {
    throw error
  }
  const db = await connect(config.database, { lostConnection: () => {}, lostFolder: rethrow })
  if (!config.database.url) await migrateToLatest(db)
  return db
}

/**
 * A time in a column, so much earlier. In UTC, because Citus takes no other arithmetic on a column of an UPDATE: `timestamptz -
 * interval` depends on the session's time zone.
 */
export const earlier = (column: string, interval: string) =>
  sql`(${sql.ref(column)} at time zone 'UTC' - ${interval}::interval) at time zone 'UTC'`

let people = 0
/** A value that no other test uses. */
export const unique = (prefix: string): string => `${prefix}-${process.pid}-${++people}`

export type Person = Awaited<ReturnType<typeof person>>

/** Somebody signed in through the front door, with a bearer token. */
async function person(app: App, email = `${unique('somebody')}@example.com`) {
  const signin = await app.inject({ method: 'POST', url: '/signin', payload: { email } })
  const cookie = signin.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const { token } = (await app.inject({ url: '/api/sessionToken', headers: { cookie } })).json()
  const authorization = `Bearer ${token}`
  const get = (url: string, headers: Headers = {}): Promise<Reply> =>
    app.inject({ url, headers: { authorization, ...headers } })
  const post = (url: string, payload: object | string, headers: Headers = {}): Promise<Reply> =>
    app.inject({
      method: 'POST',
      url,
      payload,
      headers: { authorization, 'content-type': 'application/json', ...headers },
    })
  const { account } = (await get('/api/wallet')).json()

  return {
    id: account.id as string,
    clerkId: account.clerk_id as string,
    email,
    cookie,
    token: token as string,
    authorization,
    get,
    post,
    /** Posts as our own pages do: with the cookie, from our origin */
    postFromOurPage: (url: string, payload: object, headers: Headers = {}): Promise<Reply> =>
      app.inject({ method: 'POST', url, payload, headers: { cookie, origin: app.config.publicUrl, ...headers } }),
    put: (url: string, payload: object): Promise<Reply> =>
      app.inject({ method: 'PUT', url, payload, headers: { authorization } }),
    /** Reserves credits and returns the answer */
    reserve: (cost_estimate: number, headers: Headers = {}) =>
      post('/api/jobs', { app: 'video', action: 'render', cost_estimate }, headers),
    complete: (job_id: string, actual_cost: number, metadata?: object) =>
      post('/api/jobs/complete', { job_id, actual_cost, ...(metadata && { metadata }) }),
    fail: (job_id: string, refund?: boolean) =>
      post('/api/jobs/fail', { job_id, ...(refund !== undefined && { refund }) }),
    /** `{credits, held}` now */
    balance: async (): Promise<{ credits: number; held: number }> => {
      const { credits, held } = (await get('/api/wallet')).json().account
      return { credits, held }
    },
  }
}

/** Somebody with so many credits, given by the administrator. */
export async function personWith(app: App, amount: number): Promise<Person> {
  const [somebody, admin] = await Promise.all([person(app), person(app, 'admin@example.com')])
  const given = await admin.post('/api/admin/credits', {
    clerk_id: somebody.clerkId,
    amount,
    kind: 'admin_grant',
    reference: unique('given'),
    reason: 'for a test',
  })
  if (given.statusCode !== 200) throw new Error(given.body)
  return somebody
}
