import { createHash, randomBytes } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { insufficientScope, serviceKeyInBrowser, serviceKeyInvalid } from '../http/catalogue.ts'
import { requireAdmin } from './caller.ts'

/**
 * Service keys: an operator's own servers, such as one that takes payments, do without a person's token what the key's scopes name. A
 * key is looked up at every use, so that a revoked one is gone on every replica at once.
 */

export const SERVICE_SCOPES = ['topup'] as const
export type ServiceScope = (typeof SERVICE_SCOPES)[number]

export interface ServiceKey {
  id: string
  name: string
  scopes: string[]
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A service key with this scope may do what else only administrators may */
    serviceScope?: ServiceScope
  }
}

const KEY = /^focus_key_[0-9a-f]{64}$/

/** A new key; only its hash is kept. */
export function mintServiceKey(): { key: string; key_hash: string; last_four: string } {
  const key = `focus_key_${randomBytes(32).toString('hex')}`
  return { key, key_hash: hashOf(key), last_four: key.slice(-4) }
}

/**
 * A hook: an administrator; or a service key, where the route takes one.
 * @throws {ApiError} as requireAdmin; 401 invalid_service_key, 403 service_key_in_browser, 403 insufficient_scope
 */
export async function requireAdminOrKey(request: FastifyRequest): Promise<void> {
  const secret = /^bearer +(focus_key_\S*) *$/i.exec(request.headers.authorization ?? '')?.[1]
  if (secret === undefined) return requireAdmin(request)
  if (request.headers.origin !== undefined) throw serviceKeyInBrowser()
  const { db, limits } = request.server
  const credential = { kind: 'service_key', secret, plausible: () => KEY.test(secret) } as const
  const key = await limits.verifying(request, credential, () => findKey(db, secret))
  const scope = request.routeOptions.config.serviceScope
  if (scope === undefined || !key.scopes.includes(scope)) throw insufficientScope(scope ?? 'admin')
  request.serviceKey = key
  await noteUse(db, { id: key.id })
}

/** @throws {ApiError} 401 invalid_service_key */
async function findKey(db: Db, secret: string): Promise<ServiceKey> {
  const [key] = KEY.test(secret) ? await liveKey(db, { key_hash: hashOf(secret) }) : []
  if (!key) throw serviceKeyInvalid()
  return key
}

const liveKey = statement<{ key_hash: string }, ServiceKey>(
  'service_key',
  'select id, name, scopes from service_keys where key_hash = $key_hash and revoked_at is null',
)

const noteUse = statement<{ id: string }, never>(
  'note_service_key',
  `update service_keys set last_used_at = now() where id = $id::uuid
    and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
)

const hashOf = (key: string): string => createHash('sha256').update(key).digest('base64url')
