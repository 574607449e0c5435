import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { explain } from '../../src/start.ts'
import { query } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { emptyDatabase, LISTENING, launch, signIn, temporaryFolder } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'
import { databaseUrl } from '../support/start.ts'

// The first test waits for 30 s; the others run beside it, one after another.
t.jobs = 2
// A dozen starts of the whole service, on a slow machine.
t.setTimeout(240_000)

const get = (url: string, headers = {}) => fetch(url, { headers, signal: AbortSignal.timeout(20_000) })

t.test('a database that does not come up within 30 s ends the process, after saying what it waits for', async (t) => {
  const service = await launch(t, { DATABASE_URL: `postgres://focus:hunter22@127.0.0.1:${await freePort()}/focus` })
  await service.said(/does not answer yet/)
  const before = performance.now()
  const { code, output } = await service.closed
  const took = (performance.now() - before) / 1000
  t.equal(code, 1)
  t.ok(took > 29 && took < 40, `${took} s`)
  t.match(output, /The database does not answer yet \(.*ECONNREFUSED.*\); retrying for \d+ s\./)
  t.match(output, /did not answer within 30 s .*DATABASE_URL/)
  t.notMatch(output, /^\s+at |hunter22/m)
})

t.test('SIGTERM while it waits for a database is a clean stop, also where that is silent', async (t) => {
  const proxy = await startProxy(t, await databaseUrl())
  for (const fail of [proxy.refuse, proxy.silence]) {
    await proxy.pass()
    await fail()
    const service = await launch(t, { DATABASE_URL: proxy.url })
    await service.said(/does not answer yet/)
    service.kill('SIGTERM')
    t.match(await service.closed, { code: 0, signal: null })
  }
})

t.test('a database that comes up in the meantime is used', async (t) => {
  const proxy = await startProxy(t, await emptyDatabase(t))
  await proxy.refuse()
  const service = await launch(t, { DATABASE_URL: proxy.url })
  await service.said(/does not answer yet/)
  await proxy.pass()
  await service.said(LISTENING)
  t.match(service.output(), /Migrated the database/)
  t.notMatch(service.output(), /PGlite/)
  t.equal((await get(`${service.url}/readyz`)).status, 200)
})

t.test('replicas that start together on an empty database both come up, with one key between them', async (t) => {
  const DATABASE_URL = await emptyDatabase(t)
  const PUBLIC_URL = 'http://localhost:3000'
  const replicas = await Promise.all([1, 2, 3].map(() => launch(t, { DATABASE_URL, PUBLIC_URL })))
  await Promise.all(replicas.map((replica) => replica.said(LISTENING)))
  const migrated = replicas.flatMap(
    (replica) => /Migrated the database: ([^"\n]*)/.exec(replica.output())?.[1]?.split(', ') ?? [],
  )
  t.ok(migrated.length > 20)
  t.equal(new Set(migrated).size, migrated.length, 'each migration ran at one of them')
  const [first, ...others] = replicas.map(({ port }) => `http://localhost:${port}`)
  const { authorization } = await signIn(first ?? '')
  for (const other of others) {
    t.equal((await get(`${other}/api/wallet`, { authorization })).status, 200, 'a token of one serves at the others')
  }
})

t.test('MIGRATE_ON_START=false leaves the schema alone', async (t) => {
  const DATABASE_URL = await emptyDatabase(t)
  const service = await launch(t, { DATABASE_URL, MIGRATE_ON_START: 'false' })
  const { code, output } = await service.closed
  t.equal(code, 1)
  t.match(output, /Run `npm run migrate`\./)
  t.notMatch(output, /^\s+at /m)
  t.strictSame(await query(DATABASE_URL, `select from pg_tables where schemaname = 'public'`), [])
})

t.test('a port that is taken is said in a sentence', async (t) => {
  const neighbour = createServer().listen(0, '127.0.0.1')
  await once(neighbour, 'listening')
  t.teardown(() => neighbour.close())
  const { port } = neighbour.address() as { port: number }
  const service = await launch(t, { DATABASE_URL: await databaseUrl(), PORT: String(port) })
  const { code, output } = await service.closed
  t.equal(code, 1)
  t.match(output, new RegExp(`Port ${port} .* is in use\\. .*PORT`))
  t.notMatch(output, /^\s+at /m)
})

t.test('an address or a folder that cannot be had is said in a sentence', async (t) => {
  const DATABASE_URL = await databaseUrl()
  const file = join(await temporaryFolder(t), 'file')
  await writeFile(file, '')
  for (const [env, pattern] of [
    [{ DATABASE_URL, HOST: '203.0.113.1', LOCAL_IDENTITY: 'expose' }, /203\.0\.113\.1.*HOST/],
    [{ DATA_DIR: file }, new RegExp(`${file}.*DATA_DIR`)],
  ] as const) {
    const { code, output } = await (await launch(t, env as unknown as Record<string, string>)).closed
    t.equal(code, 1)
    t.match(output, pattern)
    t.notMatch(output, /^\s+at /m)
  }
})

t.test('what an operator can mend is explained in a sentence, and everything else keeps its stack', async (t) => {
  const told = (properties: object) => explain(Object.assign(new Error('x'), properties))
  t.match(told({ code: 'ENOTFOUND', hostname: 'nowhere.invalid' }), /nowhere\.invalid.*HOST/)
  t.match(told({ code: 'EACCES', port: 80, address: '127.0.0.1' }), /port 80 .*PORT/)
  t.match(told({ code: 'EACCES', path: '/data' }), /^\/data .*DATA_DIR/)
  t.type(told({ code: 'E_ELSE' }), Error)
})

t.test('the package of Stripe is loaded where Stripe is configured, and nowhere else', async (t) => {
  const watch = `import { registerHooks } from 'node:module'
    registerHooks({ load(url, context, next) {
      if (url.includes('/node_modules/stripe/')) console.error('stripe was loaded')
      return next(url, context)
    } })`
  const nodeArgs = [`--import=data:text/javascript,${encodeURIComponent(watch)}`]
  const DATABASE_URL = await databaseUrl()
  const stripe = { STRIPE_SECRET_KEY: 'sk_test_1234567890', STRIPE_WEBHOOK_SECRET: 'whsec_1234567890' }
  for (const [env, expected] of [
    [{}, false],
    [stripe, true],
  ] as const) {
    const service = await launch(t, { DATABASE_URL, ...env }, nodeArgs)
    await service.said(LISTENING)
    t.equal((await get(`${service.url}/api/packs`)).status, 200)
    t.equal(service.output().includes('stripe was loaded'), expected)
    service.kill('SIGTERM')
    await service.closed
  }
})
