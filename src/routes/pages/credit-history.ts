import { type FastifyPluginAsyncTypebox, type TOptional, type TString, Type } from '@fastify/type-provider-typebox'
import { callerOf } from '../../access/caller.ts'
import type { EntryKind } from '../../db/tables.ts'
import { jobNotFound } from '../../http/catalogue.ts'
import { dayOf } from '../../http/periods.ts'
import { entriesPage, jobsPage, numbersAfter } from '../../ledger/lists.ts'
import { readJob, readWallet, type Wallet } from '../../ledger/read.ts'
import { Uuid } from '../../schemas/primitives.ts'
import { sendEntries } from '../../usage/entries-export.ts'
import { readEntriesOf } from './entry-reads.ts'
import { type FilterFields, filterForm, readFilters } from './filters.ts'
import { page, signedIn } from './page.ts'
import { returnLink } from './return-link.ts'
import {
  amountText,
  ENTRY_WORDS,
  jobCost,
  jobLine,
  jobState,
  jobTitle,
  movementText,
  shortText,
  timeText,
  webLink,
} from './words.ts'

const ROWS_ON_A_PAGE = 50
/** How many rows a search looks at. A person would rather wait for some ms than turn empty pages. */
const SEARCH_ROWS = 5_000

const Fields = Object.fromEntries(
  ['app', 'status', 'kind', 'token', 'from', 'to'].map((name) => [
    name,
    Type.Optional(Type.String({ maxLength: 100 })),
  ]),
) as Record<keyof FilterFields, TOptional<TString>>

/** The jobs and the ledger of an account as its owner reads them: lists with filters, one job with its entries, all entries as CSV. */
export const creditHistoryPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/account/jobs',
    { schema: { hide: true, querystring: Type.Object({ before: Type.Optional(Uuid), ...Fields }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { before } = request.query
      const { filter, query, given } = readFilters(request.query)
      const part = { limit: ROWS_ON_A_PAGE, cursor: before, search: SEARCH_ROWS }
      const [{ jobs, next_cursor }, wallet] = await Promise.all([
        jobsPage(app.db, person.id, filter, part),
        readWallet(app.db, person.id),
      ])
      const action = '/account/jobs'
      return page(reply, 'jobs', {
        title: 'Your jobs',
        wide: true,
        back: returnLink(request),
        shown_as: person.shown_as,
        form: await filterForm(app, person.id, { given, action, choices: 'status', apps: slugsOf(wallet) }),
        jobs: jobs.map(jobLine),
        nothing: nothingText('job', next_cursor, before !== undefined, query),
        ...listLinks(action, [query, returnLink(request)?.query], before, next_cursor),
      })
    },
  )

  app.get(
    '/account/entries',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          before: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
          ...Fields,
        }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { before } = request.query
      const { filter, query, given } = readFilters(request.query)
      const cursor = before === undefined ? undefined : String(before)
      const [{ entries, next_cursor }, wallet] = await Promise.all([
        entriesPage(app.db, person.id, filter, { limit: ROWS_ON_A_PAGE, cursor, search: SEARCH_ROWS }),
        readWallet(app.db, person.id),
      ])
      // They are read together.
      const jobs = await Promise.all(
        entries.map(({ job_id, corrects_job_id: refunded }) => {
          const id = job_id ?? refunded
          return id === null ? undefined : readJob(app.db, person.id, id)
        }),
      )
      const action = '/account/entries'
      const back = returnLink(request)
      return page(reply, 'entries', {
        title: 'Credit history',
        wide: true,
        back,
        shown_as: person.shown_as,
        form: await filterForm(app, person.id, { given, action, choices: 'kind', apps: slugsOf(wallet) }),
        csv: `/account/entries.csv${query && `?${query}`}`,
        entries: entries.map((entry, n) => ({
          ...entryTexts({
            ...entry,
            ...{ own_job_id: entry.job_id, job_id: jobs[n]?.id ?? null, created_at: new Date(entry.created_at) },
          }),
          job_id: jobs[n]?.id,
          job: jobs[n] && jobTitle(jobs[n]),
          about: shortText(entry.reason, 200) ?? jobs[n]?.app_slug,
        })),
        nothing: nothingText('entry', next_cursor, before !== undefined, query),
        ...listLinks(action, [query, back?.query], before, next_cursor),
      })
    },
  )

  app.get(
    '/account/entries.csv',
    {
      config: { large: true },
      onRequest: async (request, reply) => {
        const person = await signedIn(request, reply)
        if (!person) return reply
        request.account = person
      },
      schema: { hide: true, querystring: Type.Object(Fields) },
    },
    async (request, reply) => {
      const { id } = callerOf(request)
      const { filter } = readFilters(request.query)
      const name = `credits-${dayOf(new Date())}.csv`
      reply.header('cache-control', 'no-store').header('content-disposition', `attachment; filename="${name}"`)
      return sendEntries(request, reply, id, filter, await numbersAfter(app.db, id, filter, undefined))
    },
  )

  app.get(
    '/account/jobs/:id',
    { schema: { hide: true, params: Type.Object({ id: Uuid }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { id } = request.params
      const job = await findJob(person.id, id)
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

  const findJob = (accountId: string, id: string) =>
    app.db
      .selectFrom('jobs as job')
      .leftJoin('apps', 'apps.slug', 'job.app_slug')
      .selectAll('job')
      .select('apps.name as app_name')
      .where('job.account_id', '=', accountId)
      .where('job.id', '=', id)
      .executeTakeFirst()
}

/** Where a list goes on. @param queries what its address keeps */
function listLinks(path: string, queries: (string | undefined)[], before: unknown, next: string | null) {
  const address = (...more: string[]) => {
    const query = [...queries, ...more].filter(Boolean).join('&')
    return query ? `${path}?${query}` : path
  }
  return { newest: before === undefined ? undefined : address(), older: next ? address(`before=${next}`) : undefined }
}

/** Said where a page of a list is empty. */
function nothingText(what: 'job' | 'entry', next: string | null, isPaged: boolean, query: string): string {
  const many = what === 'job' ? 'jobs' : 'entries'
  if (next !== null)
    return `No match among the ${SEARCH_ROWS.toLocaleString('en-US')} newest ${many} from here on. Older ones may match.`
  if (isPaged) return `There are no older ${many}.`
  if (query) return `No ${what} matches.`
  return what === 'job'
    ? 'No jobs yet. The jobs that apps run with your credits appear here.'
    : 'Your balance has not changed yet.'
}

const slugsOf = ({ apps }: Wallet): string[] => apps.map(({ slug }) => slug)

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
