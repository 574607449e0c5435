/** Follows a list to its end. @returns its pages as one: that of `rows` has the rows of all */
export async function everyPage<Name extends string, Row>(
  rows: Name,
  ask: (cursor: { cursor?: string }) => Promise<Record<Name, Row[]> & { next_cursor: string | null }>,
): Promise<Record<Name, Row[]> & { next_cursor: string | null }> {
  const first = await ask({})
  for (let cursor = first.next_cursor; cursor !== null; ) {
    const page = await ask({ cursor })
    first[rows].push(...page[rows])
    cursor = page.next_cursor
  }
  return { ...first, next_cursor: null }
}
