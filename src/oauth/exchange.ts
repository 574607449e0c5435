import { hash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { deriveToken, ENDED, hashOf, isWellFormed } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Scope } from '../db/tables.ts'
import { attempt, tooManyAttempts } from '../device/attempts.ts'
import { badCode, badRefreshToken, widerScope } from './problems.ts'

/**
 * Codes and refresh tokens become tokens. The new tokens are derived from what they are exchanged for, so that the answer to a
 * refresh can be repeated when it was lost, though no token is stored in clear. All times are the database's.
 */

export const ACCESS_SECONDS = 3_600
/** How long a refresh token lives without being used. */
const REFRESH_DAYS = 30
/** How long a used refresh token is answered again: the first answer may have been lost. */
const REPEAT_SECONDS = 10
/** Logins of one grant that live at the same time; another one ends the oldest. */
const LIVE_PER_GRANT = 20

export interface Issued {
  access_token: string
  refresh_token: string
  expires_in: number
  scopes: Scope[]
}

/** What both exchanges need of the service. */
export interface Exchange {
  app: Pick<FastifyInstance, 'db' | 'pats' | 'log'>
  /** Tokens are derived with it */
  secret: string
}

interface NewTokens extends Record<string, unknown> {
  id: string
  access_hash: string
  refresh_hash: string
  last_four: string
}

/** The tokens that a credential becomes, and their rows. */
function tokensFor(secret: string, id: string, credential: string) {
  const access_token = deriveToken('focus_at_', secret, id, credential)
  const refresh_token = deriveToken('focus_rt_', secret, id, credential)
  const row: NewTokens = {
    id,
    access_hash: hashOf(access_token),
    refresh_hash: hashOf(refresh_token),
    last_four: access_token.slice(-4),
  }
  return { access_token, refresh_token, row }
}

const INSERT_REFRESH = `insert into refresh_tokens (token_hash, authorization_id, expires_at)
  select $refresh_hash, authorization_id, now() + interval '${REFRESH_DAYS} days' from used`
const insertAccess = (scopes: string) => `insert into tokens
  (id, token_hash, account_id, name, last_four, scopes, expires_at, authorization_id)
  select $id::uuid, $access_hash, account_id, client_id, $last_four, ${scopes},
    now() + interval '${ACCESS_SECONDS} seconds', authorization_id
  from used
  returning scopes`

interface Code {
  authorization_id: string
  grant_id: string
  account_id: string | null
  client_id: string | null
  resource: string | null
  redirect_uri: string
  code_challenge: string
  redeemed: boolean
  /** Its time is over, or it, its grant or its account has ended */
  dead: boolean
}

const findCode = statement<{ code_hash: string }, Code>(
  'find_code',
  `select z.id as authorization_id, z.grant_id, g.account_id, g.client_id, g.resource, z.redirect_uri, z.code_challenge,
    z.redeemed_at is not null as redeemed,
    z.expires_at <= now() or a.id is null or a.closed_at is not null or ${ENDED} as dead
  from authorizations z left join grants g on g.id = z.grant_id left join accounts a on a.id = g.account_id
  where z.code_hash = $code_hash`,
)

const redeem = statement<NewTokens & { code_hash: string }, { scopes: Scope[] }>(
  'redeem_code',
  `with used as (
    update authorizations z set redeemed_at = now(), expires_at = now() + interval '${REFRESH_DAYS} days'
    from grants g
    where z.code_hash = $code_hash and z.redeemed_at is null and z.expires_at > now() and z.revoked_at is null
      and g.id = z.grant_id and g.revoked_at is null
    returning z.id as authorization_id, g.account_id, g.client_id, z.scopes
  ), refresh as (${INSERT_REFRESH})
  ${insertAccess('scopes')}`,
)

// Codes that nobody has redeemed go along: an app that sends people here again and again leaves no trail.
const endSurplus = statement<{ grant_id: string }, never>(
  'end_surplus_authorizations',
  `with abandoned as (
    delete from authorizations where grant_id = $grant_id::uuid and redeemed_at is null and expires_at < now()
  )
  update authorizations set revoked_at = now()
  where revoked_at is null and id in (
    select id from authorizations where grant_id = $grant_id::uuid and redeemed_at is not null and revoked_at is null
    order by redeemed_at desc, id desc offset ${LIVE_PER_GRANT}
  )`,
)

const noteUse = statement<{ grant_id: string }, never>(
  'note_grant_use',
  'update grants set last_used_at = now() where id = $grant_id::uuid',
)

