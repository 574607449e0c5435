import { stringify } from 'csv-stringify/sync'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** CSV by RFC 4180, with a header line and a byte order mark, by which spreadsheets know that it is UTF-8. */

export const BOM = '\ufeff'

/** Whether the request would rather have CSV than JSON. Tells caches that the Accept header decides. */
export function wantsCsv(request: FastifyRequest, reply: FastifyReply): boolean {
  reply.header('vary', [reply.getHeader('vary'), 'Accept'].filter(Boolean).join(', '))
  return request.accepts().type(['application/json', 'text/csv']) === 'text/csv'
}

/**
 * The lines of some rows. A text that a spreadsheet would evaluate as a formula gets an apostrophe before it.
 * @param header whether the names of the columns come first
 */
export const csvLines = (columns: readonly string[], rows: object[], header: boolean): string =>
  stringify(rows, {
    header,
    columns: [...columns],
    cast: {
      // Texts only: an amount of -5 is a number. Some spreadsheets also take full-width signs for the start of a formula.
      string: (text) => (/^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text),
      boolean: String,
    },
  })

/** A whole document. */
export const csvOf = (columns: readonly string[], rows: object[]): string => BOM + csvLines(columns, rows, true)

export const CSV_TYPE = 'text/csv; charset=utf-8'
