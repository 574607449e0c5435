import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { providerUnavailable } from '../../../http/catalogue.ts'
import { ApiError } from '../../../http/errors.ts'
import { type FoundBy, searchAccounts } from '../../../operator/search.ts'
import { namesOf } from './account-reads.ts'
import { accountCells } from './account-rows.ts'
import { text } from './cells.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table } from './table.ts'

const FOUND_BY: Record<FoundBy, string> = {
  account_id: 'account id',
  clerk_id: 'Clerk id',
  email: 'e-mail address',
  job_id: 'job',
  token: 'token’s last four',
  reference: 'reference of an entry',
  purchase_id: 'payment',
}

/** Finds accounts, jobs and payments by whatever an operator has at hand. */
export const searchPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/search',
    { schema: { hide: true, querystring: Type.Object({ q: Type.Optional(Type.String({ maxLength: 320 })) }) } },
    async (request, reply) => {
      const q = (request.query.q ?? '').trim()
      const { found, fault } = await search(q, request.deadline)
      const [only] = found
      // One that was surely meant is shown at once.
      if (only && found.length === 1) {
        const { id, found_by } = only
        const path = found_by === 'job_id' ? `/console/accounts/${id}/jobs/${q}` : `/console/accounts/${id}`
        return reply.header('cache-control', 'no-store').redirect(path, 303)
      }
      const names = await namesOf(
        app.db,
        found.map(({ id }) => id),
      )
      return consolePage(request, reply.code(fault ? 503 : 200), 'search', {
        title: q ? `Search: ${q}` : 'Search',
        section: 'accounts',
        help: HELP.accounts,
        ...{ q, fault },
        table: table(request, {
          caption: 'Accounts found',
          columns: [
            ...['Account', 'State', { text: 'Credits', number: true }, { text: 'Held', number: true }, 'Opened', 'Id'],
            'Found by',
          ],
          empty:
            'Nothing found. Give it whole: an e-mail address, an account, Clerk, job, purchase or payment id, the reference of an entry, or the last four characters of a token.',
          rows: found.map((account) => [
            ...accountCells(account, names.get(account.id)),
            text(FOUND_BY[account.found_by]),
          ]),
        }),
      })
    },
  )

  /** While the identity provider is down, everything but e-mail addresses is found. */
  async function search(q: string, deadline: number | undefined) {
    try {
      return { found: q ? await searchAccounts(app, q, deadline) : [], fault: undefined }
    } catch (error) {
      if (error instanceof ApiError && error.code === providerUnavailable.code) {
        return {
          found: [],
          fault: 'The identity provider, which knows e-mail addresses, does not answer. Search by an id.',
        }
      }
      throw error
    }
  }
}
