import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BOM, CSV_TYPE, csvLines } from '../http/csv.ts'
import { type EntryFilter, type EntryOfJob, type Numbers, searchEntries } from '../ledger/selection.ts'

/** The columns of entries in CSV. Later ones were added at the end. */
export const ENTRY_COLUMNS = [
  ...([
    'seq',
    'created_at',
    'kind',
    'amount',
    'balance_after',
    'job_id',
    'reference',
    'reason',
    'corrects_job_id',
  ] as const),
  ...(['app', 'action'] as const),
]

/** How many entries are looked at by one query, and are in memory at the same time. */
const PORTION = 1_000

/**
 * Answers with an account's entries as CSV, however many there are: they are read in portions, each when the client has taken the one
 * before. Entries never change and are numbered from the last one down, so all portions together are the history at one moment.
 * A fault before the first line is answered as such. After it, the connection is closed before the end of the answer.
 */
export async function sendEntries(
  request: FastifyRequest,
  reply: FastifyReply,
  account_id: string,
  filter: EntryFilter,
  numbers: Numbers,
): Promise<FastifyReply> {
  const { db } = request.server
  const read = async ({ before }: { before: number }) => {
    const { rows, stoppedAt } = await searchEntries(...([db, account_id, filter, { ...numbers, before }] as const), {
      count: PORTION,
      search: PORTION,
    })
    // The last one that was looked at, whether it matches or not. A full portion has as many rows as it looked at.
    const last = stoppedAt ?? (rows.length === PORTION ? rows.at(-1)?.seq : undefined)
    return { rows, next: last === undefined ? undefined : Number(last) }
  }

  async function* lines(first: Awaited<ReturnType<typeof read>>) {
    yield BOM + csvLines(ENTRY_COLUMNS, first.rows, true)
    for (let { next } = first; next !== undefined; ) {
      await request.takeTurn?.()
      let portion: { rows: EntryOfJob[]; next: number | undefined }
      try {
        portion = await read({ before: next })
      } finally {
        request.endTurn?.()
      }
      if (portion.rows.length > 0) yield csvLines(ENTRY_COLUMNS, portion.rows, false)
      next = portion.next
    }
  }

  const first = await read(numbers)
  reply.type(CSV_TYPE)
  // A HEAD request would read everything to send nothing of it.
  if (request.method === 'HEAD') return reply.send('')
  return reply.send(Readable.from(lines(first), { objectMode: false, highWaterMark: 1 }))
}
