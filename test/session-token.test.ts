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
