import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { appNotFound } from '../../http/catalogue.ts'
import { allow, findAppGrant } from '../../oauth/grants.ts'
import { Slug, Uuid } from '../../schemas/primitives.ts'
import { BudgetFault, type BudgetFields, budgetField, budgetText, readBudget } from './budget-form.ts'
import { fromOurPages, page, signedIn } from './page.ts'
import { returnLink } from './return-link.ts'
import { SCOPE_WORDS, shortText } from './words.ts'

type Person = NonNullable<Awaited<ReturnType<typeof signedIn>>>

const text = Type.Optional(Type.String({ maxLength: 2_048 }))

/**
 * The page where a person lets the server of an app spend their credits. An app sends people here whom it cannot charge
 * (`grant_required`). The budget is typed: a click alone, which another page may have led to, allows nothing.
 */
export const grantPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/grant',
    { schema: { hide: true, querystring: Type.Object({ app: Slug, redirect_to: text }) } },
    async (request, reply) => {
      const slug = request.query.app
      const person = await signedIn(request, reply, pathOf(slug, returnLink(request)?.query))
      return person ? grantPage(request, reply, person, slug) : reply
    },
  )

  app.post(
    '/grant',
    {
      onRequest: fromOurPages,
      schema: {
        hide: true,
        body: Type.Object({ app: Slug, account: Uuid, budget: text, period: text, back: text }),
      },
    },
    async (request, reply) => {
      const { app: slug, account, budget, period, back } = request.body
      const person = await signedIn(request, reply, pathOf(slug, back))
      if (!person) return reply
      const given: BudgetFields = { budget, period }
      const answer = (fault = '') => grantPage(request, reply, person, slug, { given, fault })
      // Somebody else has signed in since the page was shown.
      if (account !== person.id) return answer()
      try {
        const chosen = readBudget(given)
        if (!chosen) return answer('Enter how many credits it may spend.')
        await findApp(slug)
        const grant = {
          account_id: person.id,
          client_id: slug,
          app_slug: slug,
          resource: null,
          scopes: ['spend' as const],
        }
        await allow(app, grant, chosen)
      } catch (error) {
        if (error instanceof BudgetFault) return answer(error.message)
        throw error
      }
      return reply.redirect(pathOf(slug, back), 303)
    },
  )

  async function grantPage(
    request: FastifyRequest,
    reply: FastifyReply,
    person: Person,
    slug: string,
    { given = {}, fault = '' }: { given?: BudgetFields; fault?: string } = {},
  ) {
    const name = await findApp(slug)
    const grant = await findAppGrant(app.db, person.id, slug)
    const back = request.method === 'GET' ? returnLink(request) : undefined
    return page(fault ? reply.code(400) : reply, 'grant', {
      title: grant ? 'This app may spend your credits' : 'Let this app spend your credits?',
      shown_as: person.shown_as,
      account: person.id,
      app: slug,
      name,
      back,
      carried: back?.query ?? (request.body as { back?: string } | undefined)?.back ?? '',
      allowed: grant && (budgetText(grant) ?? 'without a limit but your balance'),
      words: SCOPE_WORDS.spend,
      ...budgetField({ required: true, given, fault }),
    })
  }

  /** What the operator calls an app. @throws {ApiError} 404 app_not_found */
  async function findApp(slug: string): Promise<string> {
    const found = await app.db.selectFrom('apps').select('name').where('slug', '=', slug).executeTakeFirst()
    if (!found) throw appNotFound()
    return shortText(found.name, 100) ?? slug
  }
}

/** @param back what `returnLink` gave as `query`: the page checks it again */
const pathOf = (slug: string, back = '') =>
  `/grant?${new URLSearchParams([['app', slug], ...new URLSearchParams(back)].slice(0, 2))}`
