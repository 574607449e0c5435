import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { callerOf, requireAccount } from '../access/caller.ts'
import { buyUrl } from '../access/redirects.ts'
import { openAccount } from '../accounts/open.ts'
import { tooManyAtOnce } from '../http/catalogue.ts'
import { CSV_TYPE, csvOf, wantsCsv } from '../http/csv.ts'
import { optionalTime, timeOf } from '../http/periods.ts'
import { refusals, signedIn } from '../http/refusals.ts'
import { entriesOfJobsPage, entriesPage, numbersAfter } from '../ledger/lists.ts'
import { visit } from '../ledger/operations.ts'
import { readWallet, type Wallet } from '../ledger/read.ts'
import { autoTopupOf } from '../payments/texts.ts'
import { Entry, EntryKind, WalletResponse } from '../schemas/account.ts'
import { ListQuery, NextCursor, periodFilter, ref, Slug, Uuid } from '../schemas/primitives.ts'
import { ENTRY_COLUMNS, sendEntries } from '../usage/entries-export.ts'

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
        description:
          'Every change of the balance is one entry. Entries are numbered without gaps and never change. A page may be shorter than `limit`, or empty: the list ends where `next_cursor` is null. As CSV without `limit`, all of them are sent, however many: without filters the last line is entry 1; where the connection breaks off before, the export is incomplete.',
        querystring: ListQuery({
          limit: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 200,
              description: 'Max results (default 50). In CSV the default is all of them',
            }),
          ),
          cursor: Type.Optional(
            Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'next_cursor of the previous page' }),
          ),
          kind: Type.Optional(EntryKind),
          app: Type.Optional({ ...Slug, description: 'Entries of the jobs of this app, and of its starter credits' }),
          token: Type.Optional({
            ...Uuid,
            description: 'Entries of the jobs that this token made, or the tokens of this grant',
          }),
          ...periodFilter('Posted'),
          until: Type.Optional(
            Type.String({
              format: 'date-time',
              description:
                'Only entries up to this time. Without other filters, the balance at that time is balance_after of the first one; 0 without entries',
            }),
          ),
        }),
        response: {
          200: {
            description: 'Entries. In CSV with `limit`, a Link header leads to the next page',
            content: {
              'application/json': {
                schema: Type.Object({
                  entries: Type.Array(ref(Entry)),
                  next_cursor: NextCursor,
                }),
                example: { entries: Entry.examples, next_cursor: null },
              },
              'text/csv': {
                schema: Type.String(),
                example: `${ENTRY_COLUMNS.join(',')}\n`,
              },
            },
          },
          ...refusals(signedIn, tooManyAtOnce),
        },
      },
    },
    async (request, reply) => {
      const { limit, cursor, until, from, to, kind, app: slug, token } = request.query
      const account_id = callerOf(request).id
      // Answers show milliseconds, the database stores microseconds: `until` includes its whole millisecond.
      const past = until === undefined ? undefined : new Date(timeOf('until', until).getTime() + 1)
      const end = optionalTime('to', to)
      const period = { from: optionalTime('from', from), to: past && end && end < past ? end : (past ?? end) }
      const filter = { kind, app: slug, token, ...period }
      if (!wantsCsv(request, reply)) return entriesPage(app.db, account_id, filter, { limit, cursor })

      if (limit === undefined) {
        return sendEntries(request, reply, account_id, filter, await numbersAfter(app.db, account_id, filter, cursor))
      }
      const { entries, next_cursor } = await entriesOfJobsPage(app.db, account_id, filter, { limit, cursor })
      if (next_cursor) {
        const query = new URLSearchParams({ ...(request.query as Record<string, string>), cursor: next_cursor })
        const next = new URL(`/api/wallet/entries?${query}`, app.config.publicUrl)
        reply.header('link', `<${next}>; rel="next"`)
      }
      return reply.type(CSV_TYPE).send(csvOf(ENTRY_COLUMNS, entries))
    },
  )
}

/** Whether a visit may be stored: not for HEAD, nor for a cookie that another site's page made the browser send. */
function mayStore(request: FastifyRequest): boolean {
  if (request.method === 'HEAD') return false
  if (callerOf(request).via === 'header') return true
  const { origin, 'sec-fetch-site': site = 'none' } = request.headers
  if (origin !== undefined) return request.server.origins.isAllowed(origin)
  return site === 'same-origin' || site === 'none'
}
