import type { FastifyRequest } from 'fastify'
import type { Cell } from './cells.ts'

/** A table whose order, filters and page stand in its address. views/console/table.eta renders it. */

export interface Table {
  /** What it lists, for screen readers */
  caption: string
  columns: { text: string; number: boolean; sort?: { href: string; now: 'ascending' | 'descending' | undefined } }[]
  rows: Cell[][]
  /** Where there are none: what comes here, and how */
  empty: string
  first?: string | undefined
  next?: string | undefined
}

interface Column {
  text: string
  number?: boolean
  /** The values of `sort` for the largest or latest first, and last; `usual`: the first is the order without `sort` */
  sort?: { descending: string; ascending: string; usual?: boolean }
}

/** @param next_cursor of the list; null: its last page */
export function table(
  request: FastifyRequest,
  given: {
    caption: string
    columns: readonly (string | Column)[]
    rows: Cell[][]
    empty: string
    next_cursor?: string | null
  },
): Table {
  const { caption, rows, empty, next_cursor } = given
  const { sort, cursor } = request.query as { sort?: string; cursor?: string }
  return {
    ...{ caption, rows, empty },
    columns: given.columns.map((column) => {
      const { text, number = false, sort: by } = typeof column === 'string' ? { text: column } : (column as Column)
      if (!by) return { text, number }
      const chosen = sort ?? (by.usual ? by.descending : undefined)
      const now = chosen === by.descending ? 'descending' : chosen === by.ascending ? 'ascending' : undefined
      const next = now === 'descending' ? by.ascending : by.descending
      return { text, number, sort: { href: withQuery(request, { sort: next, cursor: undefined }), now } }
    }),
    first: cursor === undefined ? undefined : withQuery(request, { cursor: undefined }),
    next: next_cursor ? withQuery(request, { cursor: next_cursor }) : undefined,
  }
}

/** The address of this page with some parameters set, or removed where undefined. */
export function withQuery(request: FastifyRequest, changes: Record<string, string | undefined>): string {
  const [path = '', query] = request.url.split('?', 2)
  const parameters = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) parameters.delete(name)
    else parameters.set(name, value)
  }
  return parameters.size ? `${path}?${parameters}` : path
}

/** A choice among links, such as the status of jobs; the first is what an address without the parameter shows. */
export interface Choice {
  name: string
  links: { text: string; href: string; here: boolean }[]
}

/** @param values by the parameter's value, '' for none: what the link is called */
export function choice(
  request: FastifyRequest,
  name: string,
  parameter: string,
  values: Record<string, string>,
): Choice {
  const now = (request.query as Record<string, unknown>)[parameter] ?? ''
  const links = Object.entries(values).map(([value, text]) => ({
    text,
    href: withQuery(request, { [parameter]: value || undefined, cursor: undefined }),
    here: String(now) === value,
  }))
  return { name, links }
}
