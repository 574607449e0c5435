import { sql } from 'kysely'
import { isoTime, statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { accountNotFound, badField } from '../http/catalogue.ts'
import { FIRST_ID, type Page } from '../http/pages.ts'

/** Lists of accounts for operators. Every list reads along an index. Balances have no index, because every posting changes them. */

/** An account as an operator sees it. */
export interface AccountRow {
  id: string
  clerk_id: string
  plan: string
  credits: number
  held: number
  /** ISO 8601 */
  created_at: string
  /** ISO 8601; null: it is open */
  closed_at: string | null
}

export const SORTS = ['newest', 'oldest'] as const

interface AccountFilter {
  /** Only accounts with a balance below zero */
  negative?: boolean | undefined
  /** true: only closed accounts; false: only open ones */
  closed?: boolean | undefined
  /** By the time of opening; with `closed`, by the time of closing */
  sort?: (typeof SORTS)[number] | undefined
}

// The texts of the times are not called as their columns: in the query that Citus sends to a shard, ORDER BY created_at would mean the text.
const accounts = (db: Db) =>
  db
    .selectFrom('accounts')
    .select([
      ...(['id', 'clerk_id', 'plan', 'credits', 'held'] as const),
      sql<string>`${sql.raw(isoTime('created_at'))}`.as('opened'),
      sql<string | null>`${sql.raw(isoTime('closed_at'))}`.as('closed'),
    ])

type Found = Omit<AccountRow, 'created_at' | 'closed_at'> & { opened: string; closed: string | null }

const accountOf = ({ opened, closed, ...account }: Found): AccountRow => ({
  ...account,
  created_at: opened,
  closed_at: closed,
})

/** @throws {ApiError} 404 account_not_found */
export async function readAccount(db: Db, id: string): Promise<AccountRow> {
  const account = await accounts(db).where('id', '=', id).executeTakeFirst()
  if (!account) throw accountNotFound()
  return accountOf(account)
}

/** The accounts of these ids that exist, in this order. */
export async function readAccounts(db: Db, ids: string[]): Promise<AccountRow[]> {
  if (ids.length === 0) return []
  const rows = (await accounts(db).where('id', 'in', ids).execute()).map(accountOf)
  return ids.flatMap((id) => rows.find((row) => row.id === id) ?? [])
}

/** The cursor of a list: an account id, in lists by time after a time in microseconds since 1970. */
export const ACCOUNT_CURSOR = /^(?:([0-9]{1,17})_)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/**
 * A page of accounts. Accounts below zero are ordered by id, and a page of them may have fewer than `limit` accounts, or none, although there
 * are more.
 * @throws {ApiError} 400 for a cursor of another list, or for `sort` with `negative`
 */
export async function listAccounts(
  db: Db,
  filter: AccountFilter,
  page: Page,
): Promise<{ accounts: AccountRow[]; next_cursor: string | null }> {
  const { negative = false, closed, sort } = filter
  const [, micros, id] = ACCOUNT_CURSOR.exec(page.cursor ?? '') ?? []
  const isOther = page.cursor !== undefined && (id === undefined || (micros === undefined) !== negative)
  if (isOther) throw badField('cursor', 'is not of this list')
  if (negative) {
    if (sort !== undefined) throw badField('sort', 'cannot be given with negative, whose list is by id')
    return listNegative(db, closed, id, page.limit)
  }
  return listByTime(db, { closed, sort }, micros && id ? { micros, id } : undefined, page.limit)
}

async function listByTime(
  db: Db,
  { closed, sort = 'newest' }: AccountFilter,
  after: { micros: string; id: string } | undefined,
  limit = 50,
) {
  const by = closed ? 'closed_at' : 'created_at'
  const [direction, compare] = sort === 'newest' ? (['desc', '<'] as const) : (['asc', '>'] as const)
  const place =
    after &&
    sql<boolean>`(${sql.ref(by)}, id) ${sql.raw(compare)}
      (to_timestamp(0) + ${after.micros}::bigint * interval '1 microsecond', ${after.id}::uuid)`
  const rows = await accounts(db)
    .select(sql<number>`(extract(epoch from ${sql.ref(by)}) * 1000000)::bigint`.as('micros'))
    .$if(closed !== undefined, (all) => all.where('closed_at', closed ? 'is not' : 'is', null))
    .$if(place !== undefined, (all) => all.where(place as NonNullable<typeof place>))
    .orderBy(`accounts.${by}`, direction)
    .orderBy('id', direction)
    .limit(limit + 1)
    .execute()
  const found = rows.slice(0, limit)
  const last = found.at(-1)
  return {
    accounts: found.map(({ micros, ...account }) => accountOf(account)),
    next_cursor: last && rows.length > limit ? `${last.micros}_${last.id}` : null,
  }
}

/** The most entries with a negative balance that are read for one page. */
const MOST_ENTRIES = 5_000

/**
 * An index on balances, even a partial one, would prevent HOT updates of accounts. So the candidates come from the append-only entries: an
 * account below zero has an entry with a negative `balance_after`. If there may be more candidates, the last row is where reading stopped. The candidates are
 * an array, so that each is looked up in the primary key: for a join, the planner may read all accounts.
 */
const negatives = statement<{ after: string; closed: boolean | null; count: number }, { id: string; is_end: boolean }>(
  'negative_accounts',
  `with candidates as materialized (
    select account_id from ledger_entries where balance_after < 0 and account_id > $after::uuid
    order by account_id limit ${MOST_ENTRIES})
  select id, false as is_end from (
    select id from accounts where id = any (array(select distinct account_id from candidates)) and credits < 0
      and ($closed::bool is null or (closed_at is not null) = $closed::bool)
    order by id limit $count::int) as found
  union all
  select account_id, true from (select account_id from candidates order by account_id desc limit 1) as last
  where (select count(*) from candidates) = ${MOST_ENTRIES}`,
)

/** Exported for the test that checks its query plan. */
export const ACCOUNT_READS = [negatives]

async function listNegative(db: Db, closed: boolean | undefined, after: string | undefined, limit = 50) {
  const rows = await negatives(db, { after: after ?? FIRST_ID, closed: closed ?? null, count: limit + 1 })
  const ids = rows.flatMap(({ id, is_end }) => (is_end ? [] : [id])).toSorted()
  const found = await readAccounts(db, ids.slice(0, limit))
  const unread = rows.find(({ is_end }) => is_end)?.id ?? null
  return { accounts: found, next_cursor: ids.length > limit ? (ids[limit - 1] ?? null) : unread }
}
