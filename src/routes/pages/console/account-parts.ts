import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { entriesPage, jobsPage } from '../../../ledger/lists.ts'
import { type AccountRow, readAccount } from '../../../operator/find-accounts.ts'
import { purchasesPage } from '../../../payments/purchases.ts'
import { JobStatus } from '../../../schemas/jobs.ts'
import { Uuid } from '../../../schemas/primitives.ts'
import { namesOf, titleOf } from './account-reads.ts'
import { ENTRY_COLUMNS, entryCells, JOB_CHOICES, JOB_COLUMNS, jobCells, NONE } from './account-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { ACCOUNT_PURCHASE_COLUMNS, purchaseCells } from './purchase-rows.ts'
import { choice, table } from './table.ts'

/** The long lists of one account: entries, jobs and purchases. */
export const accountPartPages: FastifyPluginAsyncTypebox = async (app) => {
  const params = Type.Object({ id: Uuid })
  const long = (name: string) => ({ title: name, section: 'accounts', help: HELP.accounts }) as const
  const up = (account: AccountRow, name?: string) => ({
    href: `/console/accounts/${account.id}`,
    text: titleOf(account, name),
  })

  app.get(
    '/console/accounts/:id/entries',
    {
      schema: {
        hide: true,
        params,
        querystring: Type.Object({ cursor: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,15}$' })) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
      const { entries, next_cursor } = await entriesPage(app.db, id, {}, request.query)
      const rows = entries.map((entry) => entryCells(id, entry))
      return consolePage(request, reply, 'list', {
        ...{ ...long('Entries'), up: up(account, names.get(id)), choices: [] },
        table: table(request, { caption: 'Entries', columns: ENTRY_COLUMNS, rows, empty: NONE.entries, next_cursor }),
      })
    },
  )

  app.get(
    '/console/accounts/:id/jobs',
    {
      schema: {
        hide: true,
        params,
        querystring: Type.Object({ status: Type.Optional(JobStatus), cursor: Type.Optional(Uuid) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { status, cursor } = request.query
      const [account, names] = await Promise.all([readAccount(app.db, id), namesOf(app.db, [id])])
      const { jobs, next_cursor } = await jobsPage(app.db, id, { status }, { cursor })
      const rows = jobs.map((job) => jobCells(id, job))
      return consolePage(request, reply, 'list', {
        ...{
          ...long('Jobs'),
          up: up(account, names.get(id)),
          choices: [choice(request, 'Status', 'status', JOB_CHOICES)],
        },
        table: table(request, { caption: 'Jobs', columns: JOB_COLUMNS, rows, empty: NONE.jobs, next_cursor }),
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
