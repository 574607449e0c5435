import type { FastifyInstance } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { hashOf } from '../access/tokens.ts'
import { statement } from '../db/statement.ts'
import type { BudgetPeriod, Db, Scope } from '../db/tables.ts'
import { grantAmbiguous, grantNotFound, grantRequired } from '../http/catalogue.ts'
import { budgetsOf } from '../ledger/budget-status.ts'
import type { Limits } from '../ledger/budgets.ts'
import { limit } from '../ledger/operations.ts'
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

/** What granting needs of the service. */
export type Granting = Pick<FastifyInstance, 'db' | 'ledger' | 'pats'>

// A new grant has no scopes until its budget is stored.
const open = statement<Target & { id: string; account_id: string; client_id: string }, { id: string }>(
  'open_grant',
  `insert into grants (id, account_id, client_id, app_slug, resource, scopes)
  values ($id::uuid, $account_id::uuid, $client_id, $app_slug, $resource, '{}')
  on conflict (account_id, client_id, resource) where revoked_at is null do update set app_slug = excluded.app_slug
  returning id`,
)

// Scopes that were approved before stay: the tokens that have them do as well. `array(select …)` takes no function of the time,
// which a sharded Postgres refuses here.
const widen = statement<{ id: string; scopes: Scope[] }, { id: string }>(
  'widen_grant',
  `update grants set scopes = array(select distinct unnest(scopes || $scopes::text[]) as scope order by scope)
  where id = $id::uuid and revoked_at is null returning id`,
)

type CodeRow = Pick<Approval, 'redirect_uri' | 'code_challenge' | 'scopes'> & { id: string; code_hash: string }

const insertCode = statement<CodeRow & { grant_id: string }, { id: string }>(
  'approve_grant',
  `insert into authorizations as made (id, grant_id, code_hash, redirect_uri, code_challenge, scopes, expires_at)
  select $id::uuid, id, $code_hash, $redirect_uri, $code_challenge, $scopes::text[],
    now() + interval '${CODE_SECONDS} seconds'
  from grants where id = $grant_id::uuid and revoked_at is null
  returning made.id`,
)

const approveAgain = statement<CodeRow & Omit<Approval, 'app_slug'>, { id: string }>(
  'approve_grant_again',
  `insert into authorizations as made (id, grant_id, code_hash, redirect_uri, code_challenge, scopes, expires_at)
  select $id::uuid, id, $code_hash, $redirect_uri, $code_challenge, $scopes::text[],
    now() + interval '${CODE_SECONDS} seconds'
  from grants
  where account_id = $account_id::uuid and client_id = $client_id and resource is not distinct from $resource
    and revoked_at is null and scopes @> $scopes::text[]
  returning made.id`,
)

/** A budget as a person chooses it. */
export type Chosen = Pick<Limits, 'amount' | 'period'>
type Change = { [Field in keyof Chosen]?: Chosen[Field] | undefined }

/**
 * Remembers that a person has approved something, with a budget, which replaces the one before; without one, that stays.
 * @returns its id
 */
export async function allow(
  { db, ledger, pats }: Granting,
  approved: Target & { account_id: string; client_id: string; scopes: Scope[] },
  budget: Chosen | undefined,
): Promise<string> {
  const { account_id, client_id, app_slug, resource, scopes } = approved
  for (;;) {
    const [grant] = await open(db, { id: uuidv7(), account_id, client_id, app_slug, resource })
    const id = grant?.id ?? ''
    // Tokens of the grant that are cached do not know of its first budget.
    if (budget) await pats.revoking(account_id, () => limit(ledger, account_id, id, budget))
    if ((await widen(db, { id, scopes })).length) return id
    // It was revoked between the statements: begin again.
  }
}

/** Approves a request of a client, and makes its code. */
export async function approve(
  service: Granting,
  approval: Approval,
  budget: Chosen | undefined,
  code: string,
): Promise<void> {
  const grant_id = await allow(service, approval, budget)
  await insertCode(service.db, { ...approval, id: uuidv7(), grant_id, code_hash: hashOf(code) })
}

/** Makes a code without asking, where the person has approved as much before. @returns whether that was so */
export async function grantAgain(db: Db, approval: Approval, code: string): Promise<boolean> {
  const { app_slug: _, ...row } = approval
  return (await approveAgain(db, { ...row, id: uuidv7(), code_hash: hashOf(code) })).length > 0
}

export interface Grant {
  id: string
  client_id: string
  /** What the operator calls the client; null where it is no app */
  name: string | null
  /** The app that it is for */
  app: string | null
  resource: string | null
  scopes: GrantScope[]
  /** Credits; null: no limit */
  budget: number | null
  period: BudgetPeriod | null
  /** In the period that is open now; null without a budget */
  spent: number | null
  resets_at: Date | null
  created_at: Date
  last_used_at: Date | null
}

type GrantRow = Omit<Grant, 'budget' | 'period' | 'spent' | 'resets_at'>

// From the account, so that a sharded Postgres finds all of it on one node.
const GRANT = `select g.id, g.client_id, apps.name, g.app_slug as app, g.resource, g.scopes, g.created_at, g.last_used_at
  from accounts a join grants g on g.account_id = a.id left join apps on apps.slug = g.client_id
  where a.id = $account_id::uuid and g.revoked_at is null and g.scopes <> '{}'`

const liveGrants = statement<{ account_id: string; before: string | null; most: number }, GrantRow>(
  'live_grants',
  `${GRANT} and ($before::uuid is null or g.id < $before::uuid) order by g.id desc limit $most::int`,
)
const liveGrant = statement<{ account_id: string; id: string }, GrantRow>('live_grant', `${GRANT} and g.id = $id::uuid`)

