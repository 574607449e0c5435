import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { tokensWithBudgets } from '../../../access/made-tokens.ts'
import { MAX_TOKENS } from '../../../access/tokens.ts'
import { ERASED } from '../../../accounts/erase.ts'
import { entriesPage, jobsPage } from '../../../ledger/lists.ts'
import { readWallet } from '../../../ledger/read.ts'
import { listGrants } from '../../../oauth/grants.ts'
import { listActions } from '../../../operator/actions.ts'
import { ACCOUNT_CURSOR, listAccounts, readAccount, SORTS } from '../../../operator/find-accounts.ts'
import { moneyText } from '../../../payments/money.ts'
import { purchasesPage } from '../../../payments/purchases.ts'
import { autoTopupOf } from '../../../payments/texts.ts'
import { oneOf, Uuid } from '../../../schemas/primitives.ts'
import { amountText, creditsText } from '../words.ts'
import { addAccountChanges } from './account-changes.ts'
import { jobsOfEntries, namesOf, titleOf, titlesOf } from './account-reads.ts'
import {
  accountCells,
  ENTRY_COLUMNS,
  entryCells,
  GRANT_COLUMNS,
  grantCells,
  JOB_COLUMNS,
  jobCells,
  NONE,
  TOKEN_COLUMNS,
  tokenCells,
} from './account-rows.ts'
import { ACTION_COLUMNS, actionCells, peopleOf } from './audit-rows.ts'
import { amount, type Cell, fact, id as idCell, text, time } from './cells.ts'
import { creditsForm } from './credits-form.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { ACCOUNT_PURCHASE_COLUMNS, purchaseCells } from './purchase-rows.ts'
import { choice, table } from './table.ts'

/** How many rows of each list the page of an account has; the lists of their own have more. */
const FEW = 10

