import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { EntryKind } from '../../db/tables.ts'
import { jobNotFound } from '../../http/catalogue.ts'
import { Uuid } from '../../schemas/primitives.ts'
import { readEntries, readEntriesOf } from './entry-reads.ts'
import { page, signedIn } from './page.ts'
import { returnLink } from './return-link.ts'
import {
  amountText,
  ENTRY_WORDS,
  jobCost,
  jobState,
  jobTitle,
  movementText,
  shortText,
  timeText,
  webLink,
} from './words.ts'

const ENTRIES_ON_A_PAGE = 50

/** The ledger of an account as its owner reads it: every entry, and one job with its entries. */
export const creditHistoryPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/account/entries',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          before: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
        }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { before } = request.query
      const entries = await readEntries(app.db, person.id)
        .$if(before !== undefined, (older) => older.where('entry.seq', '<', before ?? 0))
        .limit(ENTRIES_ON_A_PAGE + 1)
        .execute()
      const shown = entries.slice(0, ENTRIES_ON_A_PAGE)
      return page(reply, 'entries', {
        title: 'Credit history',
        wide: true,
        back: returnLink(request),
        shown_as: person.shown_as,
        entries: shown.map((entry) => ({
          ...entryTexts(entry),
          job_id: entry.job_id,
          job: jobTitle(entry),
          about: shortText(entry.reason, 200) ?? entry.app_slug,
        })),
        older: entries.length > shown.length ? shown.at(-1)?.seq : undefined,
        paged: before !== undefined,
      })
    },
  )

  app.get(
    '/account/jobs/:id',
    { schema: { hide: true, params: Type.Object({ id: Uuid }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { id } = request.params
      const job = await readJob(person.id, id)
      if (!job) throw jobNotFound()
      const entries = await readEntriesOf(app.db, person.id, job)
      return page(reply, 'job', {
        title: jobTitle(job),
        wide: true,
        back: returnLink(request),
        shown_as: person.shown_as,
        job,
        app: job.app_name ?? job.app_slug,
        action: shortText(job.action, 200),
        state: jobState(job),
        cost: jobCost(job),
        preview: webLink(job.metadata?.previewUrl),
        at: timeText(job.created_at),
        ended: job.status === 'started' ? undefined : timeText(job.updated_at),
        expires: job.status === 'started' ? timeText(job.expires_at) : undefined,
        entries: entries.map(entryTexts),
      })
    },
  )

  const readJob = (accountId: string, id: string) =>
    app.db
      .selectFrom('jobs as job')
      .leftJoin('apps', 'apps.slug', 'job.app_slug')
      .selectAll('job')
      .select('apps.name as app_name')
      .where('job.account_id', '=', accountId)
      .where('job.id', '=', id)
      .executeTakeFirst()
}

interface Entry {
  own_job_id: string | null
  job_id: string | null
  kind: EntryKind
  amount: number
  balance_after: number
  created_at: Date
}

export const entryTexts = ({ own_job_id, job_id, kind, amount, balance_after, created_at }: Entry) => ({
  word: job_id !== null && own_job_id === null ? 'Refund' : ENTRY_WORDS[kind],
  amount: movementText(amount),
  gain: amount > 0,
  balance: amountText(balance_after),
  created_at,
  at: timeText(created_at),
})
