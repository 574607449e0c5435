import type { FastifyInstance } from 'fastify'
import { revokeToken, revokeTokens } from '../access/tokens.ts'
import { closeAccount } from '../accounts/close.ts'
import { eraseAccount } from '../accounts/erase.ts'
import { findAccount } from '../accounts/find.ts'
import { revokeGrant } from '../oauth/grants.ts'
import { type Actor, actionQuery, recordAction } from './actions.ts'

/** Changes of an account by an administrator, except those of its credits. Each is recorded in the audit log. */

type Service = Pick<FastifyInstance, 'db' | 'ledger' | 'pats' | 'origins'>

/** Revokes all of an account's tokens and grants. @returns how many tokens were revoked @throws {ApiError} 404 account_not_found */
export async function revokeAllTokens(
  { db, pats }: Service,
  actor: Actor,
  account_id: string,
  reason?: string,
): Promise<number> {
  const { id } = await findAccount(db, account_id)
  return pats.revoking(id, () =>
    db.transaction().execute(async (trx) => {
      const revoked = await revokeTokens(trx, id)
      const about = { target: `account ${id}`, account_id: id, ...(reason && { reason }) }
      await recordAction(trx, actor, { action: 'revokeAccountTokens', ...about, after: { revoked } })
      return revoked
    }),
  )
}

/** Revokes one token of an account. @throws {ApiError} 404 token_not_found */
export async function revokeOneToken(
  { db, pats }: Service,
  actor: Actor,
  account_id: string,
  token_id: string,
): Promise<void> {
  await pats.revoking(account_id, () =>
    db.transaction().execute(async (trx) => {
      const before = await trx
        .selectFrom('tokens')
        .select(['last_four', 'scopes', 'revoked_at'])
        .where('account_id', '=', account_id)
        .where('id', '=', token_id)
        .executeTakeFirst()
      await revokeToken(trx, account_id, token_id)
      if (before?.revoked_at !== null) return
      const about = { target: `token ${token_id}`, account_id, before, after: { revoked: true } }
      await recordAction(trx, actor, { action: 'revokeTokenOfAccount', ...about })
    }),
  )
}

/** Revokes a grant of an account, with its tokens. @throws {ApiError} 404 grant_not_found */
export async function revokeOneGrant(
  { db, pats }: Service,
  actor: Actor,
  account_id: string,
  grant_id: string,
): Promise<void> {
  await pats.revoking(account_id, () =>
    db.transaction().execute(async (trx) => {
      const before = await trx
        .selectFrom('grants')
        .select(['client_id', 'scopes', 'revoked_at'])
        .where('account_id', '=', account_id)
        .where('id', '=', grant_id)
        .executeTakeFirst()
      await revokeGrant(trx, account_id, grant_id)
      if (before?.revoked_at !== null) return
      const about = { target: `grant ${grant_id}`, account_id, before, after: { revoked: true } }
      await recordAction(trx, actor, { action: 'revokeGrantOfAccount', ...about })
    }),
  )
}

/** Closes an account permanently. @returns the account afterwards @throws {ApiError} 404 account_not_found */
export async function closeForOperator(
  { db, ledger, pats, origins }: Service,
  actor: Actor,
  account_id: string,
  reason?: string,
) {
  const { id, clerk_id } = await findAccount(db, account_id)
  const action = { action: 'closeAccount', target: `account ${id}`, account_id: id, ...(reason && { reason }) }
  await pats.revoking(id, () =>
    closeAccount(db, ledger, id, clerk_id, new Date(), ({ credits, held, closed }, { account }) => [
      actionQuery(actor, {
        ...action,
        before: { credits, held, closed },
        after: { credits: account.credits, held: account.held, closed: true },
      }),
    ]),
  )
  await origins.refresh()
  return findAccount(db, id)
}

/**
 * Erases the personal data of an account.
 * @param clerk_id the owner's; it is not read from the account, which may have been erased before
 * @returns the account afterwards
 * @throws {ApiError} 404 account_not_found
 */
export async function eraseForOperator(
  { db, ledger, pats, origins }: Service,
  actor: Actor,
  account_id: string,
  clerk_id: string,
  reason?: string,
) {
  const { id } = await findAccount(db, account_id)
  const action = { action: 'eraseAccount', target: `account ${id}`, account_id: id, ...(reason && { reason }) }
  await pats.revoking(id, () =>
    eraseAccount(db, ledger, id, clerk_id, (trx) => recordAction(trx, actor, { ...action, after: { erased: true } })),
  )
  await origins.refresh()
  return findAccount(db, id)
}
