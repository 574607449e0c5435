import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { grantNotFound } from '../../http/catalogue.ts'
import { ApiError } from '../../http/errors.ts'
import { changeBudget, type Grant, maySpend, readGrant, revokeGrant } from '../../oauth/grants.ts'
import { Uuid } from '../../schemas/primitives.ts'
import { BudgetFault, budgetField, budgetText, fieldsOf, readBudget } from './budget-form.ts'
import { fromOurPages, signedIn } from './page.ts'
import { shortText, timeText } from './words.ts'

/** The part of the account page about what the person has allowed: how it is shown, and what its forms do. */

/** A grant as views/account.eta shows it. @param fault the id of a grant whose budget could not be read */
export const shownGrant = (grant: Grant, fault: string | undefined) => ({
  ...grant,
  name: shortText(grant.name, 100) ?? hostOf(grant.client_id),
  since: timeText(grant.created_at),
  used: grant.last_used_at ? timeText(grant.last_used_at) : undefined,
  may_oauth: grant.scopes.includes('oauth'),
  may_spend: maySpend(grant),
  limit: budgetText(grant),
  form: budgetField({
    required: grant.scopes.includes('spend'),
    given: fieldsOf(grant),
    id: `budget-${grant.id}`,
    fault: fault === grant.id ? 'Enter a whole number of credits, 1 or more.' : undefined,
  }),
})

export const allowedAppPages: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/account/revoke-app',
    { onRequest: fromOurPages, schema: { hide: true, body: Type.Object({ id: Uuid }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/account')
      if (!person) return reply
      await app.pats.revoking(person.id, () => revokeGrant(app.db, person.id, request.body.id)).catch(unlessGone)
      return reply.redirect('/account#apps', 303)
    },
  )

  app.post(
    '/account/budget',
    {
      onRequest: fromOurPages,
      schema: {
        hide: true,
        body: Type.Object({ id: Uuid, budget: Type.Optional(Type.String()), period: Type.Optional(Type.String()) }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/account')
      if (!person) return reply
      const { id, ...fields } = request.body
      try {
        const chosen = readBudget(fields)
        const { scopes } = await readGrant(app.db, person.id, id)
        if (!chosen && scopes.includes('spend')) throw new BudgetFault()
        await changeBudget(app, person.id, id, chosen ?? { amount: null })
      } catch (error) {
        if (error instanceof BudgetFault) return reply.redirect(`/account?fault=${id}#grant-${id}`, 303)
        unlessGone(error)
      }
      return reply.redirect('/account#apps', 303)
    },
  )
}

/** Of a client with a document, its host; nobody has checked what it calls itself. */
const hostOf = (client_id: string): string => URL.parse(client_id)?.host ?? client_id

/** A grant that has ended meanwhile is no fault: the page shows which there are. @throws every other error */
function unlessGone(error: unknown): void {
  if (!(error instanceof ApiError && error.code === grantNotFound.code)) throw error
}
