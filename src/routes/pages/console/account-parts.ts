import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { entriesPage, jobsPage } from '../../../ledger/lists.ts'
import { readWallet } from '../../../ledger/read.ts'
import { type AccountRow, readAccount } from '../../../operator/find-accounts.ts'
import { purchasesPage } from '../../../payments/purchases.ts'
import { Uuid } from '../../../schemas/primitives.ts'
import { type FilterFields, filterForm, readFilters } from '../filters.ts'
import { jobsOfEntries, namesOf, titleOf } from './account-reads.ts'
import { ENTRY_COLUMNS, entryCells, JOB_COLUMNS, jobCells, NONE } from './account-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { ACCOUNT_PURCHASE_COLUMNS, purchaseCells } from './purchase-rows.ts'
import { table } from './table.ts'

const Filter = Type.Optional(Type.String({ maxLength: 100 }))
const FILTERS = { app: Filter, token: Filter, from: Filter, to: Filter }

/** The long lists of one account: entries, jobs and purchases. */
export const accountPartPages: FastifyPluginAsyncTypebox = async (app) => {
  const params = Type.Object({ id: Uuid })
  const long = (name: string) => ({ title: name, section: 'accounts', help: HELP.accounts }) as const
  const up = (account: AccountRow, name?: string) => ({
    href: `/console/accounts/${account.id}`,
    text: titleOf(account, name),
  })

  /** The form of filters of a list, and what is chosen. @throws {ApiError} 400 naming a field */
  async function filtersOf(request: FastifyRequest, id: string, choices: 'status' | 'kind') {
    const { filter, given } = readFilters(request.query as FilterFields)
    const wallet = await readWallet(app.db, id)
    const apps = wallet.apps.filter(({ seen }) => seen).map(({ slug }) => slug)
    const action = `/console/accounts/${id}/${choices === 'kind' ? 'entries' : 'jobs'}`
    return { filter, form: await filterForm(app, id, { given, action, choices, apps }) }
  }

  app.get(
    '/console/accounts/:id/entries',
    {
      schema: {
        hide: true,
        params,
        querystring: Type.Object({
          ...FILTERS,
          ...{ kind: Filter, cursor: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,15}$' })) },
        }),
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
      const { filter, form } = await filtersOf(request, id, 'kind')
      const { entries, next_cursor } = await entriesPage(app.db, id, filter, { cursor: request.query.cursor })
      const jobs = await jobsOfEntries(app.db, id, entries)
      const rows = entries.map((entry) => entryCells(id, entry, jobs))
      const empty = form.isSet ? NONE.matching : NONE.entries
      return consolePage(request, reply, 'list', {
        ...{ ...long('Entries'), up: up(account, names.get(id)), choices: [], form },
        table: table(request, { caption: 'Entries', columns: ENTRY_COLUMNS, rows, empty, next_cursor }),
      })
    },
  )

  app.get(
    '/console/accounts/:id/jobs',
    {
      schema: {
        hide: true,
        params,
        querystring: Type.Object({ ...FILTERS, status: Filter, cursor: Type.Optional(Uuid) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
      const { filter, form } = await filtersOf(request, id, 'status')
      const { jobs, next_cursor } = await jobsPage(app.db, id, filter, { cursor: request.query.cursor })
      const rows = jobs.map((job) => jobCells(id, job))
      const empty = form.isSet ? NONE.matching : NONE.jobs
      return consolePage(request, reply, 'list', {
        ...{ ...long('Jobs'), up: up(account, names.get(id)), choices: [], form },
        table: table(request, { caption: 'Jobs', columns: JOB_COLUMNS, rows, empty, next_cursor }),
      })
    },
  )

  app.get(
    '/console/accounts/:id/purchases',
    { schema: { hide: true, params, querystring: Type.Object({ cursor: Type.Optional(Uuid) }) } },
    async (request, reply) => {
      const { id } = request.params
      const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
      const { purchases, next_cursor } = await purchasesPage(app.db, id, request.query)
      const columns = ACCOUNT_PURCHASE_COLUMNS
      const rows = purchases.map(purchaseCells)
      return consolePage(request, reply, 'list', {
        ...{ ...long('Purchases'), up: up(account, names.get(id)), choices: [] },
        table: table(request, { caption: 'Purchases', columns, rows, empty: NONE.purchases, next_cursor }),
      })
    },
  )
}
