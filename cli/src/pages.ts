import { Failure } from './failure.ts'

/**
 * Reads all pages of a list.
 * @param rows the name of the field with the rows
 * @returns a page with the rows of all pages
 * @throws {Failure} not_a_focus_api if the server returns a cursor twice, which would never end
 */
export async function everyPage<Name extends string, Row>(
  rows: Name,
  ask: (cursor: { cursor?: string }) => Promise<Record<Name, Row[]> & { next_cursor: string | null }>,
): Promise<Record<Name, Row[]> & { next_cursor: string | null }> {
  const first = await ask({})
  const seen = new Set<string>()
  for (let cursor = first.next_cursor; cursor !== null; ) {
    if (seen.has(cursor)) {
      throw new Failure('not_a_focus_api', 'The list does not end: the server answers the same page again', {
        hint: 'Check --server and FOCUS_SERVER.',
      })
    }
    seen.add(cursor)
    const page = await ask({ cursor })
    first[rows].push(...page[rows])
    cursor = page.next_cursor
  }
  return { ...first, next_cursor: null }
}
