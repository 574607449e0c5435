import { hash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config.ts'
import type { Db } from '../db/tables.ts'
import type { ClerkMetrics } from '../observe/metrics.ts'
import { clerkIdentity } from './clerk.ts'
import { localIdentity } from './local.ts'
import type { Claims, Identity } from './types.ts'

const CACHED_TOKENS = 10_000

/** The identity that the configuration names, with the claims of verified tokens remembered until they expire. */
export async function createIdentity(
  config: Config,
  db: Db,
  log: FastifyBaseLogger,
  metrics: ClerkMetrics,
): Promise<Identity> {
  const identity = config.clerk ? clerkIdentity(config.clerk, log, metrics) : await localIdentity(config, db)
  return { ...identity, ...remembering(identity.verify) }
}

/** By the token's hash, so that a memory dump holds no token; only successes, so that junk displaces nobody's claims. */
function remembering(verify: Identity['verify']): Pick<Identity, 'known' | 'verify'> {
  const cache = new LRUCache<string, Claims>({ max: CACHED_TOKENS })
  const keyOf = (token: string) => hash('sha256', token, 'base64')
  const known = (token: string) => {
    const hit = cache.get(keyOf(token))
    return hit && hit.exp * 1000 > Date.now() ? hit : undefined
  }
  return {
    known,
    async verify(token, deadline) {
      const hit = known(token)
      if (hit) return hit
      const claims = await verify(token, deadline)
      cache.set(keyOf(token), claims)
      return claims
    },
  }
}
