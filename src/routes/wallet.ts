import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { stringify } from 'csv-stringify/sync'
import type { FastifyRequest } from 'fastify'
import { callerOf, requireAccount } from '../access/caller.ts'
import { buyUrl } from '../access/redirects.ts'
import { openAccount } from '../accounts/open.ts'
import type { Db } from '../db/tables.ts'
import { badField, tooManyAtOnce } from '../http/catalogue.ts'
import { refusals, signedIn } from '../http/refusals.ts'
import { balancesBefore } from '../ledger/history.ts'
import { entriesPage } from '../ledger/lists.ts'
import { visit } from '../ledger/operations.ts'
import { readWallet, type Wallet } from '../ledger/read.ts'
import { autoTopupOf } from '../payments/texts.ts'
import { Entry, WalletResponse } from '../schemas/account.ts'
import { ListQuery, ref, Slug } from '../schemas/primitives.ts'

export const walletRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/wallet',
    {
      onRequest: requireAccount,
      schema: {
        tags: ['Wallet'],
        operationId: 'getWallet',
        summary: 'Get wallet and app grants',
        description:
          'The first request of a person opens their account. With `app`, the first visit to a registered app grants its starter credits, once. HEAD requests, and requests with a cookie from another site, grant nothing.',
        querystring: Type.Object({
          app: Type.Optional({ ...Slug, description: 'App slug to upsert and possibly grant starter credits' }),
        }),
        response: {
          200: { ...ref(WalletResponse), description: 'OK' },
          ...refusals(signedIn),
        },
      },
    },
    async (request) => {
      const { query } = request
      const account = callerOf(request)
      let wallet = await readWallet(app.db, account.id)
      if (mayStore(request) && (await store(wallet, query.app))) wallet = await readWallet(app.db, account.id)

      const entry = wallet.apps.find(({ slug }) => slug === query.app)
      const { slug, starter_credits, granted } = entry ?? { slug: query.app, starter_credits: 0, granted: false }
      return {
        // The account is not created by a request that must not write, such as HEAD.
        account: wallet.account ?? { id: account.id, clerk_id: account.clerk_id, plan: 'free', credits: 0, held: 0 },
        apps: wallet.apps,
        app_grant: slug ? { slug, starter_credits, granted } : null,
        buy_url: buyUrl(app.config, [request.headers.referer, request.headers.origin], app.origins.isAllowed) ?? null,
        auto_topup: autoTopupOf(wallet.payer),
      }

      /** Stores a first visit: the account, the app, its starter credits. @returns whether anything was written */
      async function store(seen: Wallet, slug: string | undefined): Promise<boolean> {
        const app_entry = seen.apps.find((entry) => entry.slug === slug)
        const due = app_entry?.registered && !app_entry.granted && app_entry.starter_credits > 0
        const unseen = slug !== undefined && !app_entry?.seen
        if (slug !== undefined && (due || unseen)) await visit(app.ledger, account, slug)
        else if (!seen.account) await openAccount(app.db, account.id, account.clerk_id)
        return !seen.account || due || unseen
      }
    },
  )

  app.get(
    '/api/wallet/entries',
    {
      config: { large: true },
      onRequest: requireAccount,
      schema: {
        tags: ['Wallet'],
        operationId: 'listEntries',
        summary: 'List ledger entries, newest first; as CSV with Accept: text/csv',
        description: 'Every change of the balance is one entry. Entries are numbered without gaps and never change.',
        querystring: ListQuery({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
          cursor: Type.Optional(
            Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'next_cursor of the previous page' }),
          ),
          until: Type.Optional(
            Type.String({
              format: 'date-time',
              description:
                'Only entries up to this time. The balance at that time is balance_after of the first one; 0 without entries',
            }),
          ),
        }),
        response: {
          200: {
            description: 'A page of entries. In CSV, a Link header leads to the next page',
            content: {
              'application/json': {
                schema: Type.Object({
                  entries: Type.Array(ref(Entry)),
                  next_cursor: Type.Unsafe<string | null>({ type: 'string', nullable: true }),
                }),
                example: { entries: Entry.examples, next_cursor: null },
              },
              'text/csv': {
                schema: Type.String(),
                example: `${CSV_COLUMNS.join(',')}\n`,
              },
            },
          },
          ...refusals(signedIn, tooManyAtOnce),
        },
      },
    },
    async (request, reply) => {
      const { limit = 50, cursor, until } = request.query
      const account_id = callerOf(request).id
      const newest = until === undefined ? undefined : await lastSeq(app.db, account_id, momentOf(until))
      const { entries, next_cursor } = await entriesPage(app.db, account_id, { limit, cursor }, newest)
      reply.header('vary', [reply.getHeader('vary'), 'Accept'].filter(Boolean).join(', '))
      if (request.accepts().type(['application/json', 'text/csv']) !== 'text/csv') return { entries, next_cursor }

      if (next_cursor) {
        const query = new URLSearchParams({ limit: String(limit), cursor: next_cursor, ...(until && { until }) })
        const next = new URL(`/api/wallet/entries?${query}`, app.config.publicUrl)
        reply.header('link', `<${next}>; rel="next"`)
      }
      return reply.type('text/csv; charset=utf-8').send(csvOf(entries))
    },
  )
}

/** The number of the last entry up to a time; 0 without one. */
async function lastSeq(db: Db, account_id: string, until: Date): Promise<number> {
  // Answers show milliseconds, the database stores microseconds: include the whole millisecond.
  const [last] = await balancesBefore(db, account_id, [new Date(until.getTime() + 1)])
  return last?.seq ?? 0
}

/** @throws {ApiError} 400 for a time that the format allows but Date does not, such as a leap second */
function momentOf(until: string): Date {
  const moment = new Date(until)
  if (Number.isNaN(moment.getTime())) throw badField('until', 'must be a time such as 2026-11-21T12:00:00Z')
  return moment
}

const CSV_COLUMNS = [
  ...['seq', 'created_at', 'kind', 'amount', 'balance_after', 'job_id', 'reference', 'reason', 'corrects_job_id'],
]

/** RFC 4180 with a header line. Texts that a spreadsheet would evaluate as a formula are prefixed with an apostrophe. */
const csvOf = (entries: { reference: string | null; reason: string | null }[]): string =>
  stringify(entries, {
    header: true,
    columns: [...CSV_COLUMNS],
    cast: {
      // Texts only: an amount of -5 is a number. Some spreadsheets also take full-width signs for the start of a formula.
      string: (text) => (/^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text),
    },
  })

/** Whether a visit may be stored: not for HEAD, nor for a cookie that another site's page made the browser send. */
function mayStore(request: FastifyRequest): boolean {
  if (request.method === 'HEAD') return false
  if (callerOf(request).via === 'header') return true
  const { origin, 'sec-fetch-site': site = 'none' } = request.headers
  if (origin !== undefined) return request.server.origins.isAllowed(origin)
  return site === 'same-origin' || site === 'none'
}
