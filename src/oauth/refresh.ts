import { v7 as uuidv7 } from 'uuid'
import { ENDED, hashOf, isWellFormed } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Scope } from '../db/tables.ts'
import { attempt, tooManyAttempts } from '../device/attempts.ts'
import {
  ACCESS_SECONDS,
  type Exchange,
  endFamily,
  INSERT_REFRESH,
  type Issued,
  insertAccess,
  type NewTokens,
  noteUse,
  REFRESH_DAYS,
  tokensFor,
} from './issue.ts'
import { badRefreshToken, widerScope } from './problems.ts'

/** A refresh token becomes new tokens. */

/** How long a used refresh token is answered again: the first answer may have been lost. */
const REPEAT_SECONDS = 10

interface RefreshToken {
  authorization_id: string
  grant_id: string | null
  account_id: string | null
  client_id: string | null
  resource: string | null
  scopes: Scope[]
  used: boolean
  /** Used so recently that the answer may have been lost */
  repeatable: boolean
  next_id: string | null
  dead: boolean
}

const findRefresh = statement<{ hash: string }, RefreshToken>(
  'find_refresh_token',
  `select r.authorization_id, z.grant_id, g.account_id, g.client_id, g.resource, z.scopes, r.used_at is not null as used,
    coalesce(r.used_at > now() - interval '${REPEAT_SECONDS} seconds', false) as repeatable, r.next_id,
    r.expires_at <= now() or a.id is null or a.closed_at is not null or ${ENDED} as dead
  from refresh_tokens r left join authorizations z on z.id = r.authorization_id
    left join grants g on g.id = z.grant_id left join accounts a on a.id = g.account_id
  where r.token_hash = $hash`,
)

// The access token before ends, but for requests that are under way.
const rotate = statement<NewTokens & { hash: string; scopes: Scope[] }, { scopes: Scope[] }>(
  'rotate_refresh_token',
  `with used as (
    update refresh_tokens r set used_at = now(), next_id = $id::uuid
    from authorizations z, grants g
    where r.token_hash = $hash and r.used_at is null and r.expires_at > now()
      and z.id = r.authorization_id and z.revoked_at is null and g.id = z.grant_id and g.revoked_at is null
    returning r.authorization_id, g.account_id, g.client_id
  ), extended as (
    update authorizations set expires_at = now() + interval '${REFRESH_DAYS} days'
    where id in (select authorization_id from used)
  ), ended as (
    update tokens set expires_at = least(expires_at, now() + interval '${REPEAT_SECONDS} seconds')
    where authorization_id in (select authorization_id from used)
  ), refresh as (${INSERT_REFRESH})
  ${insertAccess('$scopes::text[]')}`,
)

const countRefresh = statement<{ subject: string }, object>('count_refresh', attempt('refresh', '$subject'))

const findNext = statement<
  { id: string; refresh_hash: string },
  { token_hash: string; scopes: Scope[]; expires_in: number; next_used: boolean | null }
>(
  'find_rotated',
  `select t.token_hash, t.scopes, greatest(floor(extract(epoch from t.expires_at - now())), 0)::int as expires_in,
    (select r.used_at is not null from refresh_tokens r where r.token_hash = $refresh_hash) as next_used
  from tokens t where t.id = $id::uuid`,
)

/**
 * A refresh token becomes new tokens, once. A second use revokes its whole family, because two parties have it. For 10 s, while the
 * next refresh token is unused, a second use gets the same answer instead: the first answer may have been lost.
 * @param asked `scopes` narrows the new access token; `check` refuses another resource than the grant's
 * @throws {ApiError} 400 invalid_grant, invalid_scope, and what `check` throws; 429 too_many_attempts
 * @throws {Error} where the answer to repeat was made with another TOKEN_SECRET
 */
export async function refresh(
  { app, secret }: Exchange,
  asked: {
    refresh_token: string
    client_id: string
    scopes: Scope[] | undefined
    check: (resource: string | null) => Promise<void>
  },
): Promise<Issued> {
  const { refresh_token, client_id } = asked
  if (!isWellFormed(refresh_token)) throw badRefreshToken()
  const hash = hashOf(refresh_token)
  // Again where somebody else was faster between the two statements.
  for (let round = 1; round <= 2; round++) {
    const [found] = await findRefresh(app.db, { hash })
    if (!found || found.client_id !== client_id || found.dead) throw badRefreshToken()
    if (found.used) return repeat(found)
    await asked.check(found.resource)
    const scopes = asked.scopes ?? found.scopes
    if (!scopes.every((scope) => found.scopes.includes(scope))) throw widerScope()
    const subject = found.authorization_id
    const [room] = await countRefresh(app.db, { subject })
    if (!room) throw await tooManyAttempts(app.db, 'refresh', subject)
    const { row, ...tokens } = tokensFor(secret, uuidv7(), refresh_token)
    const [issued] = await rotate(app.db, { ...row, hash, scopes })
    if (!issued) continue
    if (found.grant_id) await noteUse(app, found.grant_id)
    return { ...tokens, expires_in: ACCESS_SECONDS, scopes: issued.scopes }
  }
  throw badRefreshToken()

  async function repeat({
    repeatable,
    next_id,
    account_id,
    authorization_id,
    grant_id,
  }: RefreshToken): Promise<Issued> {
    if (repeatable && next_id) {
      const { row, ...tokens } = tokensFor(secret, next_id, refresh_token)
      const [next] = await findNext(app.db, { id: next_id, refresh_hash: row.refresh_hash })
      if (next && next.token_hash !== row.access_hash) {
        throw new Error(`token ${next_id} was minted with another TOKEN_SECRET; all replicas need the same one`)
      }
      if (next?.next_used === false) return { ...tokens, expires_in: next.expires_in, scopes: next.scopes }
    }
    app.log.warn({ grant_id }, 'a used refresh token came again; its family was revoked')
    if (account_id) await endFamily(app, account_id, authorization_id)
    throw badRefreshToken()
  }
}
