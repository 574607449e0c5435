import { statement } from '../db/statement.ts'
import type { Db, JobStatus } from '../db/tables.ts'
import { badField, noSuchJob } from '../http/catalogue.ts'
import { FIRST_ID, jsonBytes, LAST_ID, PAGE_BYTES, type Page } from '../http/pages.ts'
import { jobsPage } from '../ledger/lists.ts'
import { type JobRow, readJob } from '../ledger/read.ts'
import { MAX_REFUND_PARTS, refundReference } from '../ledger/rules.ts'
import { type EntryRow, readEntriesOf } from '../ledger/selection.ts'

/** Jobs of all accounts. Every list reads along an index; if a filter matches only some of the rows, a page reads a bounded number. */

/** Rows that are read for one page: first one more than the largest page has; if too few of them match, up to the second number. */
const WINDOWS = [201, 5_000] as const

interface AllJobsFilter {
  app?: string | undefined
  status?: JobStatus | undefined
  /** Only jobs in progress with an expired hold */
  overdue?: boolean | undefined
  /** Only failed jobs whose hold expired */
  expired?: boolean | undefined
  account?: string | undefined
}

type AccountJob = JobRow & { account_id: string }

/** The position of a job in a list. */
interface Place {
  account_id: string
  id: string
  /** When its hold expires, in microseconds since 1970; null in lists by id */
  micros: number | null
}

interface Found extends Place {
  /** Not a match, but the last row that was read */
  is_end: boolean
}

type Window = { app: string | null; status: string | null; reason: string | null; count: number }

/** SQL that returns the matching rows among the first `most` of `rows`, and the last of these rows if there may be more after it. */
const windowed = (
  rows: string,
  order: string,
  reversed: string,
  most: number,
) => `with read as materialized (${rows} limit ${most})
  select account_id, id, micros, false as is_end from (
    select * from read where ($app::text is null or app_slug = $app) and ($status::text is null or status = $status)
      and ($reason::text is null or failure_reason = $reason)
    order by ${order} limit $count::int) as matching
  union all
  select account_id, id, micros, true from (select * from read order by ${reversed} limit 1) as last
  where (select count(*) from read) = ${most}`

type Reader<Place> = readonly ((db: Db, query: Window & Place) => Promise<Found[]>)[]
type Expiry = { micros: string; account_id: string; id: string }

const byId = (name: string, condition: string) =>
  WINDOWS.map((most) => {
    const rows = `select account_id, id, app_slug, status, failure_reason, null::bigint as micros from jobs
      where ${condition} and id < $before::uuid order by id desc`
    const text = windowed(rows, 'id desc', 'id', most)
    return statement<Window & { before: string }, Found>(`all_jobs_${name}_${most}`, text)
  })

const byExpiry = (name: string, condition: string) =>
  WINDOWS.map((most) => {
    const order = 'expires_at, account_id, id'
    const rows = `select account_id, id, app_slug, status, failure_reason, expires_at, (extract(epoch from expires_at) * 1000000)::bigint as micros
      from jobs where status = 'started' and actual_cost = 0 and ${condition}
        and (expires_at, account_id, id) > (to_timestamp(0) + $micros::bigint * interval '1 microsecond', $account_id::uuid, $id::uuid)
      order by ${order}`
    const text = windowed(rows, order, 'expires_at desc, account_id desc, id desc', most)
    return statement<Window & Expiry, Found>(`all_jobs_${name}_${most}`, text)
  })

const readers = {
  all: byId('all', 'true'),
  failed: byId('failed', `status = 'failed'`),
  started: byExpiry('started', 'true'),
  overdue: byExpiry('overdue', 'expires_at <= now()'),
}

/** Reads the small window, then the large one if too few rows matched and there are more. */
async function readFrom<Place>(reader: Reader<Place>, db: Db, query: Window & Place): Promise<Found[]> {
  let found: Found[] = []
  for (const read of reader) {
    found = await read(db, query)
    if (found.length > query.count || !found.some(({ is_end }) => is_end)) break
  }
  return found
}

/** Exported for the test that checks their query plans. */
export const JOB_READS = Object.values(readers).flat()

