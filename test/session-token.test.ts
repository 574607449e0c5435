import t, { type Test } from 'tap'
import { startClerk } from './support/clerk-stand-in.ts'
import { start } from './support/start.ts'

const URL_OF_TOKEN = '/api/sessionToken'
const APP = 'https://app.example.com'

/** The service with Clerk as its identity, and somebody signed in there. */
async function withClerk(t: Test) {
  const clerk = await startClerk(t)
  const service = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ALLOWED_ORIGINS: APP })
  const somebody = clerk.signIn()
  const { app } = service
  const ask = (headers: Record<string, string>, query = '') => app.inject({ url: `${URL_OF_TOKEN}${query}`, headers })
  const bearer = async (claims: object = {}) => ({
    authorization: `Bearer ${await clerk.token({ ...somebody, ...claims })}`,
  })
  /** What the sign-in page does; the cookie that it gets */
  async function openSession(claims: object = {}) {
    const payload = { token: await clerk.token({ ...somebody, ...claims }) }
    const headers = { origin: clerk.env.PUBLIC_URL }
    const opened = await app.inject({ method: 'POST', url: '/api/session', payload, headers })
    t.equal(opened.statusCode, 200, opened.body)
    return { cookie: opened.cookies.map(({ name, value }) => `${name}=${value}`).join('; ') }
  }
  return { ...service, clerk, somebody, ask, bearer, openSession }
}

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

t.test('our session gets a token long after the JWT that opened it has expired', async (t) => {
  const { ask, app, openSession, clerk, somebody } = await withClerk(t)
  const exp = inSeconds(2)
  const first = await clerk.token({ ...somebody, exp })
  const session = await openSession({ exp })
  const get = () => app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${first}` } })
  // Clocks may differ by 5 s.
  for (const giveUp = Date.now() + 15_000; Date.now() < giveUp && (await get()).statusCode === 200; ) {
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  t.match((await get()).json(), { error: 'token_expired' })

  const answer = await ask(session)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'cache-control': 'no-store', vary: /Origin/i })
  const { token, expires_at } = answer.json()
  t.match(claimsOf(token), { sub: somebody.sub, sid: somebody.sid })
  t.equal(Date.parse(expires_at), claimsOf(token).exp * 1000)
  const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  t.match(wallet.json(), { account: { clerk_id: somebody.sub } })
})

t.test(
  'a JWT with half a minute left is answered as it is, without asking Clerk; an older one is replaced',
  async (t) => {
    const { ask, bearer, clerk } = await withClerk(t)
    const fresh = await bearer()
    t.equal(`Bearer ${(await ask(fresh)).json().token}`, fresh.authorization)
    const cookie = { cookie: `__session=${fresh.authorization.slice('Bearer '.length)}` }
    t.equal(`Bearer ${(await ask(cookie)).json().token}`, fresh.authorization, "Clerk's own cookie as well")
    t.strictSame(clerk.calls, [])

    const old = await bearer({ exp: inSeconds(20) })
    const { token } = (await ask(old)).json()
    t.not(`Bearer ${token}`, old.authorization)
    t.ok(claimsOf(token).exp > inSeconds(30))
  },
)

t.test('nothing is minted from an expired JWT, not even within what clocks may differ', async (t) => {
  const { ask, bearer, clerk } = await withClerk(t)
  for (const exp of [inSeconds(-2), inSeconds(-60)]) {
    const answer = await ask(await bearer({ exp }))
    t.match([answer.statusCode, answer.json()], [401, { error: 'token_expired', signin_url: /\/signin$/ }])
  }
  t.strictSame(clerk.calls, [])
})

t.test('a template is minted for a session and for a JWT with one; unknown ones are not found', async (t) => {
  const { ask, bearer, openSession, clerk } = await withClerk(t)
  clerk.templates.add('hasura')
  for (const headers of [await openSession(), await bearer()]) {
    t.match(claimsOf((await ask(headers, '?template=hasura')).json().token), { template: 'hasura' })
    for (const name of ['unknown', '..', 'a/b', 'a?b', 'a%2Fb', '', 'x'.repeat(65)]) {
      const answer = await ask(headers, `?template=${encodeURIComponent(name)}`)
      t.match([answer.statusCode, answer.json()], [404, { error: 'template_not_found' }], name)
    }
  }
  t.strictSame(
    clerk.calls.filter((call) => !/\/(sessions\/\w+|tokens\/(hasura|unknown))$/.test(call)),
    [],
  )
  const sessionless = await ask(await bearer({ sid: undefined }), '?template=hasura')
  t.match([sessionless.statusCode, sessionless.json()], [404, { error: 'token_not_available' }])
})

t.test('a session that Clerk has ended is ended here as well', async (t) => {
  const { ask, openSession, clerk, somebody, app } = await withClerk(t)
  const session = await openSession()
  clerk.sessions.set(somebody.sid, { userId: somebody.sub, status: 'ended' })
  const answer = await ask(session)
  t.match([answer.statusCode, answer.json()], [401, { error: 'session_ended', signin_url: /\/signin$/ }])
  t.match(answer.cookies, [{ name: 'focus_session', value: '' }])
  const wallet = await app.inject({ url: '/api/wallet', headers: session })
  t.match([wallet.statusCode, wallet.json()], [401, { error: 'not_signed_in' }])
})

t.test('while Clerk is away the answer is 503, and the session lives on', async (t) => {
  const { ask, openSession, clerk } = await withClerk(t)
  const session = await openSession()
  clerk.fail(/tokens/, { status: 502 })
  const answer = await ask(session)
  t.match([answer.statusCode, answer.json()], [503, { error: 'identity_provider_unavailable' }])
  t.match(answer.headers, { 'retry-after': /^\d+$/, 'cache-control': 'no-store' })
  clerk.heal()
  // A breaker may wait a moment before it asks again.
  let status = 503
  for (const giveUp = Date.now() + 15_000; status !== 200 && Date.now() < giveUp; ) {
    status = (await ask(session)).statusCode
    if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 200))
  }
  t.equal(status, 200)
})

t.test('who is not signed in is told where to, and never redirected', async (t) => {
  const { ask, bearer } = await withClerk(t)
  const page = `${APP}/jobs?x=1`
  for (const [headers, redirectTo] of [
    [{}, undefined],
    [{ referer: page }, page],
    [{ origin: APP, referer: `${APP}/` }, `${APP}/`],
    [{ origin: APP }, APP],
    [{ referer: 'https://evil.example/' }, undefined],
    [{ cookie: 'focus_session=unknown', accept: 'text/html', 'sec-fetch-dest': 'document' }, undefined],
  ] as [Record<string, string>, string | undefined][]) {
    const answer = await ask(headers)
    t.equal(answer.statusCode, 401)
    t.equal(answer.headers.location, undefined)
    const signin = new URL(answer.json().signin_url)
    t.equal(signin.searchParams.get('redirect_to') ?? undefined, redirectTo)
  }
  const foreign = await ask({ ...(await bearer()), origin: 'https://evil.example' })
  t.match([foreign.statusCode, foreign.json()], [403, { error: 'origin_not_allowed' }])
  const pending = await ask(await bearer({ sts: 'pending' }))
  t.match([pending.statusCode, pending.json()], [401, { error: 'session_pending' }])
})
