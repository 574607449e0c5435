/** Pages of lists: bounded by rows and by bytes. */

/** The most that a page holds, in bytes of JSON. The page ends before the row that would pass it; a single row is always answered. */
export const PAGE_BYTES = 1_048_576

/** The most rows that are read by one query: a page of the default length and one more, which says whether there is another page. */
const PORTION = 51

/**
 * Reads a page of a list in portions, until it has enough rows or bytes.
 * @param read reads up to `count` rows that follow `after`; undefined: the first ones of the page
 * @param bytesOf about how long a row is as JSON
 * @returns `more`: rows follow this page
 */
export async function readPage<Row>(
  limit: number,
  read: (after: Row | undefined, count: number) => Promise<Row[]>,
  bytesOf: (row: Row) => number,
): Promise<{ rows: Row[]; more: boolean }> {
  const rows: Row[] = []
  let bytes = 0
  for (;;) {
    const count = Math.min(limit + 1 - rows.length, PORTION)
    const portion = await read(rows.at(-1), count)
    for (const row of portion) {
      bytes += bytesOf(row)
      if (rows.length === limit || (rows.length > 0 && bytes > PAGE_BYTES)) return { rows, more: true }
      rows.push(row)
    }
    if (portion.length < count) return { rows, more: false }
  }
}

/** About how long a row is as JSON, for lists that are short or seldom read. */
export const jsonBytes = (row: object): number => Buffer.byteLength(JSON.stringify(row))
