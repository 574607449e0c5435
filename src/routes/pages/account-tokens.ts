import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { changeToken, makeToken, tokensWithBudgets } from '../../access/made-tokens.ts'
import type { Scope } from '../../db/tables.ts'
import { cleanName } from '../../device/approval.ts'
import { tokenNotFound } from '../../http/catalogue.ts'
import { ApiError } from '../../http/errors.ts'
import { Slug, Uuid } from '../../schemas/primitives.ts'
import { BudgetFault, budgetField, budgetText, fieldsOf, readBudget } from './budget-form.ts'
import { fromOurPages, page, signedIn } from './page.ts'
import { shortText, timeText } from './words.ts'

/** Tokens on the account page: how they are shown, and the pages that make and change one. */

type Person = NonNullable<Awaited<ReturnType<typeof signedIn>>>
type ListedToken = Awaited<ReturnType<typeof tokensWithBudgets>>[number]

/** A token as views/account.eta shows it. */
export const shownToken = (token: ListedToken) => ({
  ...token,
  name: shortText(token.name, 100) ?? 'Unnamed device',
  until: timeText(token.expires_at),
  since: timeText(token.created_at),
  used: token.last_used_at ? timeText(token.last_used_at) : undefined,
  may_oauth: token.scopes.includes('oauth'),
  may_admin: token.scopes.includes('admin'),
  limit: budgetText(token),
})

const DAYS = { '7': 'in a week', '30': 'in 30 days', '90': 'in 90 days', '365': 'in a year' } as const
const MAX_APPS = 50

const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }))
const fields = {
  account: Uuid,
  name: text(200),
  budget: text(100),
  period: text(10),
  apps: text(4_000),
  expires: text(10),
  oauth: text(5),
}
type Form = { [Field in Exclude<keyof typeof fields, 'account'>]?: string | undefined }

/** What is wrong with a form, by field. */
class FormFault extends Error {
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

export const accountTokenPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/account/tokens/new', { schema: { hide: true } }, async (request, reply) => {
    const person = await signedIn(request, reply)
    return person ? formPage(reply, person, {}) : reply
  })

  app.post(
    '/account/tokens/new',
    { onRequest: fromOurPages, schema: { hide: true, body: Type.Object(fields) } },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/account/tokens/new')
      if (!person) return reply
      const { account, ...form } = request.body
      // Somebody else has signed in since the page was shown.
      if (account !== person.id) return formPage(reply, person, form)
      return orFault(reply, person, form, undefined, async () => {
        const scopes: Scope[] = form.oauth ? ['account', 'oauth'] : ['account']
        const days = Number(form.expires) in DAYS ? Number(form.expires) : 90
        const { token } = await makeToken(app, person, { ...readForm(form), scopes, days })
        return page(reply, 'token-made', { title: 'Your new token', token, server: app.config.publicUrl })
      })
    },
  )

  app.get(
    '/account/tokens/:id',
    { schema: { hide: true, params: Type.Object({ id: Uuid }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const token = await find(person, request.params.id)
      const form = { ...fieldsOf(token), name: token.name, apps: token.apps?.join(' ') ?? '' }
      return formPage(reply, person, form, { token })
    },
  )

  app.post(
    '/account/tokens/:id',
    {
      onRequest: fromOurPages,
      schema: { hide: true, params: Type.Object({ id: Uuid }), body: Type.Object(fields) },
    },
    async (request, reply) => {
      const { id } = request.params
      const person = await signedIn(request, reply, `/account/tokens/${id}`)
      if (!person) return reply
      const { account, ...form } = request.body
      if (account !== person.id) return reply.redirect('/account#tokens', 303)
      const token = await find(person, id)
      return orFault(reply, person, form, token, async () => {
        await changeToken(app, person, token.id, readForm(form))
        return reply.redirect('/account#tokens', 303)
      })
    },
  )

  async function find({ id: account_id }: Person, id: string): Promise<ListedToken> {
    const [token] = await tokensWithBudgets(app.db, account_id, { limit: 1, id })
    if (!token) throw tokenNotFound()
    return token
  }
}

/** Does what a form asks for, or shows it again with what is wrong. */
async function orFault(
  reply: FastifyReply,
  person: Person,
  form: Form,
  token: ListedToken | undefined,
  act: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await act()
  } catch (error) {
    const fault =
      error instanceof BudgetFault
        ? new FormFault('budget', error.message)
        : error instanceof ApiError && error.statusCode === 409
          ? new FormFault('name', error.message)
          : error
    if (!(fault instanceof FormFault)) throw error
    return formPage(reply.code(400), person, form, { token, fault })
  }
}

/** @throws {FormFault}; {BudgetFault} */
function readForm(form: Form) {
  const name = cleanName(form.name)
  if (!name || name.length > 100) throw new FormFault('name', 'Enter a name of 1 to 100 characters.')
  const { amount, period } = readBudget(form) ?? { amount: null, period: null }
  const apps = (form.apps ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
  const pattern = new RegExp(Slug.pattern ?? '')
  if (apps.length > MAX_APPS || !apps.every((slug) => pattern.test(slug)))
    throw new FormFault('apps', `Enter at most ${MAX_APPS} apps by their short names, such as video or photo-book.`)
  return { name, budget: amount, period, apps: apps.length > 0 ? apps : null }
}

function formPage(
  reply: FastifyReply,
  { id: account, shown_as }: Person,
  form: Form,
  { token, fault }: { token?: ListedToken | undefined; fault?: FormFault | undefined } = {},
) {
  const faultOf = (field: string) => (fault?.field === field ? fault.message : undefined)
  const chosen = form.expires ?? '90'
  return page(reply, 'token-form', {
    title: token ? 'Change a token' : 'Make a token',
    account,
    shown_as,
    action: token ? `/account/tokens/${token.id}` : '/account/tokens/new',
    token: token && shownToken(token),
    name: form.name ?? '',
    name_fault: faultOf('name'),
    ...budgetField({ required: false, given: form, fault: faultOf('budget') }),
    apps: form.apps ?? '',
    apps_fault: faultOf('apps'),
    oauth: form.oauth !== undefined,
    days: Object.entries(DAYS).map(([value, words]) => ({ value, words, chosen: value === chosen })),
  })
}
