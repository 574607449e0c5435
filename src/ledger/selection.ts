import { isoTime, statement } from '../db/statement.ts'
import type { Db, EntryKind, JobStatus } from '../db/tables.ts'
import { FIRST_ID, LAST_ID, type Portion } from '../http/pages.ts'
import { refundedJobOf } from './history.ts'
import { firstJobId, lastJobId } from './job-ids.ts'
import { MAX_PRINTED_BYTES } from './metadata.ts'
import { JOB_COLUMNS, type JobRow } from './read.ts'

/**
 * Lists of jobs and of entries, newest first. Filters that have an index read matching rows only. For the others there is a search:
 * it looks at a bounded number of rows and then stops, so that a filter that matches little costs no more than a full page. Where it
 * stopped, the next page goes on. An index for each would cost every posting.
 */

/** How many rows one search looks at. */
export const SEARCH_ROWS = 400

/** A row of a search. The last row that was looked at is there, too, whether it matches or not. */
interface Searched {
  place: number
  matches: boolean
}

function foundBy<Row extends Searched>(
  listed: Row[],
  { search, count }: { search: number; count: number },
  placeOf: (row: Row) => string,
): Portion<Omit<Row, keyof Searched>> {
  const last = listed.at(-1)
  const rows = listed.filter(({ matches }) => matches).map(({ place: _, matches: __, ...row }) => row)
  const stopped = last !== undefined && last.place === search && rows.length < count
  return { rows, stoppedAt: stopped ? placeOf(last) : undefined }
}

export interface JobFilter {
  app?: string | undefined
  status?: JobStatus | undefined
  /** Id of the token that made them, or of the grant that the token is of */
  token?: string | undefined
  /** Created at this time or later */
  from?: Date | undefined
  /** Created before this time */
  to?: Date | undefined
}

interface JobsQuery extends Record<string, unknown> {
  account_id: string
  app: string
  status: string
  first: string
  before: string
  from: Date | '-infinity'
  to: Date | 'infinity'
  count: number
}

type Part = 'all' | 'app' | 'status' | 'both'

/**
 * SQL of an account's jobs by app and status, and by time where a period is asked for. For any period, Postgres expects so few jobs that
 * it takes the primary key for as good as the index of the filter; so statements with one are planned for the values of each call.
 */
function jobsOf(part: Part, isPeriod: boolean, limit: string): string {
  const where = (
    filter: string,
  ) => `select * from jobs where account_id = $account_id::uuid and ${filter} and id < $before::uuid
    ${isPeriod ? 'and id >= $first::uuid and created_at >= $from::timestamptz and created_at < $to::timestamptz' : ''}
    order by id desc limit ${limit}::int`
  if (part === 'all') return where('true')
  if (part === 'status') return where('status = $status')
  if (part === 'both') return where('app_slug = $app and status = $status')
  // Jobs of any status are merged from those of each: those lists have an index.
  return (['started', 'completed', 'failed'] as const)
    .map((status) => `(${where(`app_slug = $app and status = '${status}'`)})`)
    .join(' union all ')
}

// OFFSET keeps the planner from computing the length once for each use.
const listedJobs = (jobs: string, more = '') => `select ${JOB_COLUMNS}, ${more} bytes,
    case when bytes <= ${MAX_PRINTED_BYTES} then metadata end as metadata
  from (select *, coalesce(octet_length(metadata::text), 0) as bytes from (${jobs}) as listed
    order by id desc limit $count::int offset 0) as jobs
  order by id desc`

type JobOfList = JobRow & { bytes: number }

const listOf = (part: Part, isPeriod: boolean) =>
  statement<JobsQuery, JobOfList>(isPeriod ? null : `jobs_page_${part}`, listedJobs(jobsOf(part, isPeriod, '$count')))

const searchOf = (part: Part, isPeriod: boolean) =>
  statement<JobsQuery & { search: number; token: string }, JobOfList & Searched>(
    isPeriod ? null : `jobs_search_${part}`,
    listedJobs(
      `select * from (
        select *, token_id = $token::uuid or grant_id = $token::uuid as found, row_number() over (order by id desc) as place
        from (${jobsOf(part, isPeriod, '$search')}) as candidates order by id desc limit $search::int) as searched
      where found or place = $search::int`,
      'place, coalesce(found, false) as matches,',
    ),
  )

const ofEach = <Made>(make: (part: Part) => Made): Record<Part, Made> => ({
  ...{ all: make('all'), app: make('app'), status: make('status'), both: make('both') },
})
const lists = ofEach((part) => ({ any: listOf(part, false), period: listOf(part, true) }))
const searches = ofEach((part) => ({ any: searchOf(part, false), period: searchOf(part, true) }))

/**
 * Reads a portion of the list of an account's jobs.
 * @param before the id that they come after in the list; undefined: from the newest
 * @returns with each job the bytes of its metadata; metadata too large to be read along with others is null
 */
