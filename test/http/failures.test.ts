import { randomBytes, randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { derivePat, hashOf } from '../../src/access/tokens.ts'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { openAccount } from '../../src/accounts/open.ts'
import { buildApp } from '../../src/app.ts'
import { connect } from '../../src/db/connect.ts'
import { newLocalSid } from '../../src/identity/local.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { type App, startOwn } from '../support/start.ts'

const MAX = 20
const LIMITED = { RATE_LIMIT_MAX: String(MAX) }

type Clerk = Awaited<ReturnType<typeof startClerk>>
type Headers = Record<string, string>

/** A service on the file's database whose statements are counted. */
async function counted(t: Test, env: Record<string, string>) {
  const { config } = await startOwn(t, env)
  const statements: { sql: string; parameters: readonly unknown[] }[] = []
  const handlers = { lostConnection: () => {}, lostFolder: () => {} }
  const db = await connect(config.database, handlers, ({ query }) => statements.push(query))
  const app = await buildApp(config, db)
  t.teardown(() => app.close().then(() => db.destroy()))
  /** How many keys were looked up; one statement looks up several. */
  const count = (text: RegExp) =>
    statements
      .filter(({ sql }) => text.test(sql))
      .reduce((sum, { parameters }) => sum + [parameters[0]].flat().length, 0)
  return { app, count }
}

/** Looking for a session, and for a token. */
const SESSIONS = /session_hash = /
const TOKENS = /t\.token_hash = /

/** Asks from one address. */
const asker =
  (app: App) =>
  (headers: Headers, url = '/api/wallet') =>
    app.inject({ url, headers, remoteAddress: '192.0.2.1' })

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const session = (cookie: string) => ({ cookie: `focus_session_3000=${cookie}` })
/** As long as a cookie of ours, with and without a MAC. */
const unsealed = (n: number) => session(String(n).padStart(43, 'A'))
const wronglySealed = (n: number) => session(`${String(n).padStart(43, 'A')}.${'B'.repeat(22)}`)

/** So many requests, one after another; how often each status came. */
async function times(count: number, send: () => Promise<LightMyRequestResponse>): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {}
  for (let n = 0; n < count; n++) {
    const { statusCode } = await send()
    statuses[statusCode] = (statuses[statusCode] ?? 0) + 1
  }
  return statuses
}

/** A personal access token of somebody new, straight into the database. */
async function patOf(app: App, clerk: Clerk): Promise<string> {
  const { sub } = clerk.signIn()
  const id = randomUUID()
  const token = derivePat('a secret', id, 'a code')
  const account_id = accountIdOf(sub)
  await openAccount(app.db, account_id, sub)
  await app.db
    .insertInto('tokens')
    .values({
      ...{ id, token_hash: hashOf(token), account_id, name: 'test', last_four: token.slice(-4) },
      ...{ scopes: ['account'], expires_at: new Date(Date.now() + 60_000) },
    })
    .execute()
  return token
}

const newJwt = async (clerk: Clerk) => bearer(await clerk.token(clerk.signIn()))

t.test('junk costs neither a look-up nor a signature once the failures of its address are spent', async (t) => {
  const clerk = await startClerk(t)
  const { app, count } = await counted(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ...LIMITED })
  let verified = 0
  const { verify } = app.identity
  app.identity.verify = (token, deadline) => {
    verified++
    return verify(token, deadline)
  }
  const ask = asker(app)
  const ago = Math.floor(Date.now() / 1000) - 200
  const junk: ((n: number) => Headers | Promise<Headers>)[] = [
    unsealed,
    wronglySealed,
    async () => bearer(await clerk.token({ ...clerk.signIn(), iat: ago, nbf: ago, exp: ago + 100 })),
    (n) => bearer(`${n}.junk.junk`),
    (n) => bearer(`focus_pat_${n}`),
    () => ({ authorization: 'Basic junk' }),
  ]
  let next = 0
  const send = async () => ask((await junk[next++ % junk.length]?.(next)) ?? {})
  t.strictSame(await times(MAX, send), { 401: MAX })
  const before = [count(SESSIONS), count(TOKENS), verified]
  t.ok(count(SESSIONS) > 0 && verified > 0, 'until then it is looked at')
  t.strictSame(await times(5 * junk.length, send), { 429: 5 * junk.length })
  t.match((await send()).headers, { 'retry-after': /^\d+$/, 'ratelimit-limit': String(MAX) })
  t.strictSame([count(SESSIONS), count(TOKENS), verified], before)

  t.strictSame(await times(2, () => ask({})), { 401: 2 }, 'who shows nothing is served')
  t.equal((await ask({}, '/api/openapi.json')).statusCode, 200)
  t.equal((await ask(unsealed(0), '/account')).statusCode, 303, 'a page leads to the sign-in')
  t.strictSame([count(SESSIONS), count(TOKENS), verified], before)
})

t.test('many at once get no more look-ups than one after the other', async (t) => {
  const { app, count } = await counted(t, LIMITED)
  const replies = await Promise.all(Array.from({ length: 10 * MAX }, (_, n) => asker(app)(unsealed(n))))
  for (const { statusCode } of replies) t.ok([401, 429].includes(statusCode), `${statusCode}`)
  t.equal(count(SESSIONS), MAX)
})

