import { createHmac, hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import { base62 } from '../base62.ts'
import type { Config } from '../config.ts'
import { gatherRows } from '../db/gather.ts'
import { storedSetting } from '../db/settings.ts'
import { statement } from '../db/statement.ts'
import type { Db, Scope } from '../db/tables.ts'
import {
  accessTokenExpired,
  accessTokenRevoked,
  invalidToken,
  patExpired,
  patRevoked,
  tokenForElsewhere,
  tokenNotFound,
} from '../http/catalogue.ts'
import type { Identity } from '../identity/types.ts'

/**
 * Personal access tokens and OAuth access tokens: a prefix, 43 base62 digits (256 bits), 6 of checksum. Stored as a hash, never
 * in clear. Refresh tokens have the same shape.
 */

export type TokenPrefix = 'focus_pat_' | 'focus_at_' | 'focus_rt_'
const SHAPE = /^focus_(pat|at|rt)_[0-9A-Za-z]{49}$/

/** Whether a secret claims to be one of ours, and not the identity's: a token of any kind, or an app's key. */
export const isOurs = (token: string): boolean => /^focus_[a-z]+_/.test(token)

/** Found by hash: secrets have 256 bits, so neither the stored value nor the time of a look-up tells them. */
export const hashOf = (secret: string): string => hash('sha256', secret, 'base64url')

/** What tokens are derived with: the operator's TOKEN_SECRET, or one that is made once and kept in the database. */
export async function tokenSecret(config: Config, db: Db): Promise<string> {
  return config.tokenSecret ?? storedSetting(db, 'token_secret', () => randomBytes(32).toString('base64url'))
}

/**
 * The token of a device login. It is derived instead of random, so that it can be answered again when the first answer is
 * lost, though it is stored nowhere: that takes the secret, the token's id and the device code together.
 */
export const derivePat = (secret: string, id: string, deviceCode: string): string =>
  derive('focus_pat_', secret, `${id}.${deviceCode}`)

/** A token of OAuth, derived in the same way from the code or the refresh token that it is exchanged for. */
export const deriveToken = (prefix: TokenPrefix, secret: string, id: string, credential: string): string =>
  derive(prefix, secret, `${prefix}.${id}.${credential}`)

/** The personal access token of 256 random bits. */
export const makePat = (bits: Buffer): string => shaped('focus_pat_', bits)

const derive = (prefix: TokenPrefix, secret: string, from: string): string =>
  shaped(prefix, createHmac('sha256', secret).update(from).digest())

function shaped(prefix: TokenPrefix, bits: Buffer): string {
  const body = prefix + base62(BigInt(`0x${bits.toString('hex')}`), 43)
  return body + checksum(body)
}

const checksum = (body: string): string => base62(BigInt(crc32(body)), 6)

/** Recognises typing errors and tokens of other services without a query. */
export const isWellFormed = (token: string): boolean =>
  SHAPE.test(token) && checksum(token.slice(0, -6)) === token.slice(-6)

export interface Pat {
  id: string
  account_id: string
  clerk_id: string
  scopes: Scope[]
  /** Of an access token: the grant that it is by; null: a personal access token */
  grant_id: string | null
  /** Budgets that what it spends counts against: its own, those of what made it, its grant's */
  budget_ids: string[]
}

interface FoundToken extends Pat {
  ms_left: number
  revoked: boolean
  use_unnoted: boolean
  /** An OAuth access token */
  oauth: boolean
  /** What an access token is for; null: this service */
  resource: string | null
  /** Of a person of the local identity */
  local: boolean
}

/** SQL: whether an authorization `z` or its grant `g`, both joined from the left, has ended. */
export const ENDED = '(g.id is null or g.revoked_at is not null or z.revoked_at is not null)'

const findPat = gatherRows<FoundToken>(
  'find_pats',
  'text',
  (is) => `select t.token_hash as key, t.id, t.account_id, a.clerk_id, t.scopes,
    floor(extract(epoch from t.expires_at - now()) * 1000)::bigint as ms_left,
    t.revoked_at is not null or a.closed_at is not null or (t.authorization_id is not null and ${ENDED})
      or (t.makers <> '{}' and exists (select from tokens m where m.id = any(t.makers) and m.revoked_at is not null)) as revoked,
    coalesce(t.last_used_at <= now() - interval '1 minute', true) as use_unnoted,
    t.authorization_id is not null as oauth, g.resource, g.id as grant_id,
    array(select b.id from budgets b where b.account_id = a.id and b.id = any(t.makers || t.id || g.id)) as budget_ids,
    exists (select from local_accounts l where l.account_id = t.account_id) as local
  from tokens t join accounts a on a.id = t.account_id
    left join authorizations z on z.id = t.authorization_id left join grants g on g.id = z.grant_id
  where t.token_hash ${is}`,
)

// The condition is checked again, so that only one of many concurrent requests writes.
const noteUse = statement<{ id: string; from: string }, never>(
  'note_pat_use',
  `update tokens set last_used_at = now(), last_used_from = $from
  where id = $id::uuid and (last_used_at is null or last_used_at <= now() - interval '1 minute')`,
)

/** How long a lookup is cached, in ms: a token revoked on another replica is accepted here for up to this long. */
const REMEMBERED_MS = 5_000
/** How long an account is not cached after a revocation, in ms; longer than a concurrent lookup can take. */
const UNCACHED_MS = 30_000
const REMEMBERED = 10_000

export interface Pats {
  /** Whose token it is, where that was looked up just now */
  known(token: string): Pat | undefined
  /**
   * Whose token it is and what it may be used for; its use is noted, at most once a minute.
   * @param from the client's address
   * @throws {ApiError} 401 invalid_token, token_revoked or token_expired
   */
  lookUp(token: string, from: string): Promise<Pat>
  /** Runs what revokes or limits tokens of an account: meanwhile, and for a while after it, they are looked up every time. */
  revoking<T>(accountId: string, revoke: () => Promise<T>): Promise<T>
}

/** Caches tokens for a few seconds, so that not every request queries the database. */
export function rememberPats(db: Db, identity: Identity['mode']): Pats {
  const known = new LRUCache<string, Pat>({ max: REMEMBERED, ttl: REMEMBERED_MS })
  const uncached = new LRUCache<string, true>({ max: REMEMBERED, ttl: UNCACHED_MS })
  return {
    known(token) {
      const hit = known.get(hashOf(token))
      return hit && !uncached.has(hit.account_id) ? hit : undefined
    },
    async lookUp(token, from) {
      if (!isWellFormed(token)) throw invalidToken()
      const key = hashOf(token)
      const { ms_left, ...pat } = await lookUpPat(db, key, identity, from)
      if (!uncached.has(pat.account_id)) known.set(key, pat, { ttl: Math.min(REMEMBERED_MS, ms_left) })
      return pat
    },
    async revoking(accountId, revoke) {
      uncached.set(accountId, true)
      try {
        return await revoke()
      } finally {
        // Restarts the time: a lookup that read the token before the revocation may still be running.
        uncached.set(accountId, true)
      }
    },
  }
}

async function lookUpPat(
  db: Db,
  token_hash: string,
  identity: Identity['mode'],
  from: string,
): Promise<Pat & { ms_left: number }> {
  const found = await findPat(db, token_hash)
  if (!found) throw invalidToken()
  const { revoked, use_unnoted, oauth, resource, local, ...pat } = found
  // The local identity checks no password, so its tokens end once Clerk uses the same database.
  if (revoked || (local && identity === 'clerk')) throw oauth ? accessTokenRevoked() : patRevoked()
  if (pat.ms_left <= 0) throw oauth ? accessTokenExpired() : patExpired()
  if (resource !== null) throw tokenForElsewhere()
  if (use_unnoted) await noteUse(db, { id: pat.id, from })
  return pat
}

/** The most live personal access tokens of an account, logins that are approved and not fetched included. */
export const MAX_TOKENS = 100

/** An account's live personal access tokens, newest first; times are the database's. */
export function listTokens(
  db: Db,
  accountId: string,
  { limit, before, id }: { limit: number; before?: string | undefined; id?: string },
) {
  return (
    db
      .selectFrom('tokens')
      .select([
        'id',
        'name',
        'last_four',
        'scopes',
        'created_at',
        'last_used_at',
        'last_used_from',
        'expires_at',
        'makers',
      ])
      .where('account_id', '=', accountId)
      .where('authorization_id', 'is', null)
      .where('revoked_at', 'is', null)
      .where(({ eb, fn }) => eb('expires_at', '>', fn<Date>('now')))
      .$if(before !== undefined, (tokens) => tokens.where('id', '<', before ?? ''))
      .$if(id !== undefined, (tokens) => tokens.where('id', '=', id ?? ''))
      .orderBy('id', 'desc')
      .limit(limit)
      // `spend` is a scope of grants; personal access tokens never have it.
      .$narrowType<{ scopes: Exclude<Scope, 'spend'>[] }>()
      .execute()
  )
}

/**
 * Revokes one token of an account and those that it has made; again is no fault.
 * @param id a UUID
 * @throws {ApiError} 404 token_not_found, also for somebody else's
 */
export async function revokeToken(db: Db, accountId: string, id: string): Promise<void> {
  const revoked_at = sql<Date>`least(revoked_at, now())`
  const { numUpdatedRows } = await db
    .updateTable('tokens')
    .set({ revoked_at })
    .where('account_id', '=', accountId)
    .where('id', '=', id)
    .executeTakeFirst()
  if (!numUpdatedRows) throw tokenNotFound()
  // Until nothing is left: making a token holds a lock on its maker, so each statement sees what was made before the last one ended.
  for (;;) {
    const made = await db
      .updateTable('tokens')
      .set({ revoked_at })
      .where('account_id', '=', accountId)
      .where('revoked_at', 'is', null)
      .where(sql<boolean>`${id}::uuid = any(makers)`)
      .executeTakeFirst()
    if (!made.numUpdatedRows) return
  }
}

const cancelUnfetched = statement<{ account_id: string }, never>(
  'cancel_unfetched_logins',
  `update device_codes set status = 'denied' where account_id = $account_id::uuid and status in ('pending', 'approved')`,
)

const revokeGrants = statement<{ account_id: string }, never>(
  'revoke_grants',
  'update grants set revoked_at = now() where account_id = $account_id::uuid and revoked_at is null',
)

const revokeLive = statement<{ account_id: string }, { revoked: number }>(
  'revoke_live_tokens',
  `with revoked as (
    update tokens set revoked_at = now()
    where account_id = $account_id::uuid and revoked_at is null and expires_at > now() returning 1
  )
  select count(*) as revoked from revoked`,
)

/**
 * Revokes every token of an account, also those that approved devices have yet to fetch, and every grant.
 * @returns how many tokens lived
 */
export async function revokeTokens(db: Db, accountId: string): Promise<number> {
  // First the logins, in a statement of their own: one that is being fetched meanwhile has its token by the second.
  await cancelUnfetched(db, { account_id: accountId })
  await revokeGrants(db, { account_id: accountId })
  let revoked = 0
  // Until none is left: a token may make another while its own revocation waits for it.
  for (;;) {
    const [row] = await revokeLive(db, { account_id: accountId })
    if (!Number(row?.revoked)) return revoked
    revoked += Number(row?.revoked)
  }
}
