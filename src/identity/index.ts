import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config.ts'
import type { Tables } from '../db/tables.ts'
import { clerkIdentity } from './clerk.ts'
import { localIdentity } from './local.ts'

/** What a session JWT says about who holds it; times in seconds since 1970. */
export interface Claims {
  sub: string
  iat?: number | undefined
  exp: number
  sid?: string | undefined
  azp?: string | undefined
  aud?: string | string[] | undefined
  /** Clerk's session status; `pending` is not signed in */
  sts?: string | undefined
}

/** Who a session belongs to. */
export interface SessionOwner {
  sid: string
  clerkId: string
}

/** The provider of identities: Clerk, or the local one. Nothing outside this folder knows which. */
export interface Identity {
  readonly mode: 'clerk' | 'local'
  /** Clerk ids that are administrators without being configured */
  readonly administrators: ReadonlySet<string>
  /**
   * Checks signature, issuer and times of a session JWT, nothing else.
   * @throws {ApiError} 401 invalid_token, token_expired or token_not_active_yet; 503 identity_provider_unavailable
   */
  verify(token: string): Promise<Claims>
  /**
   * A fresh session JWT for a session that still lives; undefined when it has ended.
   * @throws {ApiError} 404 template_not_found; 503 identity_provider_unavailable
   */
  mint(session: SessionOwner, template?: string): Promise<string | undefined>
}

const CACHED_TOKENS = 10_000

/** The identity that the configuration names, with the claims of verified tokens remembered until they expire. */
export async function createIdentity(config: Config, db: Kysely<Tables>, log: FastifyBaseLogger): Promise<Identity> {
  const identity = config.clerk ? clerkIdentity(config.clerk, log) : await localIdentity(config, db)
  return { ...identity, verify: remembering(identity.verify) }
}

/** By the token's hash, so that a memory dump holds no token; only successes, so that junk displaces nobody's claims. */
function remembering(verify: Identity['verify']): Identity['verify'] {
  const known = new LRUCache<string, Claims>({ max: CACHED_TOKENS })
  return async (token) => {
    const key = createHash('sha256').update(token).digest('base64')
    const hit = known.get(key)
    if (hit && hit.exp * 1000 > Date.now()) return hit
    const claims = await verify(token)
    known.set(key, claims)
    return claims
  }
}
