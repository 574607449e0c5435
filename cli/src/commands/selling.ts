import type { components } from '../../../client/src/api-types.d.ts'
import { usage } from '../failure.ts'
import type { Focus } from '../focus.ts'
import { type Column, day, line, moment, print, printFields, printJson, printTable, remark } from '../output.ts'
import { accountId, type Page, printPage, wordsOf } from './operator.ts'

/** The commands for administrators about packs, purchases and service keys. */

type Pack = components['schemas']['AdminPack']
type Purchase = components['schemas']['Purchase']
type AnyPurchase = components['schemas']['AdminPurchase']

export async function listPacks(focus: Focus): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/admin/packs'))
  if (focus.json) return printJson(answer)
  if (!answer.packs.length) return remark(line`No packs: nothing can be bought.`)
  const columns: Column<Pack>[] = [
    { title: 'pack', value: ({ slug }) => slug },
    { title: 'name', value: ({ name }) => name, shrinks: true },
    { title: 'credits', value: ({ credits }) => credits },
    { title: 'price', value: ({ price_text }) => price_text },
    { title: 'price at Stripe', value: ({ stripe_price_id }) => stripe_price_id, shrinks: true },
    { title: 'changed', value: ({ updated_at }) => day(updated_at) },
  ]
  await printTable(columns, answer.packs)
}

interface PackOptions {
  name: string
  credits: number
  price: number
  currency: string
  stripePrice?: string
}

export async function setPack(focus: Focus, { stripePrice, ...terms }: PackOptions, slug: string): Promise<void> {
  const { name, credits, price, currency } = terms
  const body = { name, credits, price, currency, ...(stripePrice !== undefined && { stripe_price_id: stripePrice }) }
  const answer = await focus.ask((api) => api.PUT('/api/admin/packs/{slug}', { params: { path: { slug } }, body }))
  if (focus.json) return printJson(answer)
  const { pack } = answer
  printFields({ Pack: pack.slug, Name: pack.name, Credits: pack.credits, Price: pack.price_text })
}

export async function removePack(focus: Focus, _: object, slug: string): Promise<void> {
  await focus.ask((api) => api.DELETE('/api/admin/packs/{slug}', { params: { path: { slug } } }))
  if (focus.json) return printJson({ removed: slug })
  print(line`No longer sold. Open purchases can still be paid.`)
}

const PURCHASE_COLUMNS: Column<Purchase>[] = [
  { title: 'id', value: ({ id }) => id },
  { title: 'pack', value: ({ name }) => name, shrinks: true },
  { title: 'credits', value: ({ credits }) => credits },
  { title: 'price', value: ({ price, currency }) => `${price} ${currency}` },
  { title: 'status', value: ({ status, disputed }) => (disputed ? `${status}, disputed` : status) },
  { title: 'created', value: ({ created_at }) => moment(created_at), short: ({ created_at }) => day(created_at) },
]

interface PurchasesOptions extends Page {
  status?: Purchase['status']
  disputed?: boolean
}

/** Of one account, or of all. @throws {Failure} usage, for a filter of the list of all beside an account */
export async function purchases(focus: Focus, options: PurchasesOptions, given: string | undefined): Promise<void> {
  const { status, disputed, ...page } = options
  const words = ['purchases', ...(given ? [given] : []), ...wordsOf({ status, disputed, limit: page.limit })]
  const none = 'No purchases.'
  if (given !== undefined) {
    if (status !== undefined || disputed) throw usage('--status and --disputed are for the purchases of all accounts')
    const params = { path: { id: await accountId(focus, given) }, query: page }
    const answer = await focus.ask((api) => api.GET('/api/admin/accounts/{id}/purchases', { params }))
    if (focus.json) return printJson(answer)
    return printPage(focus, { columns: PURCHASE_COLUMNS, rows: answer.purchases, none }, answer.next_cursor, words)
  }
  const params = { query: options }
  const answer = await focus.ask((api) => api.GET('/api/admin/purchases', { params }))
  if (focus.json) return printJson(answer)
  const columns: Column<AnyPurchase>[] = [
    ...PURCHASE_COLUMNS,
    { title: 'account', value: ({ account_id }) => account_id, short: ({ account_id }) => account_id.slice(0, 8) },
    { title: 'payment', value: ({ payment_id }) => payment_id, shrinks: true },
  ]
  await printPage(focus, { columns, rows: answer.purchases, none }, answer.next_cursor, words)
}

export async function listKeys(focus: Focus): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/admin/keys'))
  if (focus.json) return printJson(answer)
  if (!answer.keys.length) return remark(line`No service keys.`)
  const columns: Column<(typeof answer.keys)[number]>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'name', value: ({ name }) => name, shrinks: true },
    { title: 'ends in', value: ({ last_four }) => last_four },
    { title: 'scopes', value: ({ scopes }) => scopes.join(' ') },
    { title: 'made', value: ({ created_at }) => day(created_at) },
    { title: 'last used', value: ({ last_used_at }) => day(last_used_at) },
  ]
  await printTable(columns, answer.keys)
}

/** Prints the key alone, so that it can be piped to where secrets are kept. */
export async function createKey(focus: Focus, _: object, name: string): Promise<void> {
  const body = { name, scopes: ['topup' as const] }
  const answer = await focus.ask((api) => api.POST('/api/admin/keys', { body }))
  if (focus.json) return printJson(answer)
  print(line`${answer.key.key}`)
  remark(line`The key is shown only once. Whoever has it can post top-ups to any account: keep it on your server.`)
}

export async function revokeKey(focus: Focus, _: object, id: string): Promise<void> {
  await focus.ask((api) => api.DELETE('/api/admin/keys/{id}', { params: { path: { id } } }))
  if (focus.json) return printJson({ revoked: id })
  print(line`Revoked.`)
}
