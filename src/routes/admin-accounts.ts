import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { tokensWithBudgets } from '../access/made-tokens.ts'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { MAX_TOKENS } from '../access/tokens.ts'
import { accountIdOf, CLERK_USER_ID } from '../accounts/account-id.ts'
import { findAccount } from '../accounts/find.ts'
import { accountNotFound, badField, tooManyAtOnce } from '../http/catalogue.ts'
import { pageById } from '../http/pages.ts'
import { administrator, refusals } from '../http/refusals.ts'
import { entriesPage, jobsPage } from '../ledger/lists.ts'
import { listGrants } from '../oauth/grants.ts'
import { ACCOUNT_CURSOR, listAccounts, readAccount, SORTS } from '../operator/find-accounts.ts'
import { searchAccounts } from '../operator/search.ts'
import { purchasesPage } from '../payments/purchases.ts'
import { purchaseOf } from '../payments/texts.ts'
import { Account, Entry } from '../schemas/account.ts'
import { Grant } from '../schemas/grants.ts'
import { Job, JobStatus } from '../schemas/jobs.ts'
import { AdminAccount } from '../schemas/operator.ts'
import { Purchase } from '../schemas/payments.ts'
import { ListQuery, NextCursor, oneOf, PageLimit, ref, Slug, Uuid } from '../schemas/primitives.ts'
import { Token } from '../schemas/tokens.ts'

