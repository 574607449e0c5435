import type { FastifyRequest } from 'fastify'
import { sql } from 'kysely'
import { v7 as uuidv7 } from 'uuid'
import { callerOf } from '../access/caller.ts'
import { isoTime, type Query, statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { jsonBytes, LAST_ID, type Page, readPage } from '../http/pages.ts'
import { firstJobId, lastJobId } from '../ledger/job-ids.ts'

/**
 * The audit log of what administrators changed. A line is written in the transaction of its change, and is never changed afterwards. It
 * names the administrator by account id. The Clerk id is read from that account, so it is gone once the account is erased.
 */

/** Who makes a change, and through which interface. */
export interface Actor {
  /** The administrator's account */
  id: string
  clerk_id: string
  via: 'api' | 'cli' | 'console'
  token_id: string | null
  /** The form of the console that asks for the change; the database lets it write one line */
  draft_id?: string
}

/** A change. It must not contain secrets or their hashes. */
export interface Action {
  /** The `operationId` of the API's route */
  action: string
  /** The object of the change, such as `app video` */
  target?: string
  /** The account that the change concerns; absent: none */
  account_id?: string
  reason?: string
  before?: object
  after?: object
}

/** The administrator who sent a request. @param via absent: `cli` if the user agent is the CLI's, else `api` */
export function actorOf(request: FastifyRequest, via?: Actor['via']): Actor {
  const { id, clerk_id, token_id } = callerOf(request)
  const isCli = /^focus-cli\b/.test(request.headers['user-agent'] ?? '')
  return { id, clerk_id, via: via ?? (isCli ? 'cli' : 'api'), token_id }
}

const insert = statement<
  {
    account_id: string
    id: string
    concerns_account: boolean
    actor_id: string
    via: string
    token_id: string | null
    action: string
    target: string | null
    reason: string | null
    before: string | null
    after: string | null
    draft_id: string | null
  },
  { id: string }
>(
  'record_action',
  `insert into admin_actions (account_id, id, concerns_account, actor_id, via, token_id, action, target, reason, before, after,
    draft_id)
  values ($account_id::uuid, $id::uuid, $concerns_account::bool, $actor_id::uuid, $via, $token_id::uuid, $action, $target, $reason,
    $before::jsonb, $after::jsonb, $draft_id::uuid)
  returning id`,
)

const rowOf = (actor: Actor, { action, target, account_id, reason, before, after }: Action) => ({
  account_id: account_id ?? actor.id,
  id: uuidv7(),
  concerns_account: account_id !== undefined,
  ...{ actor_id: actor.id, via: actor.via, token_id: actor.token_id, action },
  target: target ?? null,
  reason: reason ?? null,
  before: before ? JSON.stringify(before) : null,
  after: after ? JSON.stringify(after) : null,
  draft_id: actor.draft_id ?? null,
})

/** Writes a line of the audit log. @param db the transaction of the change */
export async function recordAction(db: Db, actor: Actor, action: Action): Promise<void> {
  await insert(db, rowOf(actor, action))
}

/** The same as a query, for the `rows` of a ledger operation: committed with the operation, if that changes something. */
export const actionQuery = (actor: Actor, action: Action): Query => insert.query(rowOf(actor, action))

/**
 * Whether a form of the console has made its change.
 * @param accounts those that its line may be with: the administrator's own, and the one that it concerns
 */
export async function isCarriedOut(db: Db, accounts: string[], draft_id: string): Promise<boolean> {
  const line = await db
    .selectFrom('admin_actions')
    .select('id')
    .where('account_id', 'in', accounts)
    .where('draft_id', '=', draft_id)
    .executeTakeFirst()
  return line !== undefined
}

/** The fields of two states that differ, for `before` and `after`. */
export function differing(before: object | undefined, after: object): { before?: object; after: object } {
  const text = (state: object | undefined, field: string) =>
    JSON.stringify((state as Record<string, unknown> | undefined)?.[field])
  const pick = (state: object) =>
    Object.fromEntries(Object.entries(state).filter(([field]) => text(before, field) !== text(after, field)))
  return { ...(before && { before: pick(before) }), after: pick(after) }
}

interface ActionFilter {
  /** Concerning this account */
  account_id?: string | undefined
  /** By this administrator, by account id */
  administrator?: string | undefined
  action?: string | string[] | undefined
  /** Of several, any */
  target?: string | string[] | undefined
  /** Written at this time or later */
  from?: Date | undefined
  /** Written before this time */
  to?: Date | undefined
}

/** A line of the audit log as the API shows it. */
export interface ActionRow {
  id: string
  /** ISO 8601 */
  created_at: string
  action: string
  target: string | null
  account_id: string | null
  administrator: { id: string; clerk_id: string | null }
  via: Actor['via']
  token_id: string | null
  reason: string | null
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}

/** A page of the audit log, newest first. */
export async function listActions(
  db: Db,
  { account_id, administrator, target, action, from, to }: ActionFilter,
  { limit = 50, cursor }: Page,
): Promise<{ actions: ActionRow[]; next_cursor: string | null }> {
  const read = (last: { id: string } | undefined, count: number) => {
    let lines = db.selectFrom('admin_actions')
    if (account_id !== undefined)
      lines = lines.where('account_id', '=', account_id).where('concerns_account', '=', true)
    if (administrator !== undefined) lines = lines.where('actor_id', '=', administrator)
    if (target !== undefined) lines = lines.where('target', 'in', [target].flat())
    if (action !== undefined) lines = lines.where('action', 'in', [action].flat())
    // Ids are UUIDv7, as those of jobs: a range of them bounds what an index reads.
    if (from) lines = lines.where('id', '>', firstJobId(from)).where('created_at', '>=', from)
    if (to) lines = lines.where('id', '<', lastJobId(to)).where('created_at', '<', to)
    return lines
      .select(['id', 'action', 'target', 'account_id', 'concerns_account', 'actor_id', 'via', 'token_id', 'reason'])
      .select(['before', 'after', sql<string>`${sql.raw(isoTime('created_at'))}`.as('created_at')])
      .where('id', '<', last?.id ?? cursor ?? LAST_ID)
      .orderBy('id', 'desc')
      .limit(count)
      .execute()
  }
  const { rows, more } = await readPage(limit, read, jsonBytes)
  const names = await clerkIdsOf(
    db,
    rows.map(({ actor_id }) => actor_id),
  )
  const actions = rows.map(({ actor_id, concerns_account, account_id, ...row }) => ({
    ...row,
    account_id: concerns_account ? account_id : null,
    administrator: { id: actor_id, clerk_id: names.get(actor_id) ?? null },
  }))
  return { actions, next_cursor: more ? (actions.at(-1)?.id ?? null) : null }
}

/** The Clerk ids of accounts, by account id. A separate read instead of a join, because an action is on the shard of another account. */
async function clerkIdsOf(db: Db, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const found = await db
    .selectFrom('accounts')
    .select(['id', 'clerk_id'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(found.map(({ id, clerk_id }) => [id, clerk_id]))
}
