import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { badField, settleKeyInBrowser, settleKeyInvalid } from '../http/catalogue.ts'
import { callerOf, requireAccount } from './caller.ts'

/**
 * Settle keys: an app's server says by `X-App-Key` that it is the app. It settles and reads the app's jobs. Where an app has a key, a
 * person's token alone does not settle its jobs. Keys are looked up at every use, so that a removed one is gone on every replica at
 * once; a request without a key costs no query, because the ledger's statements look for the app's key by themselves.
 */

/** How long the key before stays good after a rotation, in minutes. */
export const OVERLAP_MINUTES = 10

const KEY = /^focus_app_([a-z0-9][a-z0-9-]{0,62})_[0-9a-f]{64}$/

/** A new key of an app; only its hash is kept. */
export function mintSettleKey(slug: string): { key: string; hash: string } {
  const key = `focus_app_${slug}_${randomBytes(32).toString('hex')}`
  return { key, hash: hashOf(key).toString('base64url') }
}

/**
 * A hook: which app a request speaks for, as `request.appOfKey`; null without a key.
 * @throws {ApiError} 403 settle_key_invalid; 403 settle_key_in_browser where a web page sends one; 429
 */
export async function readAppKey(request: FastifyRequest): Promise<void> {
  const shown = request.headers['x-app-key']
  request.appOfKey = null
  if (shown === undefined) return
  if (request.headers.origin !== undefined) throw settleKeyInBrowser()
  request.appOfKey = await ownerOfKey(request, String(shown))
}

/**
 * The app that a settle key is of, within the address's budget of failures.
 * @throws {ApiError} 403 settle_key_invalid; 429
 */
export function ownerOfKey(request: FastifyRequest, secret: string): Promise<string> {
  const { db, limits } = request.server
  const credential = { kind: 'settle_key', secret, plausible: () => KEY.test(secret) } as const
  return limits.verifying(request, credential, () => ownerOf(db, secret))
}

/** The app whose settle key a request shows; null without one. @throws {Error} where readAppKey has not run, which is a bug */
export function appOfKey({ appOfKey, routeOptions }: FastifyRequest): string | null {
  if (appOfKey === undefined)
    throw new Error(`${routeOptions.url} asks for its settle key, but no hook of it reads one`)
  return appOfKey
}

/** The app that a settle key is of. @throws {ApiError} 403 settle_key_invalid */
async function ownerOf(db: Db, key: string): Promise<string> {
  const slug = KEY.exec(key)?.[1]
  if (slug === undefined) throw settleKeyInvalid()
  const hash = hashOf(key)
  const [app] = await keysOf(db, { slug })
  const good = [app?.settle_key_hash, app?.previous_settle_key_hash].filter((stored) => stored != null)
  if (!good.some((stored) => timingSafeEqual(hash, Buffer.from(stored, 'base64url')))) throw settleKeyInvalid()
  return slug
}

/** A hook: a person, or an app by its key, who may speak for somebody else. @throws {ApiError} as readAppKey, requireAccount */
export async function requireAccountOrKey(request: FastifyRequest): Promise<void> {
  await readAppKey(request)
  if (request.appOfKey === null) await requireAccount(request)
}

/**
 * Whose jobs a request behind `requireAccountOrKey` means: the person's own, or those of the `account_id` beside a key.
 * @throws {ApiError} 400 where a key came with neither, 401
 */
export async function settler(request: FastifyRequest, accountId: string | undefined) {
  const { headers } = request
  const app = appOfKey(request)
  if (app === null) {
    const { id: account_id, token_id, grant_id, budget_ids } = callerOf(request)
    const by = budget_ids.length > 0 ? { token_id, grant_id, budget_ids } : undefined
    return { account_id, key_of: null, by }
  }
  if (accountId !== undefined) return { account_id: accountId.toLowerCase(), key_of: app }
  if (headers.authorization === undefined && headers.cookie === undefined) {
    throw badField('account_id', "is missing: send it beside X-App-Key, or else the person's token")
  }
  await requireAccount(request)
  return { account_id: callerOf(request).id, key_of: app }
}

const keysOf = statement<{ slug: string }, { settle_key_hash: string | null; previous_settle_key_hash: string | null }>(
  'settle_keys',
  `select settle_key_hash,
    case when previous_settle_key_until > now() then previous_settle_key_hash end as previous_settle_key_hash
  from apps where slug = $slug`,
)

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest()
