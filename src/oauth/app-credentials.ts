import type { FastifyRequest } from 'fastify'
import { ownerOfKey } from '../access/settle-keys.ts'
import { settleKeyInBrowser, settleKeyInvalid } from '../http/catalogue.ts'
import { badAppCredentials, isCode } from './problems.ts'

/**
 * A hook: an app's server, by `X-App-Key`, or by HTTP Basic with the app's slug and its key as resource servers send their
 * credentials (RFC 6749, section 2.3.1).
 * @throws {ApiError} 401 invalid_client; 403 settle_key_in_browser, 429
 */
export async function requireApp(request: FastifyRequest): Promise<void> {
  const { authorization, origin, 'x-app-key': shown } = request.headers
  if (origin !== undefined) throw settleKeyInBrowser()
  const basic = shown === undefined ? readBasic(authorization) : undefined
  const key = shown === undefined ? basic?.password : String(shown)
  if (key === undefined) throw badAppCredentials()
  const owner = await ownerOfKey(request, key).catch((error) => {
    throw isCode(error, settleKeyInvalid) ? badAppCredentials() : error
  })
  if (basic && basic.user !== owner) throw badAppCredentials()
  request.appOfKey = owner
}

/** User and password of HTTP Basic, each percent-encoded first, as OAuth has it; undefined where it is none. */
function readBasic(authorization = ''): { user: string; password: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization)?.[1]
  const [user, password, ...more] = Buffer.from(encoded ?? '', 'base64')
    .toString()
    .split(':')
  if (user === undefined || password === undefined || more.length) return undefined
  try {
    return { user: decodeURIComponent(user), password: decodeURIComponent(password) }
  } catch {
    return undefined
  }
}
