import { hash, timingSafeEqual } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { ENDED, hashOf } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Scope } from '../db/tables.ts'
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
import { badCode } from './problems.ts'

/** A code becomes tokens, once. */

/** Logins of one grant that live at the same time; another one ends the oldest. */
const LIVE_PER_GRANT = 20

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

// Also deletes codes that expired without being redeemed, so that repeated requests of an app do not accumulate rows.
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

/**
 * A code becomes tokens, once. A second exchange revokes them, because the code was stolen. It takes the verifier as well, so that a
 * code that was only seen, such as in a log, cannot be used to sign people out.
 * @param asked `check` refuses another resource than the grant's, and a client that is not answered at this address any more; it is
 *   called once the caller has proved that the code is theirs
 * @throws {ApiError} 400 invalid_grant, and what `check` throws
 */
export async function redeemCode(
  { app, secret }: Exchange,
  asked: {
    code: string
    client_id: string
    redirect_uri: string
    code_verifier: string
    check: (resource: string | null) => Promise<void>
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
    await asked.check(code.resource)
    const { row, ...tokens } = tokensFor(secret, uuidv7(), asked.code)
    const [issued] = await redeem(app.db, { ...row, code_hash })
    if (!issued) continue
    await endSurplus(app.db, { grant_id })
    await noteUse(app, grant_id)
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