const endAuthorization = statement<{ id: string }, never>(
  'end_authorization',
  'update authorizations set revoked_at = now() where id = $id::uuid and revoked_at is null',
)

/** Ends everything that came of one code: on this instance at once, on others within 5 s. */
export const endFamily = (app: Exchange['app'], accountId: string, authorizationId: string) =>
  app.pats.revoking(accountId, () => endAuthorization(app.db, { id: authorizationId }))

/**
 * A code becomes tokens, once. The second time they end: one of the two who sent it is a thief. That takes the verifier as well,
 * so that a code which was only seen, in a log for instance, cannot be used to sign people out.
 * @param asked `takes` says whether the grant's resource is the one that the client names
 * @throws {ApiError} 400 invalid_grant, and what `takes` throws
 */
export async function redeemCode(
  { app, secret }: Exchange,
  asked: {
    code: string
    client_id: string
    redirect_uri: string
    code_verifier: string
    takes: (resource: string | null) => void
  },
): Promise<Issued> {
  const code_hash = hashOf(asked.code)
  // Again where somebody else was faster between the two statements.
  for (let round = 1; round <= 2; round++) {
    const [code] = await findCode(app.db, { code_hash })
    if (!code || code.client_id !== asked.client_id || code.redirect_uri !== asked.redirect_uri) throw badCode()
    if (!provesChallenge(asked.code_verifier, code.code_challenge)) throw badCode()
    const { authorization_id, grant_id, account_id } = code
    if (code.redeemed && account_id) {
      app.log.warn({ grant_id }, 'an authorization code came twice; its tokens were revoked')
      await endFamily(app, account_id, authorization_id)
    }
    if (code.redeemed || code.dead) throw badCode()
    asked.takes(code.resource)
    const { row, ...tokens } = tokensFor(secret, uuidv7(), asked.code)
    const [issued] = await redeem(app.db, { ...row, code_hash })
    if (!issued) continue
    await endSurplus(app.db, { grant_id })
    await noteUse(app.db, { grant_id })
    return { ...tokens, expires_in: ACCESS_SECONDS, scopes: issued.scopes }
  }
  throw badCode()
}

/** PKCE with S256 (RFC 7636, section 4.6). */
function provesChallenge(verifier: string, challenge: string): boolean {
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return false
  const [proof, wanted] = [hash('sha256', verifier, 'base64url'), challenge].map((text) => Buffer.from(text))
  return proof !== undefined && wanted !== undefined && proof.length === wanted.length && timingSafeEqual(proof, wanted)
}

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
 * A refresh token becomes new tokens, and is used up by that. When it comes again its whole family ends, because two have it;
 * but for 10 s, while the next one is unused, the same answer is given again.
 * @param asked `scopes` narrows the new access token; `takes` as for a code
 * @throws {ApiError} 400 invalid_grant, invalid_scope, and what `takes` throws; 429 too_many_attempts
 * @throws {Error} where the answer to repeat was made with another TOKEN_SECRET
 */
export async function refresh(
  { app, secret }: Exchange,
  asked: {
    refresh_token: string
    client_id: string
    scopes: Scope[] | undefined
    takes: (resource: string | null) => void
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
    asked.takes(found.resource)
    const scopes = asked.scopes ?? found.scopes
    if (!scopes.every((scope) => found.scopes.includes(scope))) throw widerScope()
    const subject = found.authorization_id
    const [room] = await countRefresh(app.db, { subject })
    if (!room) throw await tooManyAttempts(app.db, 'refresh', subject)
    const { row, ...tokens } = tokensFor(secret, uuidv7(), refresh_token)
    const [issued] = await rotate(app.db, { ...row, hash, scopes })
    if (!issued) continue
    if (found.grant_id) await noteUse(app.db, { grant_id: found.grant_id })
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

const findToken = statement<
  { hash: string },
  { account_id: string | null; client_id: string | null; authorization_id: string | null; token_id: string | null }
>(
  'find_token_to_revoke',
  `select g.account_id, g.client_id, r.authorization_id, null::uuid as token_id
  from refresh_tokens r join authorizations z on z.id = r.authorization_id join grants g on g.id = z.grant_id
  where r.token_hash = $hash
  union all
  select t.account_id, g.client_id, t.authorization_id, t.id
  from tokens t left join authorizations z on z.id = t.authorization_id left join grants g on g.id = z.grant_id
  where t.token_hash = $hash`,
)

/** Whose token it is and of which client; a personal access token has none. */
export async function findRevocable(app: Exchange['app'], token: string) {
  const [found] = isWellFormed(token) ? await findToken(app.db, { hash: hashOf(token) }) : []
  return found
}
