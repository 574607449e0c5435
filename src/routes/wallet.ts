import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { stringify } from 'csv-stringify/sync'
import type { FastifyRequest } from 'fastify'
import { requireAccount } from '../access/caller.ts'
import { openAccount } from '../accounts/open.ts'
import { statement } from '../db/statement.ts'
import type { Db } from '../db/tables.ts'
import { badField } from '../http/errors.ts'
import { visit } from '../ledger/operations.ts'
import { readWallet, type Wallet } from '../ledger/read.ts'
import { Entry, protectedFailures, ref, Slug, WalletResponse } from '../schemas/all.ts'

export const walletRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/wallet',
    {
      onRequest: requireAccount,
      schema: {
        tags: ['Wallet'],
        summary: 'Get wallet and app grants',
        querystring: Type.Object({
          app: Type.Optional({ ...Slug, description: 'App slug to upsert and possibly grant starter credits' }),
        }),
        response: {
          200: { ...ref(WalletResponse), description: 'OK' },
          ...protectedFailures,
        },
      },
    },
    async (request) => {
      const { account, query } = request
      let wallet = await readWallet(app.db, account.id)
      if (mayStore(request) && (await store(wallet, query.app))) wallet = await readWallet(app.db, account.id)

      const entry = wallet.apps.find(({ slug }) => slug === query.app)
      const { slug, starter_credits, granted } = entry ?? { slug: query.app, starter_credits: 0, granted: false }
      return {
        // Somebody who only looks (HEAD, a link from another site) and was never here has an account in name alone.
        account: wallet.account ?? { id: account.id, clerk_id: account.clerk_id, plan: 'free', credits: 0, held: 0 },
        apps: wallet.apps,
        app_grant: slug ? { slug, starter_credits, granted } : null,
      }

      /** What a first visit leaves behind; whether anything was written. */
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
      onRequest: requireAccount,
      schema: {
        tags: ['Wallet'],
        summary: 'List ledger entries, newest first; as CSV with Accept: text/csv',
        querystring: Type.Object({
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
          cursor: Type.Optional(
            Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'next_cursor of the page before' }),
          ),
          until: Type.Optional(
            Type.String({
              format: 'date-time',
              description: 'Only entries up to this moment: the first one says the balance at that time (none: 0)',
            }),
          ),
        }),
        response: {
          200: {
            description: 'A page of entries. The CSV has the next page as a Link header',
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
                example: 'seq,created_at,kind,amount,balance_after,job_id,reference,reason\n',
              },
            },
          },
          ...protectedFailures,
        },
      },
    },
    async (request, reply) => {
      const { limit = 50, cursor, until } = request.query
      const newest = until === undefined ? undefined : await lastSeq(app.db, request.account.id, momentOf(until))
      const rows = await app.db
        .selectFrom('ledger_entries')
        .select(['seq', 'created_at', 'kind', 'amount', 'balance_after', 'job_id', 'reference', 'reason'])
        .where('account_id', '=', request.account.id)
        .$if(cursor !== undefined, (entries) => entries.where('seq', '<', Number(cursor)))
        .$if(newest !== undefined, (entries) => entries.where('seq', '<=', newest ?? 0))
        .orderBy('seq', 'desc')
        .limit(limit + 1)
        .execute()
      const entries = rows.slice(0, limit)
      const next_cursor = rows.length > limit ? String(entries.at(-1)?.seq) : null
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

// Entries are numbered in the order of their locks and timed by the start of their statements, which live for less than
// 5 s: what has a number above that of an entry made 5 s after the moment was made after the moment. Such a number is
// found by halves, since numbers have no gaps and all but grow with time; from there on it is a few steps back, however
// many entries the account has. So created_at needs no index, which every posting would have to keep.
const lastUntil = statement<{ account_id: string; moment: Date }, { seq: number }>(
  'last_entry_until',
  `with recursive search (before, past) as (
    select 0::bigint, seq + 1 from accounts where id = $account_id::uuid
    union all
    select case when late then before else seq end, case when late then seq else past end
    from search join ledger_entries on account_id = $account_id::uuid and seq = (before + past) / 2,
      lateral (select created_at >= $moment::timestamptz + interval '5 seconds') as at (late)
    where before + 1 < past
  )
  select entry.seq from search, lateral (
    select seq from ledger_entries
    where account_id = $account_id::uuid and seq <= before and created_at < $moment::timestamptz
    order by seq desc limit 1) as entry
  where before + 1 = past`,
)

/**
 * The number of the last entry up to a moment, 0 where there is none. Filtering by time alone could leave a gap in a
 * list of balances.
 */
async function lastSeq(db: Db, account_id: string, until: Date): Promise<number> {
  // Answers say milliseconds: what they say belongs to the moment that they say.
  const [last] = await lastUntil(db, { account_id, moment: new Date(until.getTime() + 1) })
  return last?.seq ?? 0
}

/** @throws {ApiError} 400 for a moment that the format allows and no calendar has, such as a leap second */
function momentOf(until: string): Date {
  const moment = new Date(until)
  if (Number.isNaN(moment.getTime())) throw badField('until', 'must be a moment such as 2026-11-21T12:00:00Z')
  return moment
}

/** RFC 4180 with a header line. Texts that a spreadsheet would run as a formula are defused. */
const csvOf = (entries: { reference: string | null; reason: string | null }[]): string =>
  stringify(entries, {
    header: true,
    columns: ['seq', 'created_at', 'kind', 'amount', 'balance_after', 'job_id', 'reference', 'reason'],
    cast: {
      date: (date) => date.toISOString(),
      // Only texts: an amount of -5 is a number, not a formula. Full-width signs start one where Japanese or Chinese is set.
      string: (text) => (/^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text),
    },
  })

/** Looking must not write: a HEAD does not, nor does a cookie that another site's page sent along unseen. */
function mayStore(request: FastifyRequest): boolean {
  if (request.method === 'HEAD') return false
  if (request.account.via === 'header') return true
  const { origin, 'sec-fetch-site': site = 'none' } = request.headers
  if (origin !== undefined) return request.server.origins.isAllowed(origin)
  return site === 'same-origin' || site === 'none'
}
