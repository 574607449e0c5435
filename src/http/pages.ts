/** Pages of lists: bounded by rows and by bytes. */

/** Sorts before and after every id (a UUID): where a list by id starts. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000'
export const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** Which page of a list is asked for. */
export interface Page {
  /** The most rows */
  limit?: number | undefined
  /** `next_cursor` of the page before */
  cursor?: string | undefined
}

/**
 * Cuts a page from the rows of a list by id, which were read one beyond the page.
 * @returns the page, and the id of its last row where more follow
 */
export function pageById<Row extends { id: string }>(rows: Row[], limit: number) {
  const page = rows.slice(0, limit)
  return { page, next_cursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null }
}

/** The most that a page holds, in bytes of JSON. The page ends before the row that would exceed it, but has at least one row. */
export const PAGE_BYTES = 1_048_576

/** Rows per query: a page of the default length, and one more row that shows whether another page follows. */
const PORTION = 51

/** A part of a list. `stoppedAt`: where the search stopped after examining many rows; more may follow. */
export interface Portion<Row> {
  rows: Row[]
  stoppedAt?: string | undefined
}

/**
 * Reads a page of a list in portions, until it has enough rows or bytes, or until the search for rows has stopped.
 * @param read reads up to `count` rows that follow `after`; undefined: the first ones of the page
 * @param bytesOf the approximate length of a row as JSON
 * @returns `more`: rows follow this page, or may follow; `stoppedAt`: where the search continues
 */
export async function readPage<Row>(
  limit: number,
  read: (after: Row | undefined, count: number) => Promise<Row[] | Portion<Row>>,
  bytesOf: (row: Row) => number,
): Promise<{ rows: Row[]; more: boolean; stoppedAt?: string }> {
  const rows: Row[] = []
  let bytes = 0
  for (;;) {
    const count = Math.min(limit + 1 - rows.length, PORTION)
    const found = await read(rows.at(-1), count)
    const portion = Array.isArray(found) ? { rows: found, stoppedAt: undefined } : found
    for (const row of portion.rows) {
      bytes += bytesOf(row)
      if (rows.length === limit || (rows.length > 0 && bytes > PAGE_BYTES)) return { rows, more: true }
      rows.push(row)
    }
    if (portion.stoppedAt !== undefined) return { rows, more: true, stoppedAt: portion.stoppedAt }
    if (portion.rows.length < count) return { rows, more: false }
  }
}

/** The length of a row as JSON, in bytes. Serializes the row, so use it for lists that are short or rarely read. */
export const jsonBytes = (row: object): number => Buffer.byteLength(JSON.stringify(row))
