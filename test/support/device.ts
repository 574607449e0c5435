import { randomUUID } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import type { App, Person } from './start.ts'

let addresses = 0
/** An address that nobody else has: budgets are counted by address. */
export const newAddress = (): string => {
  addresses += 1
  return `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`
}

/** Starts a device login. By default each device has an address of its own. */
export async function startLogin(app: App, asked: object = {}, remoteAddress = newAddress()) {
  const started = await app.inject({ method: 'POST', url: '/api/device/start', payload: asked, remoteAddress })
  if (started.statusCode !== 200) throw new Error(started.body)
  const { device_code, user_code } = started.json() as { device_code: string; user_code: string }
  return {
    device_code,
    user_code,
    poll: (at: App = app) => at.inject({ url: `/api/device/poll?device_code=${device_code}` }),
  }
}

/** The token of a device that `person` has approved. */
export async function logIn(app: App, person: Person, asked: object = {}) {
  const login = await startLogin(app, asked)
  const approved = await person.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  if (approved.statusCode !== 200) throw new Error(approved.body)
  return (await login.poll()).json().token as string
}

/** Requests with a token as bearer. */
export const bearer = (app: App, token: string) => {
  const headers = { authorization: `Bearer ${token}` }
  return {
    get: (url: string) => app.inject({ url, headers }),
    post: (url: string, payload: object, more: Record<string, string> = {}) =>
      app.inject({ method: 'POST', url, headers: { ...headers, ...more }, payload }),
    patch: (url: string, payload: object) => app.inject({ method: 'PATCH', url, headers, payload }),
    delete: (url: string) => app.inject({ method: 'DELETE', url, headers }),
  }
}

/** So many live tokens of somebody, straight into the database. @returns their ids, newest first */
export async function giveTokens({ db }: Pick<App, 'db'>, { id: account_id }: { id: string }, count: number) {
  const ids = Array.from({ length: count }, () => uuidv7())
  const token = { account_id, name: 'test', last_four: 'test', scopes: ['account' as const] }
  const expires_at = new Date(Date.now() + 3_600_000)
  await db
    .insertInto('tokens')
    .values(ids.map((id) => ({ ...token, id, token_hash: randomUUID(), expires_at })))
    .execute()
  return ids.toReversed()
}
