import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { jsonBytes, PAGE_BYTES } from '../http/pages.ts'
import type { Period } from '../http/periods.ts'
import { firstJobId, lastJobId } from '../ledger/job-ids.ts'

/**
 * Where credits went: sums over jobs. A job counts in the period in which it was created, whenever it ends. What it holds or has cost
 * is what its ledger entries add up to, so the sums agree with the ledger. They are computed when they are asked for: a posting
 * maintains nothing for them.
 */

/** What rows are summed up by. `token` is the token that made the job, or the grant that the token is of. */
export const GROUPS = ['app', 'action', 'token', 'day'] as const
export const ADMIN_GROUPS = ['app', 'day', 'plan'] as const
export type Group = (typeof GROUPS)[number] | (typeof ADMIN_GROUPS)[number]

/** SQL of the value of each, for one job. */
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
  /** What ended jobs have cost */
  credits: number
  /** What started jobs hold */
  held: number
}

export type SumRow = Sums & { [Name in Group]?: string | null }

/** The most rows of an answer. The total covers them all. */
export const MAX_ROWS = 5_000

/** SQL of a sum as a safe integer: that of many accounts may pass it. */
const safeSum = (sum: string) => `least(coalesce(${sum}, 0), ${Number.MAX_SAFE_INTEGER})::bigint`

const SUMS = ['jobs', 'completed', 'failed', 'credits', 'held'] as const

/** SQL: the groups of some jobs, and before them the row of their total, in which `is_total` is true. */
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

// Job ids are in order of time, so an index on them leads to the period.
const boundsOf = ({ from, to }: Period): Bounds => ({ from, to, first: firstJobId(from), last: lastJobId(to) })

type Row = SumRow & { is_total: boolean }

// Planned with the values of each request. For any account and any period, Postgres expects few rows, and chooses an index by which
// many rows take a hundred times as long.
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

/** One statement for each combination of groups that is asked for. */
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
  /** There are rows beyond those listed; `total` has them */
  more: boolean
}

/** What an account's jobs of a period cost and hold, by these groups. */
export const readUsage = async (db: Db, account_id: string, period: Period, groups: readonly Group[]) =>
  usageOf(await ofAccount(groups)(db, { account_id, ...boundsOf(period) }))

/** The same of all accounts. */
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

/** The first rows, as many as an answer may hold. */
function withinBytes(rows: SumRow[]): SumRow[] {
  let bytes = 0
  const over = rows.findIndex((row) => {
    // With its key and its name.
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

/** What tokens and grants of an account are called, by id. Those that were deleted long ago have no name. */
export async function readNames(db: Db, account_id: string, rows: SumRow[]): Promise<Map<string, string>> {
  const ids = [...new Set(rows.flatMap(({ token }) => token ?? []))]
  if (ids.length === 0) return new Map()
  return new Map((await namesOf(db, { account_id, ids })).map(({ id, name }) => [id, name]))
}
