import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BOM, CSV_TYPE, csvLines } from '../http/csv.ts'
import { type EntryFilter, type EntryOfJob, type Numbers, searchEntries } from '../ledger/selection.ts'

/** The columns of entries in CSV. Add new ones at the end, because scripts may count columns. */
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

/** How many entries one query looks at, and how many are in memory at the same time. */
const PORTION = 1_000

/**
 * Answers with an account's entries as CSV, newest first. They are read in portions: the next one when the client has taken the one before.
 * Entries never change, and a portion has only older entries than the one before, so all portions together are the history at one moment.
 * A failure before the first line gets an error response. A later one closes the connection before the answer is complete.
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
    // Where the next portion starts: after the last entry that was looked at, whether it matches the filter or not.
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
  // Without this, a HEAD request would read all entries and send none.
  if (request.method === 'HEAD') return reply.send('')
  return reply.send(Readable.from(lines(first), { objectMode: false, highWaterMark: 1 }))
}