/** Accounts: a list, one with everything that belongs to it, and its long lists. */
export const accountPages: FastifyPluginAsyncTypebox = async (app) => {
  addAccountChanges(app)
  const common = { section: 'accounts', help: HELP.accounts } as const

  app.get(
    '/console/accounts',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          show: Type.Optional(oneOf(['open', 'closed', 'negative'] as const)),
          sort: Type.Optional(oneOf(SORTS)),
          cursor: Type.Optional(Type.String({ pattern: ACCOUNT_CURSOR.source })),
        }),
      },
    },
    async (request, reply) => {
      const { show, sort, cursor } = request.query
      const negative = show === 'negative'
      const closed = show === 'closed' ? true : show === 'open' ? false : undefined
      const filter = negative ? { negative, closed: false } : { closed, sort }
      const { accounts, next_cursor } = await listAccounts(app.db, filter, { cursor })
      const names = await namesOf(
        app.db,
        accounts.map(({ id }) => id),
      )
      const opened = { text: show === 'closed' ? 'Closed' : 'Opened', ...(!negative && { sort: BY_TIME }) }
      return consolePage(request, reply, 'list', {
        title: 'Accounts',
        ...common,
        choices: [
          choice(request, 'Accounts', 'show', { '': 'All', open: 'Open', closed: 'Closed', negative: 'Below zero' }),
        ],
        table: table(request, {
          caption: 'Accounts',
          columns: [
            'Account',
            'State',
            { text: 'Credits', number: true },
            { text: 'Held', number: true },
            opened,
            'Id',
          ],
          empty: EMPTY[show ?? 'all'],
          next_cursor,
          rows: accounts.map((account) => accountCells(account, names.get(account.id), show === 'closed')),
        }),
      })
    },
  )

  const params = Type.Object({ id: Uuid })

  app.get('/console/accounts/:id', { schema: { hide: true, params } }, async (request, reply) => {
    const { id } = request.params
    const account = await readAccount(app.db, id)
    const page = { limit: FEW }
    const [names, entries, jobs, tokens, grants, purchases, wallet, actions] = await Promise.all([
      namesOf(app.db, [id]),
      entriesPage(app.db, id, {}, page),
      jobsPage(app.db, id, {}, page),
      tokensWithBudgets(app.db, id, { limit: MAX_TOKENS }),
      listGrants(app.db, id),
      purchasesPage(app.db, id, page),
      readWallet(app.db, id),
      listActions(app.db, { account_id: id }, page),
    ])
    const jobsOf = await jobsOfEntries(app.db, id, entries.entries)
    const people = await titlesOf(app.db, peopleOf(actions.actions))
    const auto = autoTopupOf(wallet.payer)
    const title = titleOf(account, names.get(id))
    const all = (part: string, cursor: string | null) =>
      cursor === null ? undefined : `/console/accounts/${id}/${part}`
    return consolePage(request, reply, 'account', {
      title,
      ...common,
      form: account.closed_at ? undefined : creditsForm(id, title),
      up: { href: '/console/accounts', text: 'Accounts' },
      account,
      owed: account.credits < 0 && !account.closed_at ? creditsText(-account.credits) : '',
      facts: [
        fact('Credits', text(amountText(account.credits), { style: account.credits < 0 ? 'fault strong' : 'strong' })),
        fact('Held by jobs', text(amountText(account.held))),
        fact('Account id', idCell(id)),
        fact('Clerk id', account.clerk_id === ERASED ? text('erased') : idCell(account.clerk_id)),
        fact('Opened', time(account.created_at)),
        account.closed_at ? fact('Closed', time(account.closed_at)) : fact('Plan', text(account.plan)),
        ...(auto
          ? [
              fact(
                'Automatic top-up',
                text(`${auto.status}: ${creditsText(auto.credits)} for ${moneyText(auto.price, auto.currency)}`, {
                  note: auto.message ?? `below ${creditsText(auto.below)}`,
                }),
              ),
            ]
          : []),
      ],
      entries: part(
        request,
        'Entries',
        ENTRY_COLUMNS,
        entries.entries.map((entry) => entryCells(id, entry, jobsOf)),
        NONE.entries,
      ),
      all_entries: `/console/accounts/${id}/entries`,
      jobs: part(
        request,
        'Jobs',
        JOB_COLUMNS,
        jobs.jobs.map((job) => jobCells(id, job)),
        NONE.jobs,
      ),
      all_jobs: `/console/accounts/${id}/jobs`,
      purchases: part(
        request,
        'Purchases',
        ACCOUNT_PURCHASE_COLUMNS,
        purchases.purchases.map(purchaseCells),
        NONE.purchases,
      ),
      all_purchases: all('purchases', purchases.next_cursor),
      apps: part(
        request,
        'Apps',
        ['App', { text: 'Starter credits', number: true }, 'Granted'],
        wallet.apps
          .filter(({ seen }) => seen)
          .map(({ slug, starter_credits, granted, granted_at, registered }) => [
            text(slug, registered ? { href: `/console/apps/${slug}` } : { note: 'not registered' }),
            granted ? amount(starter_credits) : text('–', { kind: 'number' }),
            granted ? time(granted_at) : text('not yet'),
          ]),
        NONE.apps,
      ),
      tokens: part(
        request,
        'Devices and tokens',
        TOKEN_COLUMNS,
        tokens.map((token) => tokenCells(id, token)),
        NONE.tokens,
      ),
      grants: part(
        request,
        'Apps that may use the account',
        GRANT_COLUMNS,
        grants.map((grant) => grantCells(id, grant)),
        NONE.grants,
      ),
      live: { tokens: tokens.length, grants: grants.length },
      actions: part(
        request,
        'Changes by administrators',
        ACTION_COLUMNS,
        actions.actions.map((line) => actionCells(line, people)),
        NONE.actions,
      ),
      all_actions: actions.next_cursor === null ? undefined : `/console/audit?account_id=${id}`,
    })
  })
}

const BY_TIME = { descending: 'newest', ascending: 'oldest', usual: true } as const

const EMPTY = {
  all: 'Nobody has come yet. An account appears here when a person signs in or uses an app for the first time.',
  open: 'No account is open.',
  closed:
    'No account is closed. Accounts that are deleted or banned at the identity provider, closed or erased here appear.',
  negative: 'Nobody is below zero. A job that costs more than was left, or a refunded purchase, puts an account here.',
}

const part = (
  request: FastifyRequest,
  caption: string,
  columns: Parameters<typeof table>[1]['columns'],
  rows: Cell[][],
  empty: string,
) => table(request, { caption, columns, rows, empty })
