import { decodeJwt } from 'jose'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { start } from '../support/start.ts'

t.test('our session gets a token long after the JWT that opened it has expired', async (t) => {
  const clerk = await startClerk(t)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey })
  const somebody = clerk.signIn()
  const first = await clerk.token(somebody)
  const headers = { origin: clerk.env.PUBLIC_URL }
  const opened = await app.inject({ method: 'POST', url: '/api/session', payload: { token: first }, headers })
  const cookie = opened.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  const wallet = (token: string) => app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })
  t.equal((await wallet(first)).statusCode, 200)

  const { now } = Date
  t.intercept(Date, 'now', { value: () => now() + 600_000 })
  t.match((await wallet(first)).json(), { error: 'token_expired' }, 'ten minutes later')
  const answer = await app.inject({ url: '/api/sessionToken', headers: { cookie } })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'cache-control': 'no-store', vary: /Origin/i })
  const { token, expires_at } = answer.json()
  const { sub, sid, exp } = decodeJwt(token)
  t.match({ sub, sid, exp }, { ...somebody, exp: Date.parse(expires_at) / 1000 })
  t.match((await wallet(token)).json(), { account: { clerk_id: somebody.sub } })
})
