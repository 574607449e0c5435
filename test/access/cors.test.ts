import { mock } from 'node:test'
import t from 'tap'
import { createOrigins } from '../../src/access/origins.ts'
import { startBackground } from '../../src/background/index.ts'
import { type App, start, unique } from '../support/start.ts'

const APP = 'https://app.example.com'
const ENV = { ALLOWED_ORIGINS: `${APP},https://other.example.com:8443` }

const preflight = (app: App, origin: string, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'OPTIONS',
    url: '/api/jobs',
    headers: { origin, 'access-control-request-method': 'POST', ...headers },
  })

async function isAllowed(app: App, origin: string): Promise<boolean> {
  const { headers } = await app.inject({ url: '/api/wallet', headers: { origin } })
  return headers['access-control-allow-origin'] === origin
}

t.test('an allowed origin reads answers with credentials, errors included', async (t) => {
  const { app, person } = await start(t, ENV)
  const ada = await person()
  for (const origin of [APP, 'https://other.example.com:8443', 'http://localhost:3000']) {
    for (const [status, reply] of [
      [200, await ada.get('/api/wallet', { origin })],
      [400, await ada.get('/api/wallet?app=NO', { origin })],
      [401, await app.inject({ url: '/api/wallet', headers: { origin } })],
      [402, await ada.reserve(1_000_000, { origin })],
      [404, await ada.get('/api/nothing', { origin })],
    ] as const) {
      t.equal(reply.statusCode, status)
      t.equal(reply.headers['access-control-allow-origin'], origin, `${status} to ${origin}`)
      t.equal(reply.headers['access-control-allow-credentials'], 'true')
      t.match(reply.headers.vary, /\bOrigin\b/i)
      t.match(reply.headers['access-control-expose-headers'], /Idempotency-Replayed.*Retry-After/)
    }
  }
})

t.test('no other origin reads anything, and no wildcard is ever answered', async (t) => {
  const { app, person } = await start(t, ENV)
  const ada = await person()
  for (const origin of [
    'https://elsewhere.example',
    'http://app.example.com',
    'https://app.example.com:444',
    'https://app.example.com.elsewhere.example',
    'https://sub.app.example.com',
    'https://APP.example.com',
    'https://app.example.com/',
    'null',
    '*',
  ]) {
    for (const reply of [await ada.get('/api/wallet', { origin }), await preflight(app, origin)]) {
      t.equal(reply.headers['access-control-allow-origin'], undefined, origin)
      t.equal(reply.headers['access-control-allow-credentials'], undefined, origin)
      t.match(reply.headers.vary, /\bOrigin\b/i, 'a cache must not hand this to an allowed origin')
    }
  }
  const { headers } = await ada.get('/api/wallet')
  t.equal(headers['access-control-allow-origin'], undefined, 'without Origin')
})

t.test('preflights of allowed origins are answered without signing in', async (t) => {
  const { app } = await start(t, ENV)
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    const reply = await preflight(app, APP, {
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    })
    t.equal(reply.statusCode, 204)
    t.equal(reply.headers['access-control-allow-origin'], APP)
    t.equal(reply.headers['access-control-allow-credentials'], 'true')
    t.match(reply.headers['access-control-allow-methods'], method)
    t.match(reply.headers['access-control-allow-headers'], /authorization.*content-type.*idempotency-key/)
    t.match(reply.headers['access-control-max-age'], /^\d+$/)
  }
})

t.test("a registered app's origins join, on this instance and on another, and leave again", async (t) => {
  const [here, there] = [await start(t), await start(t)]
  const admin = await here.admin()
  const origin = `https://${unique('app')}.example.com`
  const slug = unique('app')
  const put = (origins: string[]) => admin.put(`/api/admin/apps/${slug}`, { starter_credits: 0, origins })

  t.notOk(await isAllowed(here.app, origin))
  t.equal((await put([origin])).statusCode, 200)
  t.ok(await isAllowed(here.app, origin), 'at once where it was registered')
  t.equal((await preflight(here.app, origin)).headers['access-control-allow-origin'], origin)
  await there.app.origins.refresh()
  t.ok(await isAllowed(there.app, origin), 'on the other')

  await put([])
  t.notOk(await isAllowed(here.app, origin), 'removed at once')
  await there.app.origins.refresh()
  t.notOk(await isAllowed(there.app, origin), 'removed on the other')
})

t.test('another instance learns of a change by itself within 15 s', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { app, db } = await start(t)
  t.teardown(startBackground(app))
  const origin = `https://${unique('late')}.example.com`
  await db
    .insertInto('apps')
    .values({ slug: unique('late'), starter_credits: 0, origins: [origin] })
    .execute()
  mock.timers.tick(10_000)
  for (let asked = 0; asked < 100 && !(await isAllowed(app, origin)); asked++) await db.selectFrom('apps').execute()
  t.ok(await isAllowed(app, origin))
})

t.test('of refreshes that cross, the younger one counts, in whichever order they end', async (t) => {
  const { db, config } = await start(t)
  const [gone, kept] = [`https://${unique('gone')}.example.com`, `https://${unique('kept')}.example.com`]
  const slug = unique('crossing')
  const save = (origins: string[]) =>
    db
      .insertInto('apps')
      .values({ slug, starter_credits: 0, origins })
      .onConflict((conflict) => conflict.column('slug').doUpdateSet({ origins }))
      .execute()
  // The first query's rows arrive when they are let through.
  const arrival = Promise.withResolvers<void>()
  const read = Promise.withResolvers<void>()
  let queries = 0
  const slow = db.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      if (++queries === 1) {
        read.resolve()
        await arrival.promise
      }
      return result
    },
  })
  const origins = createOrigins(config, slow)
  await save([gone, kept])
  const older = origins.refresh()
  await read.promise
  await save([kept])
  await origins.refresh()
  t.strictSame([origins.isAllowed(gone), origins.isAllowed(kept)], [false, true])
  arrival.resolve()
  await older
  t.strictSame([origins.isAllowed(gone), origins.isAllowed(kept)], [false, true], 'what was removed stays removed')
})

t.test('a database that does not answer leaves the known origins allowed', async (t) => {
  const { app, db, admin } = await start(t)
  const origin = `https://${unique('app')}.example.com`
  await (await admin()).put(`/api/admin/apps/${unique('app')}`, { starter_credits: 0, origins: [origin] })
  await db.schema.alterTable('apps').renameTo('apps_elsewhere').execute()
  t.teardown(() => db.schema.alterTable('apps_elsewhere').renameTo('apps').execute())
  await t.rejects(app.origins.refresh())
  t.ok(await isAllowed(app, origin))
})

t.test('origins that are none are refused, and the field is named', async (t) => {
  const { app, admin } = await start(t)
  const somebody = await admin()
  for (const origin of ['*', 'https://*.example.com', 'https://a.example.com/path', 'a.example.com', 'null', '']) {
    const reply = await somebody.put(`/api/admin/apps/${unique('app')}`, { starter_credits: 0, origins: [origin] })
    t.equal(reply.statusCode, 400, origin)
    t.equal(reply.json().field, 'origins')
    t.notOk(await isAllowed(app, origin || 'null'))
  }
})