export async function listJobs(
  db: Db,
  account_id: string,
  { app, status, token, from, to }: JobFilter,
  before: string | undefined,
  { count, search }: { count: number; search: number },
): Promise<Portion<JobOfList>> {
  const part = app === undefined ? (status ? 'status' : 'all') : status ? 'both' : 'app'
  const time = from || to ? 'period' : 'any'
  const end = to ? lastJobId(to) : LAST_ID
  const query = {
    ...{ account_id, app: app ?? '', status: status ?? '', count },
    ...({ from: from ?? '-infinity', to: to ?? 'infinity' } as const),
    first: from ? firstJobId(from) : FIRST_ID,
    before: before !== undefined && before.toLowerCase() < end ? before : end,
  }
  if (token === undefined) return { rows: await lists[part][time](db, query) }
  const listed = await searches[part][time](db, { ...query, token, search })
  return foundBy(listed, { search, count }, ({ id }) => id)
}

/** A ledger entry as it is answered. */
export interface EntryRow {
  seq: number
  /** ISO 8601 */
  created_at: string
  kind: EntryKind
  amount: number
  balance_after: number
  job_id: string | null
  reference: string | null
  reason: string | null
  /** The job that it refunds */
  corrects_job_id: string | null
}

export interface EntryFilter {
  kind?: EntryKind | undefined
  /** App of the job, or of the starter credits */
  app?: string | undefined
  /** As of jobs: entries of its jobs */
  token?: string | undefined
}

/** Numbers of entries: from `first` on, and below `before`. */
export interface Numbers {
  first: number
  before: number
}

const ENTRY_COLUMNS = `seq, ${isoTime('created_at')} as created_at, kind, amount, balance_after, job_id, reference, reason,
  ${refundedJobOf('ledger_entries')} as corrects_job_id`

/** Most entries are of these kinds; the others have an index. */
const USUAL_KINDS: EntryKind[] = ['job_reserve', 'job_refund']
const isUsual = (kind: EntryKind | undefined): boolean => kind !== undefined && USUAL_KINDS.includes(kind)

const NUMBERED = 'account_id = $account_id::uuid and seq < $before::bigint and seq >= $first::bigint'
const ENTRIES = {
  all: NUMBERED,
  // The second condition is that of the index.
  kind: `${NUMBERED} and kind = $kind and kind not in ('${USUAL_KINDS.join("', '")}')`,
}

type EntriesQuery = Numbers & Record<string, unknown> & { account_id: string; kind: string; count: number }

const entryList = (name: keyof typeof ENTRIES) =>
  statement<EntriesQuery, EntryRow>(
    `entries_page_${name}`,
    `select ${ENTRY_COLUMNS} from ledger_entries where ${ENTRIES[name]} order by seq desc limit $count::int`,
  )

/** An entry with the app and the action of its job. */
export type EntryOfJob = EntryRow & { app: string | null; action: string | null }

const entrySearch = (name: keyof typeof ENTRIES) =>
  statement<EntriesQuery & { search: number; token: string | null; app: string }, EntryOfJob & Searched>(
    `entries_search_${name}`,
    `select * from (
      select searched.*, job.action, coalesce(job.app_slug, granted_by) as app,
        ($kind = '' or kind = $kind) and ($app = '' or coalesce(job.app_slug, granted_by, '') = $app)
          and ($token::uuid is null or coalesce(job.token_id = $token::uuid or job.grant_id = $token::uuid, false)) as matches
      from (
        select ${ENTRY_COLUMNS}, row_number() over (order by seq desc) as place,
          case when kind = 'starter_grant' then substring(reference from 15) end as granted_by
        from (select * from ledger_entries where ${ENTRIES[name]} order by seq desc limit $search::int) as ledger_entries
        ) as searched
        left join jobs as job on job.account_id = $account_id::uuid and job.id = coalesce(searched.job_id, corrects_job_id)
      ) as entries
    where matches or place = $search::int order by seq desc limit $count::int`,
  )

const entryLists = { all: entryList('all'), kind: entryList('kind') }
const entrySearches = { all: entrySearch('all'), kind: entrySearch('kind') }

/** Reads a portion of an account's entries. */
export type EntryReader<Row> = (
  db: Db,
  account_id: string,
  filter: EntryFilter,
  numbers: Numbers,
  most: { count: number; search: number },
) => Promise<Portion<Row>>

export const listEntries: EntryReader<EntryRow> = async (db, account_id, filter, numbers, most) => {
  const { kind, app, token } = filter
  if (app !== undefined || token !== undefined || isUsual(kind))
    return searchEntries(db, account_id, filter, numbers, most)
  const list = entryLists[kind === undefined ? 'all' : 'kind']
  return { rows: await list(db, { account_id, kind: kind ?? '', count: most.count, ...numbers }) }
}

/** The same by a search, with the apps and actions of their jobs. */
export const searchEntries: EntryReader<EntryOfJob> = async (db, account_id, filter, numbers, most) => {
  const { kind, app = '', token = null } = filter
  const query = entrySearches[kind === undefined || isUsual(kind) ? 'all' : 'kind']
  const listed = await query(db, { account_id, kind: kind ?? '', app, token, ...numbers, ...most })
  return foundBy(listed, most, ({ seq }) => String(seq))
}

/** Reads the entries of an account with these references, oldest first. */
export const readEntriesOf = statement<{ account_id: string; references: string[] }, EntryRow>(
  'entries_of_references',
  `select ${ENTRY_COLUMNS} from ledger_entries
  where account_id = $account_id::uuid and reference = any($references::text[]) order by seq`,
)
