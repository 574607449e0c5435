import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { callerOf, checkScope, requireAccount, requireCaller, requirePersonOrPat } from '../access/caller.ts'
import { checkReach } from '../access/width.ts'
import {
  accountClosed,
  badField,
  budgetTooWide,
  grantNotFound,
  ownPagesOnly,
  sessionRequired,
  tooManyAtOnce,
} from '../http/catalogue.ts'
import { pageById } from '../http/pages.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { changeBudget, listGrants, MAX_GRANTS, readGrant, revokeGrant, scopesOf } from '../oauth/grants.ts'
import { Grant, GrantChange } from '../schemas/grants.ts'
import { ListQuery, NextCursor, PageLimit, ref, Uuid } from '../schemas/primitives.ts'

const byId = Type.Object({ id: Uuid })

/** What a person has allowed programs to do: OAuth clients, and apps that spend without a token. */
export const grantRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/grants',
    {
      config: { large: true },
      onRequest: requireAccount,
      schema: {
        tags: ['Auth'],
        operationId: 'listGrants',
        summary: 'List what you have allowed programs to do, newest first',
        description: 'Live grants: OAuth clients, and apps that may spend your credits. Revoked ones are not listed.',
        querystring: ListQuery({
          limit: PageLimit(MAX_GRANTS),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            { grants: Type.Array(ref(Grant)), next_cursor: NextCursor },
            { description: 'OK', examples: [{ grants: Grant.examples, next_cursor: null }] },
          ),
          ...refusals(signedIn, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { limit = MAX_GRANTS, cursor } = request.query
      const rows = await listGrants(app.db, callerOf(request).id, { limit: limit + 1, before: cursor })
      const { page, next_cursor } = pageById(rows, limit)
      return { grants: page, next_cursor }
    },
  )

  app.patch(
    '/api/grants/:id',
    {
      onRequest: requirePersonOrPat,
      schema: {
        tags: ['Auth'],
        operationId: 'changeGrant',
        summary: 'Change the budget of something that you have allowed',
        description:
          'What is spent stays, and counts against the new budget; with another period it is what the jobs since its beginning hold and cost. For a person on our own pages, or a personal access token without limits that has the scopes of the grant. Access tokens and session tokens of apps may not.',
        params: byId,
        body: GrantChange,
        response: {
          200: Type.Object({ grant: ref(Grant) }, { description: 'OK', examples: [{ grant: Grant.examples[0] }] }),
          ...refusals(
            ...[signedIn, jsonBody, sessionRequired, ownPagesOnly, accountClosed],
            ...[grantNotFound, budgetTooWide],
          ),
        },
      },
    },
    async (request) => {
      const caller = callerOf(request)
      const { id } = request.params
      const { budget: amount, period } = request.body
      const grant = await readGrant(app.db, caller.id, id)
      if (period && (amount === undefined ? grant.budget : amount) === null)
        throw badField('period', 'needs a budget that begins anew')
      await checkReach(app.db, caller, grant.scopes)
      return { grant: await changeBudget(app, caller.id, id, { amount, period }) }
    },
  )

  app.delete(
    '/api/grants/:id',
    {
      // An access token of any scope may revoke its own grant.
      onRequest: async (request) => {
        const caller = await requireCaller(request)
        if (!isOwn(caller, request.params)) checkScope(caller, 'account')
      },
      schema: {
        tags: ['Auth'],
        operationId: 'revokeGrant',
        summary: 'Revoke something that you have allowed',
        description:
          'Its tokens stop working at once on the instance that answers, and within 5 seconds on the others. Jobs that hold credits go on and are settled. An access token may revoke its own grant alone, a personal access token others where it has no limits and all their scopes.',
        params: byId,
        response: {
          204: Type.Null({ description: 'Revoked, now or before' }),
          ...refusals(signedIn, sessionRequired, budgetTooWide, grantNotFound),
        },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request)
      const { id } = request.params
      if (!isOwn(caller, request.params)) await checkReach(app.db, caller, await scopesOf(app.db, caller.id, id))
      await app.pats.revoking(caller.id, () => revokeGrant(app.db, caller.id, id))
      return reply.code(204).send(null)
    },
  )
}

const isOwn = ({ grant_id }: { grant_id: string | null }, { id }: { id: string }) => grant_id === id.toLowerCase()
