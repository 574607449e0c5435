import { v7 as uuidv7 } from 'uuid'
import { hashOf } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { Db, Scope } from '../db/tables.ts'
import type { Target } from './clients.ts'

/** What people have approved, and the codes that clients get for it. All times are the database's. */

/** What a grant can be for. `admin` exists for devices alone. */
export const GRANT_SCOPES = ['account', 'oauth', 'spend'] as const satisfies Scope[]
export type GrantScope = (typeof GRANT_SCOPES)[number]

const CODE_SECONDS = 60

/** An approved request of a client. */
export type Approval = Target & {
  account_id: string
  client_id: string
  redirect_uri: string
  code_challenge: string
  scopes: Scope[]
}

type CodeRow = Approval & { id: string; grant_id: string; code_hash: string }

// Scopes that were approved before stay: the tokens that have them do as well. `array(select …)` takes no function of the time,
// which a sharded Postgres refuses here.
const approve = statement<CodeRow, { id: string }>(
  'approve_grant',
  `with approved as (
    insert into grants (id, account_id, client_id, app_slug, resource, scopes)
    values ($grant_id::uuid, $account_id::uuid, $client_id, $app_slug, $resource, $scopes::text[])
    on conflict (account_id, client_id, resource) where revoked_at is null do update
      set scopes = array(select distinct unnest(grants.scopes || excluded.scopes)), app_slug = excluded.app_slug
    returning id
  )
  insert into authorizations (id, grant_id, code_hash, redirect_uri, code_challenge, scopes, expires_at)
  select $id::uuid, approved.id, $code_hash, $redirect_uri, $code_challenge, $scopes::text[],
    now() + interval '${CODE_SECONDS} seconds'
  from approved
  returning id`,
)

const approveAgain = statement<Omit<CodeRow, 'grant_id' | 'app_slug'>, { id: string }>(
  'approve_grant_again',
  `insert into authorizations (id, grant_id, code_hash, redirect_uri, code_challenge, scopes, expires_at)
  select $id::uuid, id, $code_hash, $redirect_uri, $code_challenge, $scopes::text[],
    now() + interval '${CODE_SECONDS} seconds'
  from grants
  where account_id = $account_id::uuid and client_id = $client_id and resource is not distinct from $resource
    and revoked_at is null and scopes @> $scopes::text[]
  returning id`,
)

/** Remembers that a person has approved a client, and makes its code. */
export async function grant(db: Db, approval: Approval, code: string): Promise<void> {
  await approve(db, { ...approval, id: uuidv7(), grant_id: uuidv7(), code_hash: hashOf(code) })
}

/** Makes a code without asking, where the person has approved as much before. @returns whether that was so */
export async function grantAgain(db: Db, approval: Approval, code: string): Promise<boolean> {
  const { app_slug: _, ...row } = approval
  return (await approveAgain(db, { ...row, id: uuidv7(), code_hash: hashOf(code) })).length > 0
}

export interface Grant {
  id: string
  client_id: string
  /** What the operator calls the client; null where it is no app any more */
  name: string | null
  resource: string | null
  scopes: GrantScope[]
  created_at: Date
  last_used_at: Date | null
}

const liveGrants = statement<{ account_id: string }, Grant>(
  'live_grants',
  `select g.id, g.client_id, apps.name, g.resource, g.scopes, g.created_at, g.last_used_at
  from grants g left join apps on apps.slug = g.client_id
  where g.account_id = $account_id::uuid and g.revoked_at is null
  order by g.created_at desc, g.id desc`,
)

/** The live grants of an account, newest first. */
export const listGrants = (db: Db, accountId: string): Promise<Grant[]> => liveGrants(db, { account_id: accountId })

const revoke = statement<{ account_id: string; id: string }, never>(
  'revoke_grant',
  `update grants set revoked_at = now() where account_id = $account_id::uuid and id = $id::uuid and revoked_at is null`,
)

/**
 * Ends a grant and all its tokens; again is no fault, nor is somebody else's: that stays.
 * @param id a UUID
 */
export async function revokeGrant(db: Db, accountId: string, id: string): Promise<void> {
  await revoke(db, { account_id: accountId, id })
}
