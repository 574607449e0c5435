import type { Db } from '../db/tables.ts'
import { type Page, readPage } from '../http/pages.ts'
import { balancesBefore } from './history.ts'
import { MAX_PRINTED_BYTES } from './metadata.ts'
import { type JobRow, readMetadata } from './read.ts'
import {
  type EntryFilter,
  type EntryReader,
  type EntryRow,
  type JobFilter,
  listEntries,
  listJobs,
  type Numbers,
  SEARCH_ROWS,
  searchEntries,
} from './selection.ts'

/** Pages of an account's jobs and entries, newest first. They end at 1 MiB, and where a search has stopped. */

interface SearchPage extends Page {
  /** How many rows a search looks at */
  search?: number | undefined
}

/** About how long a job is as JSON, but for its metadata. */
const JOB_BYTES = 600

export async function jobsPage(
  db: Db,
  account_id: string,
  filter: JobFilter,
  { limit = 50, cursor, search = SEARCH_ROWS }: SearchPage,
): Promise<{ jobs: JobRow[]; next_cursor: string | null }> {
  const read = (last: { id: string } | undefined, count: number) =>
    listJobs(db, account_id, filter, last?.id ?? cursor, { count, search })
  const { rows, more, stoppedAt } = await readPage(limit, read, ({ bytes }) => JOB_BYTES + bytes)
  const jobs = []
  for (const { bytes, ...job } of rows) {
    if (bytes > MAX_PRINTED_BYTES) job.metadata = await readMetadata(db, account_id, job.id)
    jobs.push(job)
  }
  return { jobs, next_cursor: more ? (stoppedAt ?? jobs.at(-1)?.id ?? null) : null }
}

/** Selects entries, also by time: those of history.ts. */
interface EntriesOf extends EntryFilter {
  from?: Date | undefined
  to?: Date | undefined
}

/** The numbers of the entries of a period that come after a cursor. */
export async function numbersAfter(
  db: Db,
  account_id: string,
  { from, to }: EntriesOf,
  cursor: string | undefined,
): Promise<Numbers> {
  const moments = [from, to].filter((moment) => moment !== undefined)
  const found = moments.length > 0 ? await balancesBefore(db, account_id, moments) : []
  const after = (time: Date) => (found.find(({ moment }) => moment.getTime() === time.getTime())?.seq ?? 0) + 1
  const before = to ? after(to) : Number.MAX_SAFE_INTEGER
  return { first: from ? after(from) : 1, before: Math.min(before, Number(cursor ?? before)) }
}

/** A page of entries by a reader of selection.ts. */
const pageBy =
  <Row extends EntryRow>(read: EntryReader<Row>) =>
  async (db: Db, account_id: string, filter: EntriesOf, { limit = 50, cursor, search = SEARCH_ROWS }: SearchPage) => {
    const { first, before } = await numbersAfter(db, account_id, filter, cursor)
    const portion = (last: Row | undefined, count: number) =>
      read(db, account_id, filter, { first, before: last?.seq ?? before }, { count, search })
    const { rows: entries, more, stoppedAt } = await readPage<Row>(limit, portion, entryBytes)
    return { entries, next_cursor: more ? (stoppedAt ?? String(entries.at(-1)?.seq)) : null }
  }

export const entriesPage = pageBy(listEntries)
/** The same with the apps and actions of the entries' jobs. */
export const entriesOfJobsPage = pageBy(searchEntries)

/** About how long an entry is as JSON. */
const entryBytes = ({ reference, reason }: EntryRow): number =>
  300 + Buffer.byteLength(reference ?? '') + Buffer.byteLength(reason ?? '')
