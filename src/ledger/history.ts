import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'

/** SQL: the job that an entry refunds, by the entry's reference; null: none. */
export const refundedJobOf = (entry: string): string =>
  `case when ${entry}.kind = 'adjustment' and ${entry}.reference ~ '^refund:[0-9a-f]{8}-[0-9a-f-]{27}(:[0-9]+)?$'
    then substring(${entry}.reference from 8 for 36)::uuid end`

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
