import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { query } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { holdAccounts } from '../support/hold.ts'
import { emptyDatabase, LISTENING, launch, reserveNothing, signIn, temporaryFolder } from '../support/process.ts'
import { databaseUrl } from '../support/start.ts'

// Half of the time is waiting: for a lock to be refused, and for a stale one to expire.
t.jobs = 2
// Several starts of the whole service, some with a new embedded database, on a slow machine.
t.setTimeout(240_000)

const get = (url: string, headers = {}) => fetch(url, { headers, signal: AbortSignal.timeout(20_000) })

t.test(
  'without any configuration it runs on PGlite and says what that is; crashes and neighbours do no harm',
  async (t) => {
    const DATA_DIR = join(await temporaryFolder(t), 'data')
    const service = await launch(t, { DATA_DIR })
    await service.said(LISTENING)
    await service.said(/The API documentation is at/)
    await service.said(/console is at http:\/\/localhost:\d+\/console\. Sign in as admin@example\.com\./)
    for (const sentence of [
      `is listening on ${service.url} `,
      DATA_DIR,
      'PGlite',
      'DATABASE_URL',
      'The local identity accepts any e-mail address without a password, for evaluation only.',
      'set CLERK_SECRET_KEY and CLERK_PUBLISHABLE_KEY',
    ]) {
      t.ok(service.output().includes(sentence), sentence)
    }
    const { authorization, cookie } = await signIn(service.url)
    const wallet = await (await get(`${service.url}/api/wallet?app=video`, { authorization })).json()
    t.match(wallet, { account: { credits: 20 } })

    const second = await launch(t, { DATA_DIR })
    const { code, output } = await second.closed
    t.equal(code, 1)
    t.match(output, `The data folder ${DATA_DIR} is in use by another process.`)
    t.match(output, /DATA_DIR.*DATABASE_URL/)
    t.notMatch(output, /^\s+at /m)
    t.equal((await get(`${service.url}/readyz`)).status, 200, 'the first one does not notice')

    service.kill('SIGKILL')
    await service.closed
    t.ok(existsSync(join(DATA_DIR, 'focus.lock')), 'a crash leaves the lock')
    const third = await launch(t, { DATA_DIR })
    await third.said(LISTENING)
    // The cookie's name carries the port, and this process has another one.
    const there = cookie.replace(/_\d+=/, `_${new URL(third.url).port}=`)
    const again = await (await get(`${third.url}/api/wallet`, { cookie: there })).json()
    t.match(again, { account: { credits: 20 } }, 'with what was there, the session included')

    third.kill('SIGINT')
    t.match(await third.closed, { code: 0, signal: null })
    t.notOk(existsSync(join(DATA_DIR, 'focus.lock')), 'a stop does not leave it')
  },
)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} lets a running request finish, takes no new one, closes the database and exits 0`, async (t) => {
    const url = await databaseUrl()
    const service = await launch(t, { DATABASE_URL: url, PUBLIC_URL: `http://localhost:${await freePort()}` })
    await service.said(LISTENING)
    const { authorization } = await signIn(service.url)
    const { account } = (await (await get(`${service.url}/api/wallet`, { authorization })).json()) as {
      account: { id: string }
    }

    const hold = await holdAccounts(t, url, account.id)
    const running = reserveNothing(service.url, authorization)
    await hold.waiting(1)

    service.kill(signal)
    // The listener closes first. A closed listener means that the signal was received.
    while (
      await get(`${service.url}/healthz`).then(
        () => true,
        () => false,
      )
    )
      await sleep(10)
    await hold.release()
    const reply = await running
    t.equal(reply.status, 200)
    t.match(await reply.json(), { account_id: account.id })
    t.match(await service.closed, { code: 0, signal: null })
    const left = await query(
      url,
      `select from pg_stat_activity
      where datname = current_database() and application_name = 'focus-api'`,
    )
    t.strictSame(left, [], 'no connection is left')
  })
}

/** Makes the process print a line once its signal handlers are installed. */
const ANNOUNCE_HANDLERS = [
  '--import',
  `data:text/javascript,process.on('newListener', (name) => name === 'SIGTERM' && process._rawDebug('minds signals'))`,
]

t.test('SIGTERM while the embedded database opens is a clean stop', async (t) => {
  const DATA_DIR = join(await temporaryFolder(t), 'data')
  for (const pattern of [/minds signals/, /Opening the embedded database/]) {
    const service = await launch(t, { DATA_DIR }, ANNOUNCE_HANDLERS)
    await service.said(pattern)
    service.kill('SIGTERM')
    const { output, ...end } = await service.closed
    t.strictSame(end, { code: 0, signal: null }, `${pattern}: ${output}`)
    t.notMatch(output, /^\s+at |Error/m)
    t.notOk(existsSync(join(DATA_DIR, 'focus.lock')), 'the folder is free')
  }
})

t.test('SIGTERM once the schema is made, or in the very moment in which it listens, is a clean stop', async (t) => {
  const DATABASE_URL = await emptyDatabase(t)
  for (const pattern of [/Migrated the database/, LISTENING]) {
    const service = await launch(t, { DATABASE_URL })
    await service.said(pattern)
    service.kill('SIGTERM')
    const { output, ...end } = await service.closed
    t.strictSame(end, { code: 0, signal: null }, `${pattern}: ${output}`)
    t.notMatch(output, /^\s+at |Error/m)
  }
})
