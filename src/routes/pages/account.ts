import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { isAdministrator } from '../../access/caller.ts'
import { tokensWithBudgets } from '../../access/made-tokens.ts'
import { MAX_TOKENS, revokeToken } from '../../access/tokens.ts'
import { badField } from '../../http/catalogue.ts'
import { jobsPage } from '../../ledger/lists.ts'
import { readWallet } from '../../ledger/read.ts'
import { listGrants, MAX_GRANTS } from '../../oauth/grants.ts'
import { Uuid } from '../../schemas/primitives.ts'
import { shownToken } from './account-tokens.ts'
import { shownGrant } from './allowed-apps.ts'
import { balanceChart, readDays } from './balance-chart.ts'
import { fromOurPages, page, signedIn } from './page.ts'
import { returnLink } from './return-link.ts'
import { recentUsage } from './usage.ts'
import { amountText, creditsText, jobLine } from './words.ts'

const JOBS_ON_A_PAGE = 10

/** The account page: credits, jobs, and the devices that have access. */
export const accountPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/account',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          tokens_before: Type.Optional(Uuid),
          grants_before: Type.Optional(Uuid),
          fault: Type.Optional(Type.String({ maxLength: 100 })),
        }),
      },
    },
    async (request, reply) => {
      const back = returnLink(request)
      const person = await signedIn(request, reply, back ? `/account?${back.query}` : request.url)
      if (!person) return reply
      const { tokens_before, grants_before } = request.query
      const [{ account }, { jobs, next_cursor }, usage, days, tokens, grants] = await Promise.all([
        readWallet(app.db, person.id),
        jobsPage(app.db, person.id, {}, { limit: JOBS_ON_A_PAGE }),
        recentUsage(app.db, person.id),
        readDays(app.db, person.id),
        tokensWithBudgets(app.db, person.id, { limit: MAX_TOKENS + 1, before: tokens_before }),
        listGrants(app.db, person.id, { limit: MAX_GRANTS + 1, before: grants_before }),
      ])
      const { credits = 0, held = 0 } = account ?? {}
      return page(reply, 'account', {
        title: 'Your account',
        wide: true,
        back,
        shown_as: person.shown_as,
        console: isAdministrator(app, person),
        clerk_id: person.clerk_id,
        local: app.identity.mode === 'local',
        credits: { amount: amountText(credits), unit: credits === 1 ? 'credit' : 'credits' },
        owed: credits < 0 ? creditsText(-credits) : '',
        held: held > 0 ? `${creditsText(held)} ${held === 1 ? 'is' : 'are'} held by running jobs.` : '',
        buy_url: app.config.topupUrl ?? (app.payments && `/buy${back ? `?${back.query}` : ''}`),
        chart: balanceChart(days),
        usage,
        jobs: jobs.map(jobLine),
        more_jobs: next_cursor !== null,
        grants: grants.slice(0, MAX_GRANTS).map((grant) => shownGrant(grant, request.query.fault)),
        older_grants: grants.length > MAX_GRANTS ? grants[MAX_GRANTS - 1]?.id : undefined,
        // An account may have more since before there was a limit.
        older_tokens: tokens.length > MAX_TOKENS ? tokens[MAX_TOKENS - 1]?.id : undefined,
        tokens: tokens.slice(0, MAX_TOKENS).map(shownToken),
      })
    },
  )

  // For browsers that do not run the page's script, which sends DELETE /api/tokens/{id} instead.
  app.post(
    '/account/revoke',
    { onRequest: fromOurPages, schema: { hide: true, body: Type.Object({ id: Type.String() }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/account')
      if (!person) return reply
      const { id } = request.body
      if (!new RegExp(Uuid.pattern ?? '').test(id)) throw badField('id', 'is not the id of a token')
      await app.pats.revoking(person.id, () => revokeToken(app.db, person.id, id))
      return reply.redirect('/account#tokens', 303)
    },
  )
}