t.test('genuine credentials never pay for the junk of their neighbours', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await startOwn(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ...LIMITED })
  const ask = asker(app)
  const opened = await app.inject({
    method: 'POST',
    url: '/api/session',
    headers: { origin: clerk.env.PUBLIC_URL },
    payload: { token: await clerk.token(clerk.signIn()) },
  })
  const cookie = session(opened.cookies[0]?.value ?? '')
  const pats = await Promise.all([1, 2, 3].map(() => patOf(app, clerk)))

  const { privateKey } = await crypto.subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ['sign', 'verify'],
  )
  const wrong = ['junk', 'focus_pat_junk', `focus_pat_${'a'.repeat(49)}`]
  for (let n = 0; n < 10; n++) wrong.push(await clerk.token(clerk.signIn(), { key: privateKey }))
  let next = 0
  const junk = () => ask(bearer(wrong[next++ % wrong.length] ?? ''))
  t.strictSame(await times(3 * MAX, junk), { 401: MAX, 429: 2 * MAX })

  // A backend that sends its users' tokens: each of them is new here.
  t.strictSame(await times(2 * MAX, async () => ask(await newJwt(clerk))), { 200: 2 * MAX })
  for (const pat of pats) t.equal((await ask(bearer(pat))).statusCode, 200)
  t.equal((await ask(cookie)).statusCode, 200)
  t.strictSame(await times(MAX - 2, () => ask(cookie, '/account')), { 200: MAX - 2 }, 'pages too')
  const jwts = await Promise.all(Array.from({ length: 5 * MAX }, () => newJwt(clerk)))
  const replies = await Promise.all(jwts.map((headers) => ask(headers)))
  t.strictSame([...new Set(replies.map(({ statusCode }) => statusCode))], [200], 'many at once, too')
  t.equal((await junk()).statusCode, 429)
})

t.test('the pages of one person do not use up the pages of another at the same address', async (t) => {
  const { app, person } = await startOwn(t, LIMITED)
  const ask = asker(app)
  const [ada, bob] = [await person(), await person()]
  t.strictSame(await times(MAX + 1, () => ask({ cookie: ada.cookie }, '/account')), { 200: MAX, 429: 1 })
  t.equal((await ask({ cookie: bob.cookie }, '/account')).statusCode, 200)
  t.equal((await ask({}, '/signin')).statusCode, 200)
})

t.test('pages count by the person whose session lives; dead cookies share the limit of their address', async (t) => {
  const { app, person } = await startOwn(t, LIMITED)
  const ask = asker(app)
  const [ada, bob] = [await person(), await person()]
  const cookies = [ada.cookie, ada.cookie]
  for (const n of [0, 1]) {
    const again = await app.inject({ method: 'POST', url: '/signin', payload: { email: ada.email } })
    cookies[n] = again.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
  let next = 0
  const page = () => ask({ cookie: cookies[next++ % 2] ?? '' }, '/api/openapi.json')
  t.strictSame(await times(MAX + 1, page), { 200: MAX, 429: 1 }, 'several sessions are one person')
  await app.db.deleteFrom('sessions').where('account_id', '=', ada.id).execute()
  t.strictSame(await times(MAX + 2, page), { 200: MAX, 429: 2 })
  t.equal((await ask({}, '/api/openapi.json')).statusCode, 429)
  t.equal((await ask({ cookie: bob.cookie }, '/api/openapi.json')).statusCode, 200)
})

t.test('what has failed is refused from memory for a minute', async (t) => {
  const clerk = await startClerk(t)
  const { app, count } = await counted(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const ask = asker(app)
  const pat = await patOf(app, clerk)
  await app.db.updateTable('tokens').set({ revoked_at: new Date() }).where('token_hash', '=', hashOf(pat)).execute()
  t.strictSame(await times(5, () => ask(bearer(pat))), { 401: 5 })
  t.match((await ask(bearer(pat))).json(), { error: 'token_revoked' }, 'in the same words')
  t.equal(count(TOKENS), 1)
  t.strictSame(await times(5, () => ask(unsealed(1))), { 401: 5 })
  t.equal(count(SESSIONS), 1)
})

t.test('a secret that has failed as one kind of credential can be good as another', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await startOwn(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const pat = await patOf(app, clerk)
  const asKey = await app.inject({
    method: 'POST',
    url: '/api/jobs/fail',
    headers: { 'x-app-key': pat },
    payload: { job_id: randomUUID(), account_id: randomUUID() },
  })
  t.equal(asKey.json().error, 'settle_key_invalid')
  t.equal((await asker(app)(bearer(pat))).statusCode, 200)
})

t.test('a token of a key that is not known yet is no failure for long', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await startOwn(t, clerk.env)
  const ask = asker(app)
  const [published] = clerk.jwks.keys.splice(0, 1)
  clerk.jwks.keys.push({ ...published, kid: 'another' })
  const token = await newJwt(clerk)
  t.equal((await ask(token)).statusCode, 401)
  if (published) clerk.jwks.keys.push(published)
  // The keys are fetched again after ten seconds.
  const { now } = performance
  performance.now = () => now.call(performance) + 11_000
  t.teardown(() => {
    performance.now = now
  })
  t.equal((await ask(token)).statusCode, 200)
})

t.test(
  'a session cookie of the release before opens what it did, while the failures of its address last',
  async (t) => {
    const { app, person } = await startOwn(t, LIMITED)
    const { id: account_id } = await person()
    const secret = randomBytes(32).toString('base64url')
    await app.db
      .insertInto('sessions')
      .values({
        ...{ session_hash: hashOf(secret), account_id, clerk_sid: newLocalSid(), name: null },
        expires_at: new Date(Date.now() + 60_000),
      })
      .execute()
    const ask = asker(app)
    t.equal((await ask(session(secret))).statusCode, 200)
    let next = 0
    t.strictSame(await times(MAX, () => ask(bearer(`${next++}`))), { 401: MAX })
    t.equal((await ask(session(secret))).statusCode, 429)
  },
)
