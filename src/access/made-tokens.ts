import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { openAccount } from '../accounts/open.ts'
import { statement } from '../db/statement.ts'
import type { Db, Scope } from '../db/tables.ts'
import { badField, insufficientScope, patRevoked, tokenNotFound, tooManyTokens } from '../http/catalogue.ts'
import { budgetsOf, limitsOf } from '../ledger/budget-status.ts'
import type { Limits } from '../ledger/budgets.ts'
import { limit } from '../ledger/operations.ts'
import type { Caller } from './caller.ts'
import { hashOf, listTokens, MAX_TOKENS, makePat, revokeToken } from './tokens.ts'
import { checkReach, checkWidth, NO_LIMITS } from './width.ts'

/**
 * Personal access tokens made by hand: by a person on our own page, or by a personal access token, which gives nothing that it does
 * not have. What a token makes ends with it, and counts against its budget too.
 */

type Server = Pick<FastifyInstance, 'db' | 'ledger' | 'pats'>

/** What is asked for; `undefined` leaves a limit as it is. */
export interface AskedLimits {
  budget?: number | null | undefined
  period?: Limits['period'] | undefined
  apps?: string[] | null | undefined
}

// Those of one account wait for each other, so that two cannot both be the last.
const oneAtATime = statement<{ account_id: string }, never>(
  'one_approval',
  `select pg_advisory_xact_lock(hashtextextended('approve ' || $account_id::text, 0))`,
)

const countTokens = statement<{ account_id: string }, { count: number }>(
  'count_tokens',
  `select (select count(*) from tokens where account_id = $account_id::uuid and authorization_id is null
      and revoked_at is null and expires_at > now())
    + (select count(*) from device_codes where account_id = $account_id::uuid and status = 'approved' and expires_at > now())
    as count`,
)

/**
 * Holds the account's place for one more token until the transaction ends.
 * @param then what to do after revoking one
 * @throws {ApiError} 409 too_many_tokens
 */
export async function roomForToken(trx: Db, account_id: string, then: string): Promise<void> {
  await oneAtATime(trx, { account_id })
  const [tokens] = await countTokens(trx, { account_id })
  if (Number(tokens?.count) >= MAX_TOKENS) throw tooManyTokens(MAX_TOKENS, then)
}

// The lock keeps it from being revoked before what it makes can be revoked with it.
const lockMaker = statement<{ id: string }, { makers: string[]; expires_at: Date }>(
  'lock_token_maker',
  'select makers, expires_at from tokens where id = $id::uuid and revoked_at is null and expires_at > now() for update',
)

const insertToken = statement<
  {
    id: string
    token_hash: string
    account_id: string
    name: string
    last_four: string
    scopes: Scope[]
    makers: string[]
    days: number
    until: Date | null
  },
  { created_at: Date; expires_at: Date }
>(
  'make_token',
  `insert into tokens (id, token_hash, account_id, name, last_four, scopes, makers, expires_at)
  values ($id::uuid, $token_hash, $account_id::uuid, $name, $last_four, $scopes::text[], $makers::uuid[],
    least(now() + make_interval(days => $days::int), $until::timestamptz))
  returning created_at, expires_at`,
)

const dropBudget = statement<{ account_id: string; id: string }, never>(
  'drop_budget',
  'delete from budgets where account_id = $account_id::uuid and id = $id::uuid',
)

/**
 * Makes a token.
 * @param days how long it lives; no longer than the token that makes it
 * @returns it, in clear for the only time
 * @throws {ApiError} 400; 401 token_revoked; 403 insufficient_scope, budget_too_wide, account_closed; 409 too_many_tokens
 */