/** Accounts of others, and what belongs to each, in the shapes in which people see their own. */
export const adminAccountRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdminOrKey)

  const byId = Type.Object({ id: { ...Uuid, description: 'The account id' } })
  const cursor = Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' })

  app.get(
    '/api/admin/accounts',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAccounts',
        summary: 'List accounts; with clerk_id, show the account of one person',
        description:
          'Newest first. With `clerk_id` the answer has `account`, else `accounts` and `next_cursor`. Filters can be combined; a page can be shorter than `limit` while `next_cursor` is not null.',
        querystring: ListQuery({
          clerk_id: Type.Optional(
            Type.String({ pattern: CLERK_USER_ID, description: 'The Clerk user id: answers one account' }),
          ),
          q: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 300,
              description:
                'Finds by Clerk id, account id, job id, id of a purchase or payment, reference of an entry, the last four characters of a token, or e-mail address. At most 50 accounts, without a cursor',
            }),
          ),
          negative: Type.Optional(Type.Boolean({ description: 'true: only those below zero, by account id' })),
          closed: Type.Optional(Type.Boolean({ description: 'true: only closed ones; false: only open ones' })),
          sort: Type.Optional(
            oneOf(SORTS, { description: 'By when they were opened; with `closed=true`, by when they were closed' }),
          ),
          limit: PageLimit(50),
          cursor: Type.Optional(
            Type.String({ pattern: ACCOUNT_CURSOR.source, description: 'next_cursor of the previous page' }),
          ),
        }),
        response: {
          200: Type.Object(
            {
              account: Type.Optional(ref(Account)),
              accounts: Type.Optional(Type.Array(ref(AdminAccount))),
              next_cursor: Type.Optional(NextCursor),
            },
            { description: 'OK', examples: [{ accounts: AdminAccount.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, accountNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { clerk_id, q, limit, cursor, ...filter } = request.query
      const [alone] = Object.entries({ clerk_id, q }).filter(([, value]) => value !== undefined)
      const [other] = Object.keys({ ...filter, ...(cursor && { cursor }), ...(clerk_id && q && { q }) }).filter(
        (name) => !name.startsWith('_'),
      )
      if (alone && other) throw badField(alone[0], `cannot be given with ${other}`)
      if (clerk_id !== undefined) return { account: await findAccount(app.db, accountIdOf(clerk_id)) }
      if (q !== undefined) return { accounts: await searchAccounts(app, q, request.deadline), next_cursor: null }
      return listAccounts(app.db, filter, { limit, cursor })
    },
  )

  app.get(
    '/api/admin/accounts/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'getAccount',
        summary: 'Show an account',
        description: 'Its balance, and when it was opened and closed.',
        params: byId,
        response: {
          200: Type.Object(
            { account: ref(AdminAccount) },
            { description: 'OK', examples: [{ account: AdminAccount.examples[0] }] },
          ),
          ...refusals(administrator, accountNotFound),
        },
      },
    },
    async (request) => ({ account: await readAccount(app.db, request.params.id) }),
  )

  app.get(
    '/api/admin/accounts/:id/entries',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAccountEntries',
        summary: "List an account's ledger entries, newest first",
        description: 'As the person sees them by `GET /api/wallet/entries`.',
        params: byId,
        querystring: ListQuery({
          limit: PageLimit(50),
          cursor: Type.Optional(
            Type.String({ pattern: '^[1-9][0-9]{0,15}$', description: 'next_cursor of the previous page' }),
          ),
        }),
        response: {
          200: Type.Object(
            { entries: Type.Array(ref(Entry)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ entries: Entry.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, accountNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      await readAccount(app.db, request.params.id)
      return entriesPage(app.db, request.params.id, {}, request.query)
    },
  )

  app.get(
    '/api/admin/accounts/:id/jobs',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAccountJobs',
        summary: "List an account's jobs, newest first",
        description: 'As the person sees them by `GET /api/jobs`.',
        params: byId,
        querystring: ListQuery({
          app: Type.Optional(Slug),
          status: Type.Optional(JobStatus),
          limit: PageLimit(50),
          cursor,
        }),
        response: {
          200: Type.Object(
            { jobs: Type.Array(ref(Job)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ jobs: Job.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, accountNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { app: slug, status, ...page } = request.query
      await readAccount(app.db, request.params.id)
      return jobsPage(app.db, request.params.id, { app: slug, status }, page)
    },
  )

  app.get(
    '/api/admin/accounts/:id/tokens',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAccountTokens',
        summary: "List an account's valid personal access tokens, newest first",
        description: 'As the person sees them by `GET /api/tokens`: by name and last four characters.',
        params: byId,
        querystring: ListQuery({ limit: PageLimit(MAX_TOKENS), cursor }),
        response: {
          200: Type.Object(
            { tokens: Type.Array(Token), next_cursor: NextCursor },
            { description: 'OK', examples: [{ tokens: Token.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, accountNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { limit = MAX_TOKENS, cursor } = request.query
      const { id } = await readAccount(app.db, request.params.id)
      const rows = await tokensWithBudgets(app.db, id, { limit: limit + 1, before: cursor })
      const { page, next_cursor } = pageById(rows, limit)
      return { tokens: page.map((token) => ({ ...token, current: false })), next_cursor }
    },
  )

  app.get(
    '/api/admin/accounts/:id/grants',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'listAccountGrants',
        summary: 'List the programs that the person has approved, newest first',
        description: 'Live grants of OAuth.',
        params: byId,
        response: {
          200: Type.Object(
            { grants: Type.Array(ref(Grant)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ grants: Grant.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, accountNotFound),
        },
      },
    },
    async (request) => {
      const { id } = await readAccount(app.db, request.params.id)
      return { grants: await listGrants(app.db, id), next_cursor: null }
    },
  )

  app.get(
    '/api/admin/accounts/:id/purchases',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAccountPurchases',
        summary: "List an account's purchases, newest first",
        description: 'As the person sees them by `GET /api/purchases`.',
        params: byId,
        querystring: ListQuery({ limit: PageLimit(50), cursor }),
        response: {
          200: Type.Object(
            { purchases: Type.Array(ref(Purchase)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ purchases: Purchase.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, accountNotFound, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { id } = await readAccount(app.db, request.params.id)
      const { purchases, next_cursor } = await purchasesPage(app.db, id, request.query)
      return { purchases: purchases.map(purchaseOf), next_cursor }
    },
  )
}
