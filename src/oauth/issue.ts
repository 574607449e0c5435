import type { FastifyInstance } from 'fastify'
import { deriveToken, hashOf } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Scope } from '../db/tables.ts'

/**
 * What codes and refresh tokens are exchanged for. The new tokens are derived from what they are exchanged for, so that the answer
 * to a refresh can be repeated when it was lost, though no token is stored in clear. All times are the database's.
 */

export const ACCESS_SECONDS = 3_600
/** How long a refresh token lives without being used. */
export const REFRESH_DAYS = 30

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

export interface NewTokens extends Record<string, unknown> {
  id: string
  access_hash: string
  refresh_hash: string
  last_four: string
}

/** The tokens that a credential becomes, and their rows. */
export function tokensFor(secret: string, id: string, credential: string) {
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

export const INSERT_REFRESH = `insert into refresh_tokens (token_hash, authorization_id, expires_at)
  select $refresh_hash, authorization_id, now() + interval '${REFRESH_DAYS} days' from used`
/** SQL that stores an access token. @param scopes SQL of its scopes */
export const insertAccess = (scopes: string) => `insert into tokens
  (id, token_hash, account_id, name, last_four, scopes, expires_at, authorization_id)
  select $id::uuid, $access_hash, account_id, client_id, $last_four, ${scopes},
    now() + interval '${ACCESS_SECONDS} seconds', authorization_id
  from used
  returning scopes`

const noteGrantUse = statement<{ grant_id: string }, never>(
  'note_grant_use',
  'update grants set last_used_at = now() where id = $grant_id::uuid',
)

export const noteUse = (app: Exchange['app'], grant_id: string) => noteGrantUse(app.db, { grant_id })

const endAuthorization = statement<{ id: string }, never>(
  'end_authorization',
  'update authorizations set revoked_at = now() where id = $id::uuid and revoked_at is null',
)

/** Ends everything that came of one code: on this instance at once, on others within 5 s. */
export const endFamily = (app: Exchange['app'], accountId: string, authorizationId: string) =>
  app.pats.revoking(accountId, () => endAuthorization(app.db, { id: authorizationId }))
