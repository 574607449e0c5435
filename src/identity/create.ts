import { hash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config.ts'
import type { Db } from '../db/tables.ts'
import type { ClerkMetrics } from '../observe/metrics.ts'
import { clerkIdentity } from './clerk.ts'
import { localIdentity } from './local.ts'
import type { Claims, Identity } from './types.ts'

const CACHED_TOKENS = 10_000

/** Creates the configured identity provider, with a cache of the claims of verified tokens. */
export async function createIdentity(
  config: Config,
  db: Db,
  log: FastifyBaseLogger,
  metrics: ClerkMetrics,
): Promise<Identity> {
  const identity = config.clerk ? clerkIdentity(config.clerk, log, metrics) : await localIdentity(config, db)
  const { issuer } = identity
  return { ...identity, ...cached(identity.verify), plausible: (token) => isPlausible(token, issuer) }
}

/** How far the clocks of issuers may be behind, in seconds. */
const SKEW_SECONDS = 10

function isPlausible(token: string, issuer: string): boolean {
  try {
    const { iss, exp = 0 } = decodeJwt(token)
    return iss === issuer && exp + SKEW_SECONDS > Date.now() / 1000 && decodeProtectedHeader(token).alg === 'RS256'
  } catch {
    return false
  }
}

/** Caches claims until they expire, by the hash of the token, so that a memory dump reveals no token. Failures are not cached, so that invalid tokens evict nothing. */
function cached(verify: Identity['verify']): Pick<Identity, 'known' | 'verify'> {
  const cache = new LRUCache<string, Claims>({ max: CACHED_TOKENS })
  const cacheKey = (token: string) => hash('sha256', token, 'base64')
  const known = (token: string) => {
    const hit = cache.get(cacheKey(token))
    return hit && hit.exp * 1000 > Date.now() ? hit : undefined
  }
  return {
    known,
    async verify(token, deadline) {
      const hit = known(token)
      if (hit) return hit
      const claims = await verify(token, deadline)
      cache.set(cacheKey(token), claims)
      return claims
    },
  }
}
