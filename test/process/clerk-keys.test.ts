import { generateKeyPair } from 'jose'
import t from 'tap'
import { errorBody, startClerk } from '../support/clerk-stand-in.ts'
import { unique } from '../support/start.ts'
import { until } from '../support/until.ts'
import { withClerk } from '../support/with-clerk.ts'

// These tests mostly wait for time-outs. Each has a service and a Clerk of its own.
t.jobs = 3

const JWKS = /jwks/

t.test('a flood of tokens with made-up key ids costs one call, and harms nobody', async (t) => {
  const { app, clerk, timed } = await withClerk(t, { withKey: false })
  const { privateKey } = await generateKeyPair('RS256')
  const forged = (kid: string) => clerk.token({ sub: 'user_1', sid: 'sess_1' }, { key: privateKey, header: { kid } })
  const tokens = await Promise.all(Array.from({ length: 100 }, () => forged(unique('kid'))))
  const flood = () =>
    Promise.all(
      tokens.map((token) => app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })),
    )
  for (const reply of [...(await flood()), ...(await flood())]) {
    t.equal(reply.statusCode, 401)
    t.equal(reply.json().error, 'invalid_token')
  }
  t.equal(clerk.count(JWKS), 1)
  t.equal((await timed('/api/wallet')).reply.statusCode, 200, 'the key is known from that one call')
  t.equal(clerk.count(JWKS), 1)

  clerk.fail(JWKS, { instead: 'silent' })
  for (const reply of await flood()) t.equal(reply.statusCode, 401, 'nor does it wait while Clerk is silent')
})

t.test('a flood before any key is known, with Clerk down, costs a handful of calls', async (t) => {
  const { clerk, timed } = await withClerk(t, { withKey: false })
  clerk.fail(JWKS, { status: 500 })
  for (let wave = 0; wave < 6; wave++) {
    const all = await Promise.all(Array.from({ length: 20 }, () => timed('/api/wallet')))
    for (const { reply } of all) t.equal(reply.json().error, 'identity_provider_unavailable')
  }
  t.ok(clerk.count(JWKS) <= 6, `${clerk.count(JWKS)} calls`)
  clerk.heal()
  await until(async () => (await timed('/api/wallet')).reply.statusCode === 200)
})

t.test('a flood while Clerk asks to slow down costs one call in two seconds', async (t) => {
  const { clerk, timed } = await withClerk(t, { withKey: false })
  clerk.fail(JWKS, { status: 429, headers: { 'retry-after': '3' }, body: errorBody('too_many_requests', '') })
  const began = performance.now()
  for (let wave = 0; wave < 3; wave++) {
    const all = await Promise.all(Array.from({ length: 10 }, () => timed('/api/wallet')))
    for (const { reply } of all) t.match([reply.statusCode, reply.headers['retry-after']], [429, '3'])
  }
  t.ok(clerk.count(JWKS) <= 1 + (performance.now() - began) / 2_000, `${clerk.count(JWKS)} calls`)
})

t.test('what is no JWT costs no call at all', async (t) => {
  const { app, clerk } = await withClerk(t, { withKey: false })
  for (const junk of ['junk', 'a.b.c', '..', 'e30', 'e30.e30.', 'focus_x']) {
    const reply = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${junk}` } })
    t.equal(reply.json().error, 'invalid_token', junk)
  }
  t.strictSame(clerk.calls, [])
})

t.test('a secret key that Clerk refuses is our fault, also when it is asked for keys', async (t) => {
  const lines: string[] = []
  const { clerk, timed } = await withClerk(t, { withKey: false, log: (line) => lines.push(line) })
  clerk.fail(JWKS, { status: 401, body: errorBody('clerk_key_invalid', '') })
  t.equal((await timed('/api/wallet')).reply.statusCode, 500)
  t.match(lines.join(''), /CLERK_SECRET_KEY is misconfigured/)
})

t.test('a new key of Clerk is taken up within ten seconds, and one that it withdrew is not trusted', async (t) => {
  const { app, clerk, somebody, timed } = await withClerk(t, { withKey: false })
  t.equal((await timed('/api/wallet')).reply.statusCode, 200)
  const other = await startClerk(t)
  const [key] = other.jwks.keys as { kid: string }[]
  clerk.jwks.keys = [...other.jwks.keys]
  const ask = async () => {
    const token = await other.token({ ...somebody, iss: clerk.issuer }, { header: { kid: key?.kid } })
    return app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  }
  const began = performance.now()
  await until(async () => (await ask()).statusCode === 200)
  t.ok(performance.now() - began < 11_000)
  t.equal((await timed('/api/wallet')).reply.statusCode, 401, 'the old one is gone')
})
