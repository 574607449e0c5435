import { sql } from 'kysely'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { accountNotFound } from '../http/catalogue.ts'

/** The metadata of one job, however large. */
export async function readMetadata(db: Db, accountId: string, jobId: string): Promise<Record<string, unknown> | null> {
  const row = await db
    .selectFrom('jobs')
    .select('metadata')
    .where('account_id', '=', accountId)
    .where('id', '=', jobId)
    .executeTakeFirst()
  return row?.metadata ?? null
}

/** What an account has, and with which apps it has to do. */
export interface Wallet {
  /** undefined: never seen */
  account: { id: string; clerk_id: string; plan: string; credits: number; held: number } | undefined
  apps: {
    slug: string
    /** What was granted; before that, what would be */
    starter_credits: number
    granted: boolean
    granted_at: Date | null
    registered: boolean
    /** The account has used it */
    seen: boolean
  }[]
}

// One statement, because a round trip costs more than what it asks: the account (none: only registered apps), beside
// every app that is registered or its own.
const accountAndApps = statement<
  { account_id: string },
  {
    id: string | null
    clerk_id: string
    plan: string
    credits: number
    held: number
    slug: string | null
    starter_credits: number | null
    granted: number | null
    granted_at: Date | null
    seen: boolean
  }
>(
  'wallet',
  `select a.id, a.clerk_id, a.plan, a.credits, a.held, coalesce(apps.slug, g.app_slug) as slug, apps.starter_credits,
    g.credits as granted, g.granted_at, g.app_slug is not null as seen
  from (select) as one
    left join accounts a on a.id = $account_id::uuid
    left join (apps full join (select * from app_grants where account_id = $account_id::uuid) g on g.app_slug = apps.slug)
      on true`,
)

/** Reads an account with its apps, registered ones and its own, by slug. */
export async function readWallet(db: Db, accountId: string): Promise<Wallet> {
  const rows = await accountAndApps(db, { account_id: accountId })
  const [first] = rows
  const account = first?.id
    ? { id: first.id, clerk_id: first.clerk_id, plan: first.plan, credits: first.credits, held: first.held }
    : undefined
  const apps = rows
    .flatMap(({ slug, starter_credits, granted, granted_at, seen }) => {
      if (slug === null) return []
      const registered = starter_credits !== null
      const offered = starter_credits ?? 0
      return [
        {
          slug,
          starter_credits: granted_at !== null ? (granted ?? 0) : offered,
          granted: granted_at !== null,
          granted_at,
          registered,
          seen,
        },
      ]
    })
    .sort((one, other) => (one.slug < other.slug ? -1 : 1))
  return { account, apps }
}

/** SQL: the job that an entry refunds, by the entry's reference; null: none. */
export const refundedJobOf = (entry: string) =>
  sql<string | null>`case when ${sql.ref(`${entry}.kind`)} = 'adjustment' and ${sql.ref(`${entry}.reference`)}
    ~ '^refund:[0-9a-f]{8}-[0-9a-f-]{27}(:[0-9]+)?$' then substring(${sql.ref(`${entry}.reference`)} from 8 for 36)::uuid end`

// An account's entries are numbered without gaps in the order of their locks, and their times are read under them. The clock may have
// been set back, and an earlier release wrote the time at which an entry began to wait, for less than 5 s: numbers and times agree but
// for 5 s. A binary search over the numbers finds the first entry that is 5 s later than a time; the last one before the time is a few
// numbers back. So created_at needs no index, which every posting would have to maintain.
const lastBefore = statement<{ account_id: string; moments: Date[] }, { moment: Date; seq: number; balance: number }>(
  'last_entries_before',
  `with recursive search (moment, before, past) as (
    select moment, 0::bigint, seq + 1 from accounts, unnest($moments::timestamptz[]) as moment where id = $account_id::uuid
    union all
    select moment, case when late then before else seq end, case when late then seq else past end
    from search join ledger_entries on account_id = $account_id::uuid and seq = (before + past) / 2,
      lateral (select created_at >= moment + interval '5 seconds') as at (late)
    where before + 1 < past
  )
  select moment, entry.seq, entry.balance_after as balance from search, lateral (
    select seq, balance_after from ledger_entries
    where account_id = $account_id::uuid and seq <= before and created_at < moment
    order by seq desc limit 1) as entry
  where before + 1 = past order by moment`,
)

/**
 * The number of the last entry before each of some moments, and the balance then; nothing for moments before the first entry. Entries
 * are selected by number, because times may be out of order and a list of balances must have no gap.
 */
export const balancesBefore = (db: Db, account_id: string, moments: Date[]) => lastBefore(db, { account_id, moments })

/** @throws {ApiError} 404 account_not_found */
export async function readAccount(db: Db, id: string) {
  const account = await db
    .selectFrom('accounts')
    .select(['id', 'clerk_id', 'plan', 'credits', 'held'])
    .where('id', '=', id)
    .executeTakeFirst()
  if (!account) throw accountNotFound()
  return account
}
