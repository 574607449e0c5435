import type { Test } from 'tap'
import { startClerk } from './clerk-stand-in.ts'
import { startOwn } from './start.ts'

/**
 * The service with a Clerk of its own, and somebody there who has an account at X.
 * @param withKey whether the service is told Clerk's key, or has to ask for it
 */
export async function withClerk(t: Test, { withKey = true, log = (_line: string) => {} } = {}) {
  const clerk = await startClerk(t)
  const env = { ...clerk.env, ...(withKey && { CLERK_JWT_KEY: clerk.jwtKey }) }
  const { app } = await startOwn(t, env, log)
  const somebody = clerk.signIn()
  const connection = {
    object: 'oauth_access_token',
    external_account_id: 'eac_1',
    token: 'x-token',
    provider: 'oauth_x',
  }
  clerk.users.set(somebody.sub, { oauth_x: [connection] })
  const bearer = async () => ({ authorization: `Bearer ${await clerk.token({ ...somebody })}` })

  /** The answer, and how long it took in ms */
  async function timed(url: string) {
    const headers = await bearer()
    const began = performance.now()
    const reply = await app.inject({ url, headers })
    return { reply, ms: performance.now() - began }
  }
  return { app, clerk, somebody, bearer, timed }
}
