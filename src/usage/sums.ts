import { safeSum, statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { jsonBytes, PAGE_BYTES } from '../http/pages.ts'
import type { Period } from '../http/periods.ts'
import { firstJobId, lastJobId } from '../ledger/job-ids.ts'

/**
 * Sums over jobs: where credits went. A job counts in the period in which it was created, whenever it ends. What it holds or has cost
 * equals the sum of its ledger entries, so the sums agree with the ledger. They are computed for each request, so postings cost no more
 * because of them.
 */

/** What jobs can be grouped by. `token` is the token that started the job, or the grant that this token belongs to. */
export const GROUPS = ['app', 'action', 'token', 'day'] as const
export const ADMIN_GROUPS = ['app', 'day', 'plan'] as const
export type Group = (typeof GROUPS)[number] | (typeof ADMIN_GROUPS)[number]

/** SQL expression of each group, for one job. */
const VALUES: Record<Group, string> = {
  app: 'app_slug',
  action: 'action',
  token: 'coalesce(grant_id, token_id)',
  day: `(jobs.created_at at time zone 'UTC')::date`,
  plan: 'plan',
}

export interface Sums {
  jobs: number
  completed: number
  failed: number
  /** The cost of the ended jobs */
  credits: number
  /** What the started jobs hold */
  held: number
}

type SumRow = Sums & { [Name in Group]?: string | null }

/** The most rows of an answer. The total also covers the rows beyond. */
const MAX_ROWS = 5_000

const SUMS = ['jobs', 'completed', 'failed', 'credits', 'held'] as const

/** SQL that returns the total of some jobs, in a row with `is_total` true, and then a row for each group. */
function grouped(groups: readonly Group[], jobs: string): string {
  const names = groups.join(', ')
  const shown = groups
    .map((group) => (group === 'day' ? `to_char(day, 'YYYY-MM-DD') as day` : `${group}::text`))
    .join(', ')
  const order = [...(groups.includes('day') ? ['day desc'] : []), 'credits desc', 'held desc', ...groups].join(', ')
  return `with groups as (
    select ${groups.map((group) => `${VALUES[group]} as ${group}`).join(', ')}, count(*) as jobs,
      count(*) filter (where status = 'completed') as completed, count(*) filter (where status = 'failed') as failed,
      ${safeSum('sum(actual_cost)')} as credits, ${safeSum(`sum(reserved) filter (where status = 'started')`)} as held
    from ${jobs} group by ${groups.map((_, i) => i + 1).join(', ')})
  select true as is_total, ${groups.map((group) => `null as ${group}`).join(', ')},
    ${SUMS.map((sum) => `${safeSum(`sum(${sum})`)} as ${sum}`).join(', ')} from groups
  union all (select false, ${shown}, ${SUMS.join(', ')} from (
    select ${names}, ${SUMS.join(', ')} from groups order by ${order} limit ${MAX_ROWS + 1}) as listed order by ${order})`
}

interface Bounds extends Record<string, unknown>, Period {
  first: string
  last: string
}

// Job ids are UUIDv7, which sort by time, so an index on them finds the period.
const boundsOf = ({ from, to }: Period): Bounds => ({ from, to, first: firstJobId(from), last: lastJobId(to) })

type Row = SumRow & { is_total: boolean }

// Not a named statement, so that Postgres plans it with the values of each request. A generic plan expects few rows, and uses an index
// with which many rows take a hundred times as long.
const ofAccount = lazily((groups) =>
  statement<Bounds & { account_id: string }, Row>(
    null,
    grouped(
      groups,
      `jobs where account_id = $account_id::uuid and id between $first::uuid and $last::uuid
        and created_at >= $from::timestamptz and created_at < $to::timestamptz`,
    ),
  ),
)

const ofAll = lazily((groups) =>
  statement<Bounds, Row>(
    null,
    grouped(
      groups,
      `jobs ${groups.includes('plan') ? 'join accounts on accounts.id = jobs.account_id' : ''}
        where jobs.id between $first::uuid and $last::uuid
          and jobs.created_at >= $from::timestamptz and jobs.created_at < $to::timestamptz`,
    ),
  ),
)

/** Memoizes a statement for each combination of groups. */
function lazily<Made>(make: (groups: readonly Group[]) => Made): (groups: readonly Group[]) => Made {
  const made = new Map<string, Made>()
  return (groups) => {
    const key = groups.join()
    const found = made.get(key) ?? make(groups)
    made.set(key, found)
    return found
  }
}

export interface Usage {
  /** By day, newest first; else by credits, most first */
  rows: SumRow[]
  total: Sums
  /** There are more rows than are listed; `total` includes them */
  more: boolean
}

/** What an account's jobs of a period cost and hold, by `groups`. */
export const readUsage = async (db: Db, account_id: string, period: Period, groups: readonly Group[]) =>
  usageOf(await ofAccount(groups)(db, { account_id, ...boundsOf(period) }))

/** The same over all accounts. */
export const readAllUsage = async (db: Db, period: Period, groups: readonly Group[]) =>
  usageOf(await ofAll(groups)(db, boundsOf(period)))

function usageOf(found: Row[]): Usage {
  const rows: SumRow[] = []
  let total: Sums = { jobs: 0, completed: 0, failed: 0, credits: 0, held: 0 }
  for (const { is_total, ...row } of found) {
    if (is_total) {
      const { jobs, completed, failed, credits, held } = row
      total = { jobs, completed, failed, credits, held }
    } else rows.push(row)
  }
  const listed = withinBytes(rows).slice(0, MAX_ROWS)
  return { rows: listed, total, more: listed.length < rows.length }
}

/** The first rows that fit into `PAGE_BYTES`. */
function withinBytes(rows: SumRow[]): SumRow[] {
  let bytes = 0
  const over = rows.findIndex((row) => {
    // Twice: the answer repeats the groups in `key`, and adds the name of the token or grant.
    bytes += 2 * jsonBytes(row)
    return bytes > PAGE_BYTES
  })
  return over < 0 ? rows : rows.slice(0, over)
}

const namesOf = statement<{ account_id: string; ids: string[] }, { id: string; name: string }>(
  'usage_names',
  `select id::text, name || ' …' || last_four as name from tokens
    where account_id = $account_id::uuid and id = any($ids::uuid[])
  union all select g.id::text, coalesce(apps.name, g.client_id) from grants g left join apps on apps.slug = g.client_id
    where g.account_id = $account_id::uuid and g.id = any($ids::uuid[])`,
)

/** Names of the tokens and grants in `rows`, by id. Deleted ones have none. */
export async function readNames(db: Db, account_id: string, rows: SumRow[]): Promise<Map<string, string>> {
  const ids = [...new Set(rows.flatMap(({ token }) => token ?? []))]
  if (ids.length === 0) return new Map()
  return new Map((await namesOf(db, { account_id, ids })).map(({ id, name }) => [id, name]))
}