/** The cursor of a list: a job id; in lists of holds after the time of their expiry, in microseconds, and the account id. */
export const JOBS_CURSOR =
  /^(?:(-?[0-9]{1,17})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/**
 * A page of jobs. Jobs in progress are ordered by the expiry of their holds, the earliest first; all others are newest first. A page may
 * have fewer than `limit` jobs, or none, although there are more.
 * @throws {ApiError} 400 for a cursor of another list, or for `overdue` with a status other than `started`
 */
export async function listAllJobs(
  db: Db,
  filter: AllJobsFilter,
  { limit = 50, cursor }: Page,
): Promise<{ jobs: AccountJob[]; next_cursor: string | null }> {
  const { app, overdue = false, expired = false, account } = filter
  if (overdue && filter.status !== undefined && filter.status !== 'started')
    throw badField('overdue', 'is only for jobs with status started')
  const status = overdue ? 'started' : expired ? 'failed' : filter.status
  const isHolds = status === 'started' && account === undefined
  const [, micros, holder, id] = JOBS_CURSOR.exec(cursor ?? '') ?? []
  if (cursor !== undefined && (id === undefined || (micros !== undefined) !== isHolds))
    throw badField('cursor', 'is not of this list')

  if (account !== undefined) {
    const { jobs, next_cursor } = await jobsPage(db, account, { app, status }, { limit, cursor })
    const due = jobs.filter(({ expires_at }) => !overdue || new Date(expires_at) <= new Date())
    return { jobs: due.map((job) => ({ account_id: account, ...job })), next_cursor }
  }
  const asked = { app: app ?? null, status: status ?? null, reason: expired ? 'expired' : null, count: limit + 1 }
  const after = { micros: micros ?? FIRST_MICROS, account_id: holder ?? FIRST_ID, id: id ?? FIRST_ID }
  const found = isHolds
    ? await readFrom<Expiry>(readers[overdue ? 'overdue' : 'started'], db, { ...asked, ...after })
    : await readFrom(readers[status === 'failed' ? 'failed' : 'all'], db, { ...asked, before: id ?? LAST_ID })
  const matching = found.filter(({ is_end }) => !is_end).toSorted(isHolds ? earlierFirst : newerFirst)
  const page = matching.slice(0, limit)
  const jobs = await readAll(db, page)
  const isCut = jobs.length < page.length || matching.length > limit
  const end = isCut ? page[jobs.length - 1] : found.find(({ is_end }) => is_end)
  return { jobs, next_cursor: end ? cursorOf(end) : null }
}

/** Sorts before every expiry. */
const FIRST_MICROS = '-99999999999999999'

const newerFirst = (a: Place, b: Place) => (a.id < b.id ? 1 : -1)
const earlierFirst = (a: Place, b: Place) =>
  Number(a.micros) - Number(b.micros) || (`${a.account_id} ${a.id}` < `${b.account_id} ${b.id}` ? -1 : 1)

const cursorOf = ({ micros, account_id, id }: Place) => (micros === null ? id : `${micros}_${account_id}_${id}`)

/** The jobs at these places, in their present state; as many as fit into `PAGE_BYTES`. */
async function readAll(db: Db, places: Place[]): Promise<AccountJob[]> {
  const found = await Promise.all(places.map(({ account_id, id }) => readJob(db, account_id, id)))
  const jobs: AccountJob[] = []
  let bytes = 0
  for (const [n, job] of found.entries()) {
    if (!job) continue
    bytes += jsonBytes(job)
    if (jobs.length > 0 && bytes > PAGE_BYTES) break
    jobs.push({ account_id: places[n]?.account_id ?? '', ...job })
  }
  return jobs
}

const ownerOf = statement<{ id: string }, { account_id: string }>(
  'owner_of_job',
  'select account_id from jobs where id = $id::uuid limit 1',
)

/** A job by its id, whichever account it belongs to, with the entries that refund it. @throws {ApiError} 404 job_not_found */
export async function readAnyJob(db: Db, id: string): Promise<{ job: AccountJob; refunds: EntryRow[] }> {
  const [owner] = await ownerOf(db, { id })
  const job = owner && (await readJob(db, owner.account_id, id))
  if (!job) throw noSuchJob()
  const { account_id } = owner
  const references = Array.from({ length: MAX_REFUND_PARTS }, (_, n) => refundReference(job.id, n + 1))
  const refunds = job.refunded > 0 ? await readEntriesOf(db, { account_id, references }) : []
  return { job: { account_id, ...job }, refunds }
}