const appGrant = statement<{ account_id: string; slug: string }, GrantRow>(
  'app_grant',
  `${GRANT} and g.client_id = $slug and g.resource is null and 'spend' = any (g.scopes)`,
)

async function withBudgets(db: Db, account_id: string, rows: GrantRow[]): Promise<Grant[]> {
  const ids = rows.map(({ id }) => id)
  const budgets = await budgetsOf(db, account_id, ids)
  return rows.map((grant) => {
    const { budget, period, spent, resets_at } = budgets(grant.id)
    return { ...grant, budget, period, spent: budget === null ? null : spent, resets_at }
  })
}

/** The most grants that one list has. */
export const MAX_GRANTS = 100

/** The live grants of an account, newest first. */
export async function listGrants(
  db: Db,
  account_id: string,
  { limit: most = MAX_GRANTS, before = null }: { limit?: number; before?: string | null | undefined } = {},
): Promise<Grant[]> {
  return withBudgets(db, account_id, await liveGrants(db, { account_id, before, most }))
}

/** One live grant of an account. @param id a UUID. @throws {ApiError} 404 grant_not_found */
export async function readGrant(db: Db, account_id: string, id: string): Promise<Grant> {
  const [grant] = await withBudgets(db, account_id, await liveGrant(db, { account_id, id }))
  if (!grant) throw grantNotFound()
  return grant
}

/** The grant by which the server of an app spends, where the person gave it to the app itself. */
export async function findAppGrant(db: Db, account_id: string, slug: string): Promise<Grant | undefined> {
  const [grant] = await withBudgets(db, account_id, await appGrant(db, { account_id, slug }))
  return grant
}

/** Whether a grant, or what is asked for, can spend credits at all. */
export const maySpend = ({ resource, scopes }: { resource: string | null; scopes: readonly Scope[] }): boolean =>
  scopes.includes('spend') || (resource === null && scopes.includes('account'))

/**
 * Changes a grant's budget; what it has spent stays.
 * @param chosen `amount` null: no limit
 * @throws {ApiError} 404 grant_not_found, 403 account_closed
 */
export async function changeBudget(
  { db, ledger, pats }: Granting,
  account_id: string,
  id: string,
  chosen: Change,
): Promise<Grant> {
  const grant = await readGrant(db, account_id, id)
  const { amount, period } = chosen
  const change = { ...(amount !== undefined && { amount }), ...(period !== undefined && { period }) }
  await pats.revoking(account_id, () => limit(ledger, account_id, grant.id, change))
  return readGrant(db, account_id, id)
}

const spendable = statement<
  { account_id: string; app_slug: string; grant_id: string | null; clerk: boolean },
  { id: string; clerk_id: string }
>(
  'spendable_grants',
  `select g.id, a.clerk_id from grants g join accounts a on a.id = g.account_id
  where g.account_id = $account_id::uuid and g.app_slug = $app_slug and g.revoked_at is null and 'spend' = any (g.scopes)
    and a.closed_at is null and ($grant_id::uuid is null or g.id = $grant_id::uuid)
    and not ($clerk::bool and exists (select from local_accounts l where l.account_id = a.id))
  order by g.id desc limit 20`,
)

/**
 * The grant by which an app's server spends without the person's token.
 * @param grant_id absent: the only one
 * @throws {ApiError} 403 grant_required without one, also where the account does not exist; 409 grant_ambiguous
 */
export async function spendingGrant(
  { db, config, identity }: Pick<FastifyInstance, 'db' | 'config' | 'identity'>,
  asked: { account_id: string; app: string; grant_id: string | undefined },
): Promise<{ id: string; clerk_id: string; grant_id: string }> {
  const { account_id, app, grant_id } = asked
  const [grant, ...others] = await spendable(db, {
    ...{ account_id, app_slug: app, grant_id: grant_id ?? null },
    // The local identity checks no password, so what it allowed ends once Clerk uses the same database.
    clerk: identity.mode === 'clerk',
  })
  if (!grant) throw grantRequired(`${config.publicUrl}/grant?app=${app}`)
  if (others.length) throw grantAmbiguous([grant, ...others].map(({ id }) => id))
  return { id: account_id.toLowerCase(), clerk_id: grant.clerk_id, grant_id: grant.id }
}

const grantScopes = statement<{ account_id: string; id: string }, { scopes: Scope[] }>(
  'grant_scopes',
  'select scopes from grants where account_id = $account_id::uuid and id = $id::uuid',
)

/** The scopes of a grant of an account, also of one that was revoked. @param id a UUID. @throws {ApiError} 404 grant_not_found */
export async function scopesOf(db: Db, account_id: string, id: string): Promise<Scope[]> {
  const [grant] = await grantScopes(db, { account_id, id })
  if (!grant) throw grantNotFound()
  return grant.scopes
}

const revoke = statement<{ account_id: string; id: string }, { id: string }>(
  'revoke_grant',
  `update grants set revoked_at = least(revoked_at, now()) where account_id = $account_id::uuid and id = $id::uuid returning id`,
)

/**
 * Ends a grant and all its tokens; within `Pats.revoking` at once here, on other instances within 5 s. Jobs that hold credits go on.
 * Again is no fault.
 * @param id a UUID
 * @throws {ApiError} 404 grant_not_found, also for somebody else's
 */
export async function revokeGrant(db: Db, account_id: string, id: string): Promise<void> {
  if (!(await revoke(db, { account_id, id })).length) throw grantNotFound()
}