export async function makeToken(
  server: Server,
  caller: Caller,
  { name, scopes, days, ...asked }: { name: string; scopes: Scope[]; days: number } & AskedLimits,
): Promise<{ id: string; token: string }> {
  const { db, ledger } = server
  const { id: account_id, token_id: maker } = caller
  const missing = caller.scopes && scopes.find((scope) => !caller.scopes?.includes(scope))
  if (missing) throw insufficientScope(missing)
  const limits = withAsked(NO_LIMITS, asked)
  await checkWidth(db, caller, limits)

  const id = uuidv7()
  const token = makePat(randomBytes(32))
  await openAccount(db, account_id, caller.clerk_id)
  // Before anybody has the token.
  const limited = limits.amount !== null || limits.apps !== null
  if (limited) await limit(ledger, account_id, id, limits)
  const made = db.transaction().execute(async (trx) => {
    await roomForToken(trx, account_id, 'make another')
    const [by] = maker === null ? [] : await lockMaker(trx, { id: maker })
    if (maker !== null && !by) throw patRevoked()
    await insertToken(trx, {
      ...{ id, account_id, name, scopes, days },
      token_hash: hashOf(token),
      last_four: token.slice(-4),
      makers: by && maker !== null ? [...by.makers, maker] : [],
      until: by?.expires_at ?? null,
    })
  })
  try {
    await made
  } catch (error) {
    if (limited) await dropBudget(db, { account_id, id })
    throw error
  }
  return { id, token }
}

interface FoundToken {
  id: string
  scopes: Scope[]
  makers: string[]
  /** A personal access token that works */
  live: boolean
}

const findToken = statement<{ account_id: string; id: string }, FoundToken>(
  'find_token',
  `select id, scopes, makers, authorization_id is null and revoked_at is null and expires_at > now() as live
  from tokens where account_id = $account_id::uuid and id = $id::uuid`,
)

/** Whether a token is the caller's own, or made by it, or else within its reach. @throws {ApiError} as checkReach */
async function checkOwn(db: Db, caller: Caller, { id, makers, scopes }: FoundToken): Promise<void> {
  const isOwn = caller.token_id !== null && [id, ...makers].includes(caller.token_id)
  if (!isOwn) await checkReach(db, caller, scopes)
}

const renameToken = statement<{ account_id: string; id: string; name: string }, never>(
  'rename_token',
  'update tokens set name = $name where account_id = $account_id::uuid and id = $id::uuid',
)

/**
 * Changes the name of a token or what it may spend. A token gives itself and what it made no more than it has; others it changes only
 * where it is as wide.
 * @throws {ApiError} 400; 403 budget_too_wide, insufficient_scope, account_closed; 404 token_not_found
 */
export async function changeToken(
  { db, ledger, pats }: Server,
  caller: Caller,
  id: string,
  { name, ...asked }: { name?: string | undefined } & AskedLimits,
): Promise<void> {
  const { id: account_id } = caller
  const [token] = await findToken(db, { account_id, id })
  if (!token?.live) throw tokenNotFound()
  await checkOwn(db, caller, token)
  if (Object.values(asked).some((value) => value !== undefined)) {
    const budgets = await budgetsOf(db, account_id, [token.id])
    const limits = withAsked(limitsOf(budgets(token.id)), asked)
    await checkWidth(db, caller, limits)
    await pats.revoking(account_id, () => limit(ledger, account_id, token.id, limits))
  }
  if (name !== undefined) await renameToken(db, { account_id, id: token.id, name })
}

/**
 * Revokes a token, and those that it made: of a token, itself, what it made, and others only where it is as wide. Again is no fault.
 * @param id a UUID
 * @throws {ApiError} 401 session_required for an access token; 403 budget_too_wide, insufficient_scope; 404 token_not_found
 */
export async function endToken({ db, pats }: Server, caller: Caller, id: string): Promise<void> {
  const [token] = await findToken(db, { account_id: caller.id, id })
  if (!token) throw tokenNotFound()
  await checkOwn(db, caller, token)
  await pats.revoking(caller.id, () => revokeToken(db, caller.id, id))
}

/** An account's live tokens, newest first, with what is left of their budgets. */
export async function tokensWithBudgets(db: Db, account_id: string, which: Parameters<typeof listTokens>[2]) {
  const tokens = await listTokens(db, account_id, which)
  const ids = tokens.map(({ id }) => id)
  const budgets = await budgetsOf(db, account_id, ids)
  return tokens.map(({ makers, ...token }) => ({ ...token, made_by: makers.at(-1) ?? null, ...budgets(token.id) }))
}

/** @throws {ApiError} 400 where a period has no budget */
function withAsked(limits: Limits, { budget, period, apps }: AskedLimits): Limits {
  const amount = budget === undefined ? limits.amount : budget
  if (period && amount === null) throw badField('period', 'needs a budget')
  return {
    amount,
    period: amount === null ? null : period === undefined ? limits.period : period,
    apps: apps === undefined ? limits.apps : apps && [...new Set(apps)],
  }
}
