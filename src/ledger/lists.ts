import type { Db } from '../db/tables.ts'
import { readPage } from '../http/pages.ts'
import { MAX_PRINTED_BYTES } from './metadata.ts'
import { type EntryRow, type JobFilter, type JobRow, readEntries, readJobs, readMetadata } from './read.ts'

/** Pages of an account's jobs and entries, newest first. They end at 1 MiB. */

export interface Page {
  limit?: number | undefined
  /** `next_cursor` of the page before */
  cursor?: string | undefined
}

/** About how long a job is as JSON, but for its metadata. */
const JOB_BYTES = 600

export async function jobsPage(
  db: Db,
  account_id: string,
  filter: Partial<JobFilter>,
  { limit = 50, cursor }: Page,
): Promise<{ jobs: JobRow[]; next_cursor: string | null }> {
  const { app, status } = filter
  const read = (last: { id: string } | undefined, count: number) =>
    readJobs(db, account_id, { app, status }, last?.id ?? cursor, count)
  const { rows, more } = await readPage(limit, read, ({ bytes }) => JOB_BYTES + bytes)
  const jobs = []
  for (const { bytes, ...job } of rows) {
    if (bytes > MAX_PRINTED_BYTES) job.metadata = await readMetadata(db, account_id, job.id)
    jobs.push(job)
  }
  return { jobs, next_cursor: more ? (jobs.at(-1)?.id ?? null) : null }
}

/** @param newest the number of the newest entry to be listed */
export async function entriesPage(
  db: Db,
  account_id: string,
  { limit = 50, cursor }: Page,
  newest = Number.MAX_SAFE_INTEGER - 1,
): Promise<{ entries: EntryRow[]; next_cursor: string | null }> {
  const first = Math.min(newest + 1, Number(cursor ?? Number.MAX_SAFE_INTEGER))
  const read = (last: { seq: number } | undefined, count: number) =>
    readEntries(db, account_id, last?.seq ?? first, count)
  const { rows: entries, more } = await readPage(limit, read, entryBytes)
  return { entries, next_cursor: more ? String(entries.at(-1)?.seq) : null }
}

/** About how long an entry is as JSON. */
const entryBytes = ({ reference, reason }: { reference: string | null; reason: string | null }): number =>
  300 + Buffer.byteLength(reference ?? '') + Buffer.byteLength(reason ?? '')
