import type { Db } from '../db/tables.ts'
import { type Page, readPage } from '../http/pages.ts'
import { MAX_PRINTED_BYTES } from './metadata.ts'
import { type JobRow, readMetadata } from './read.ts'
import {
  type EntryFilter,
  type EntryOfJob,
  type EntryRow,
  type JobFilter,
  listEntries,
  listJobs,
  type Numbers,
  numbersOf,
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
  { limit = 50, cursor, search }: SearchPage,
): Promise<{ jobs: JobRow[]; next_cursor: string | null }> {
  const read = (last: { id: string } | undefined, count: number) =>
    listJobs(db, account_id, filter, last?.id ?? cursor, count, search)
  const { rows, more, stoppedAt } = await readPage(limit, read, ({ bytes }) => JOB_BYTES + bytes)
  const jobs = []
  for (const { bytes, ...job } of rows) {
    if (bytes > MAX_PRINTED_BYTES) job.metadata = await readMetadata(db, account_id, job.id)
    jobs.push(job)
  }
  return { jobs, next_cursor: more ? (stoppedAt ?? jobs.at(-1)?.id ?? null) : null }
}

/** Selects entries, also by time. */
export interface EntriesOf extends EntryFilter {
  from?: Date | undefined
  to?: Date | undefined
}

/** The numbers of the entries of a period that come after a cursor. */
export async function numbersAfter(db: Db, account_id: string, filter: EntriesOf, cursor: string | undefined) {
  const { first, before } = await numbersOf(db, account_id, filter)
  return { first, before: Math.min(before, Number(cursor ?? before)) }
}

export async function entriesPage(
  db: Db,
  account_id: string,
  filter: EntriesOf,
  { limit = 50, cursor, search }: SearchPage,
): Promise<{ entries: EntryRow[]; next_cursor: string | null }> {
  const numbers = await numbersAfter(db, account_id, filter, cursor)
  return pageOf(limit, numbers, (range, count) => listEntries(db, account_id, filter, range, count, search))
}

/** The same with the apps and actions of the entries' jobs. */
export async function entriesOfJobsPage(
  db: Db,
  account_id: string,
  filter: EntriesOf,
  { limit = 50, cursor, search = SEARCH_ROWS }: SearchPage,
): Promise<{ entries: EntryOfJob[]; next_cursor: string | null }> {
  const numbers = await numbersAfter(db, account_id, filter, cursor)
  return pageOf(limit, numbers, (range, count) => searchEntries(db, account_id, filter, range, { count, search }))
}

type Reader<Row> = (numbers: Numbers, count: number) => Promise<{ rows: Row[]; stoppedAt: string | undefined }>

async function pageOf<Row extends EntryRow>(limit: number, { first, before }: Numbers, listed: Reader<Row>) {
  const read = (last: Row | undefined, count: number) => listed({ first, before: last?.seq ?? before }, count)
  const { rows: entries, more, stoppedAt } = await readPage<Row>(limit, read, entryBytes)
  return { entries, next_cursor: more ? (stoppedAt ?? String(entries.at(-1)?.seq)) : null }
}

/** About how long an entry is as JSON. */
const entryBytes = ({ reference, reason }: { reference: string | null; reason: string | null }): number =>
  300 + Buffer.byteLength(reference ?? '') + Buffer.byteLength(reason ?? '')
