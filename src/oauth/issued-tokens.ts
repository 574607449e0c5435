import { hashOf, isWellFormed } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Scope } from '../db/tables.ts'
import type { Identity } from '../identity/types.ts'
import type { Exchange } from './issue.ts'

/** Looks up tokens that were issued: to revoke them, and to tell an app's server about them. */

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

export interface Introspected {
  account_id: string
  client_id: string
  /** null: this service */
  resource: string | null
  scopes: Scope[]
  grant_id: string
  /** What our pages call the person; null where the token is not for that, or their sign-in did not say */
  username: string | null
  /** Seconds since 1970 */
  iat: number
  exp: number
}

// Only of the app's own grants: to every other app, a token does not exist.
const introspected = statement<{ hash: string; app_slug: string; clerk: boolean }, Introspected>(
  'introspect_token',
  `select t.account_id, g.client_id, g.resource, t.scopes, g.id as grant_id,
    case when 'account' = any (t.scopes) then (select s.name from sessions s
      where s.account_id = t.account_id and s.name is not null order by s.created_at desc limit 1) end as username,
    floor(extract(epoch from t.created_at))::int8 as iat, floor(extract(epoch from t.expires_at))::int8 as exp
  from tokens t join authorizations z on z.id = t.authorization_id join grants g on g.id = z.grant_id
    join accounts a on a.id = t.account_id
  where t.token_hash = $hash and g.app_slug = $app_slug
    and t.revoked_at is null and t.expires_at > now() and z.revoked_at is null and g.revoked_at is null
    and a.closed_at is null
    and not ($clerk::bool and exists (select from local_accounts l where l.account_id = t.account_id))`,
)

/**
 * What an app's server may know of a token that somebody shows it: only live access tokens of grants that are for the app.
 * It is read from the database each time, so a revoked token is inactive at once on every instance.
 */
export async function introspect(
  { db, identity }: { db: Exchange['app']['db']; identity: Pick<Identity, 'mode'> },
  token: string,
  app_slug: string,
): Promise<Introspected | undefined> {
  if (!token.startsWith('focus_at_') || !isWellFormed(token)) return undefined
  const [found] = await introspected(db, { hash: hashOf(token), app_slug, clerk: identity.mode === 'clerk' })
  return found
}
