import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { providerUnavailable } from '../../../http/catalogue.ts'
import { ApiError } from '../../../http/errors.ts'
import { type FoundBy, searchAccounts } from '../../../operator/search.ts'
import { namesOf } from './account-reads.ts'
import { accountCells } from './account-rows.ts'
import { findApps } from './app-reads.ts'
import { amount, text, time } from './cells.ts'
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

/** Finds accounts, apps, jobs and payments by whatever an operator has at hand. */
export const searchPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/search',
    { schema: { hide: true, querystring: Type.Object({ q: Type.Optional(Type.String({ maxLength: 320 })) }) } },
    async (request, reply) => {
      const q = (request.query.q ?? '').trim()
      const [{ found, fault }, apps] = await Promise.all([search(q, request.deadline), findApps(app.db, q)])
      const [only] = found
      const [onlyApp] = apps
      // One that was surely meant is shown at once.
      if (onlyApp && apps.length === 1 && !found.length && !fault)
        return reply.header('cache-control', 'no-store').redirect(`/console/apps/${onlyApp.slug}`, 303)
      if (only && found.length === 1 && !apps.length) {
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
        apps: apps.length
          ? table(request, {
              caption: 'Apps found',
              columns: ['App', { text: 'Starter credits', number: true }, 'Registered'],
              empty: '',
              rows: apps.map(({ slug, name, starter_credits, created_at }) => [
                text(name ?? slug, { href: `/console/apps/${slug}`, note: slug }),
                amount(starter_credits),
                time(created_at),
              ]),
            })
          : undefined,
        table: table(request, {
          caption: 'Accounts found',
          columns: [
            ...['Account', 'State', { text: 'Credits', number: true }, { text: 'Held', number: true }, 'Opened', 'Id'],
            'Found by',
          ],
          empty: 'Nothing found.',
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
