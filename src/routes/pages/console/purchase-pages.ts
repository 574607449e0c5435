import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { moneyText } from '../../../payments/money.ts'
import type { PurchaseRow } from '../../../payments/purchases.ts'
import { oneOf, Uuid } from '../../../schemas/primitives.ts'
import { amountText } from '../words.ts'
import { amount, type Cell, id as idCell, state, text, time } from './cells.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { choice, table } from './table.ts'

const ON_A_PAGE = 50
const SHOWN = ['open', 'processing', 'paid', 'failed', 'expired', 'disputed'] as const

/** What people have bought, of all accounts. */
export const purchasePages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/purchases',
    {
      schema: {
        hide: true,
        querystring: Type.Object({ status: Type.Optional(oneOf(SHOWN)), cursor: Type.Optional(Uuid) }),
      },
    },
    async (request, reply) => {
      const { status, cursor } = request.query
      const rows = await app.db
        .selectFrom('purchases')
        .selectAll()
        .$if(status === 'disputed', (all) => all.where('disputed', '=', true))
        .$if(status !== undefined && status !== 'disputed', (all) => all.where('status', '=', status as 'paid'))
        .$if(cursor !== undefined, (all) => all.where('id', '<', cursor ?? ''))
        .orderBy('id', 'desc')
        .limit(ON_A_PAGE + 1)
        .execute()
      const purchases = rows.slice(0, ON_A_PAGE)
      return consolePage(request, reply, 'purchases', {
        title: 'Purchases',
        section: 'purchases',
        help: HELP.purchases,
        choices: [
          choice(request, 'Status', 'status', {
            ...{ '': 'All', paid: 'Paid', open: 'Not paid', processing: 'With the bank', failed: 'Failed' },
            ...{ expired: 'Expired', disputed: 'Disputed' },
          }),
        ],
        table: table(request, {
          caption: 'Purchases',
          columns: PURCHASE_COLUMNS,
          empty: 'Purchases appear here when people buy packs at /buy, or automatically.',
          rows: purchases.map((purchase) => [
            ...purchaseCells(purchase),
            idCell(purchase.account_id, `/console/accounts/${purchase.account_id}`),
          ]),
          next_cursor: rows.length > purchases.length ? (purchases.at(-1)?.id ?? null) : null,
        }),
      })
    },
  )
}

const OF_ACCOUNT = [
  'When',
  'Pack',
  { text: 'Credits', number: true },
  { text: 'Paid', number: true },
  'State',
  'Payment',
]
export const PURCHASE_COLUMNS = [...OF_ACCOUNT, 'Account']
export const ACCOUNT_PURCHASE_COLUMNS = OF_ACCOUNT

const STATES = {
  open: { word: 'Not paid', style: '' },
  processing: { word: 'With the bank', style: 'running' },
  paid: { word: 'Paid', style: 'done-well' },
  failed: { word: 'Failed', style: 'failed' },
  expired: { word: 'Expired', style: '' },
}

export function purchaseCells(purchase: PurchaseRow): Cell[] {
  const { created_at, pack_name, origin, credits, currency, status, taken_back, disputed, failure_reason } = purchase
  const notes = [
    ...(taken_back > 0 ? [`${amountText(taken_back)} credits taken back`] : []),
    ...(failure_reason ? [failure_reason] : []),
  ]
  return [
    time(created_at),
    text(pack_name, { note: origin === 'auto' ? 'automatic top-up' : undefined }),
    amount(credits),
    { text: moneyText(purchase.amount ?? purchase.price, currency), kind: 'number' },
    {
      ...state(disputed ? { word: 'Disputed', style: 'failed' } : STATES[status]),
      note: notes.join('; ') || undefined,
    },
    idCell(purchase.payment_id ?? purchase.checkout_id ?? purchase.id),
  ]
}
