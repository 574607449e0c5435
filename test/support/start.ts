import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { type Config, readConfig } from '../../src/config.ts'
import { connect } from '../../src/db/connect.ts'
import { migrateToLatest } from '../../src/db/migrate.ts'
import type { Db } from '../../src/db/tables.ts'
import { verify } from '../../src/ledger/verify.ts'
import { loggerOf } from '../../src/observe/log.ts'
import { checkCopies } from './copies.ts'
import { freshDatabase, isCluster } from './database.ts'
import { departure } from './document.ts'

export type App = Awaited<ReturnType<typeof buildApp>>
type Headers = Record<string, string>
type Reply = LightMyRequestResponse

let fileDatabase: ReturnType<typeof freshDatabase> | undefined
let shared: Shared[] = []

t.teardown(() => endFile())

/** The database of this test file: cloned when first used, dropped after the file's last test. */
export async function databaseUrl(): Promise<string> {
  fileDatabase ??= freshDatabase()
  return (await fileDatabase).url
}

/**
 * Ends a test file: closes its services, checks every invariant of the ledger in its database, and drops that.
 * @throws where an invariant does not hold, or copies of a table on the nodes of a cluster differ
 */
export async function endFile(): Promise<void> {
  const [database, services] = [fileDatabase, shared]
  fileDatabase = undefined
  shared = []
  await Promise.all(services.map(stop))
  if (!database) return
  const { url, drop } = await database
  try {
    const db = await openDatabase(readConfig({ DATABASE_URL: url }))
    await checkLedger(db).finally(() => db.destroy())
    if (isCluster()) await checkCopies(url)
  } finally {
    await drop()
  }
}

async function checkLedger(db: Db): Promise<void> {
  const { ok, checks } = await verify(db)
  const broken = checks.filter(({ violations }) => violations > 0)
  if (!ok) throw new Error(`The ledger is broken: ${JSON.stringify(broken, null, 2)}`)
}

/** How the service reaches a database: directly, or through TEST_POOLER_URL (npm run test:pgbouncer). */
function serviceDatabase(url: string): Record<string, string> {
  const { TEST_POOLER_URL } = process.env
  if (!TEST_POOLER_URL) return { DATABASE_URL: url }
  return { DATABASE_URL: new URL(new URL(url).pathname, TEST_POOLER_URL).href, STATEMENT_NAMES: 'off' }
}

/** A service that the tests of one file use, one after the other or at the same time. */
interface Shared {
  /** Its configuration */
  key: string
  service: Promise<Service>
  /** How many tests use it now */
  users: number
}

const usedBy = new WeakMap<Test, Shared[]>()
/** Most tests of a file ask for the same configuration. Beyond these, unused services are closed. */
const MAX_UNUSED = 3

/**
 * The service on the file's database, ready for requests. The tests of a file share one service for each configuration;
 * a test that calls this twice gets two. They are closed, and the ledger is verified, when the file ends.
 * @param env configuration beside the defaults; `DATABASE_URL: ''` takes PGlite in a temporary folder
 */
export async function start(t: Test, env: Record<string, string> = {}): Promise<Service> {
  const key = JSON.stringify(env)
  const mine = usedBy.get(t) ?? []
  usedBy.set(t, mine)
  let found = shared.find((candidate) => candidate.key === key && !mine.includes(candidate))
  if (!found) {
    found = { key, service: build(env), users: 0 }
    shared.push(found)
  }
  const used = found
  used.users++
  mine.push(used)
  t.teardown(async () => {
    used.users--
    const unused = shared.filter(({ users }) => users === 0)
    const { closed } = await used.service
    const surplus = closed() ? [used] : unused.slice(0, -MAX_UNUSED)
    shared = shared.filter((candidate) => !surplus.includes(candidate))
    await Promise.all(surplus.map(stop))
  })
  return used.service
}

/**
 * A service that no other test uses: for tests that listen, close it, count what it remembers or read its log.
 * @param env as for `start`
 * @param log gets every line of the log, as the service writes it at level trace; absent: nothing is logged
 */
export async function startOwn(t: Test, env: Record<string, string> = {}, log?: (line: string) => void) {
  const service = await build(env, log)
  t.teardown(() => service.stop())
  return service
}

const stop = async ({ service }: Pick<Shared, 'service'>): Promise<void> => (await service).stop()

type Service = Awaited<ReturnType<typeof build>>

async function build(env: Record<string, string>, log?: (line: string) => void) {
  const folder = env.DATABASE_URL === '' ? await mkdtemp(join(tmpdir(), 'focus-pglite-')) : undefined
  const config = readConfig({
    LOG_LEVEL: 'silent',
    // Tests send more requests than people do. Those of the limits set their own.
    RATE_LIMIT_MAX: '1000000',
    ...(folder ? { DATA_DIR: folder } : serviceDatabase(await databaseUrl())),
    ...env,
  })
  const db = await openDatabase(config)
  const logger = log && { ...(loggerOf(config) as object), level: 'trace', stream: { write: log } }
  const app = await buildApp(config, db, logger && { logger })
  holdToDocument(app)
  let closed = false
  app.addHook('onClose', async () => {
    closed = true
  })
  return {
    app,
    db,
    config,
    closed: () => closed,
    async stop(): Promise<void> {
      await app.close()
      if (folder) await checkLedger(db)
      await db.destroy()
      if (folder) await rm(folder, { recursive: true })
    },
    person: (email?: string) => person(app, email),
    admin: () => person(app, 'admin@example.com'),
  }
}

/** Makes `app.inject` throw where an answer is not as the OpenAPI document says. */
function holdToDocument(app: App): void {
  const inject = app.inject.bind(app) as (request: InjectOptions | string) => Promise<Reply>
  app.inject = (async (request: InjectOptions | string) => {
    const reply = await inject(request)
    const fault = departure(reply.raw.req.method ?? '', reply.raw.req.url ?? '', reply)
    if (fault) throw new Error(`The document says otherwise: ${fault}`)
    return reply
  }) as typeof app.inject
}

async function openDatabase(config: Config): Promise<Db> {
  const rethrow = (error: Error) => {
    throw error
  }
  const db = await connect(config.database, { lostConnection: () => {}, lostFolder: rethrow })
  if (!config.database.url) await migrateToLatest(db)
  return db
}

/**
 * Subtracts an interval from a time, in UTC: `timestamptz - interval` depends on the session's time zone, and Citus refuses that in
 * an UPDATE.
 */
export const earlier = (column: string, interval: string) =>
  sql<Date>`(${sql.ref(column)} at time zone 'UTC' - ${interval}::interval) at time zone 'UTC'`

let people = 0
/** A value that no other test uses. */
export const unique = (prefix: string): string => `${prefix}-${process.pid}-${++people}`

export type Person = Awaited<ReturnType<typeof person>>

/** Somebody signed in via /signin, with a bearer token. */
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
      post('/api/jobs', { app: 'clips', action: 'render', cost_estimate }, headers),
    complete: (job_id: string, actual_cost: number, metadata?: object) =>
      post('/api/jobs/complete', { job_id, actual_cost, ...(metadata && { metadata }) }),
    fail: (job_id: string, refund?: boolean) =>
      post('/api/jobs/fail', { job_id, ...(refund !== undefined && { refund }) }),
    /** The entries of the ledger, newest first */
    entries: async () => (await get('/api/wallet/entries?limit=200')).json().entries,
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
