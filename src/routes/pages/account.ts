import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { listTokens, revokeToken } from '../../access/tokens.ts'
import { badField } from '../../http/catalogue.ts'
import { readWallet } from '../../ledger/read.ts'
import { Uuid } from '../../schemas/primitives.ts'
import { balanceChart, readDays } from './balance-chart.ts'
import { fromOurPages, page, signedIn } from './page.ts'
import { amountText, creditsText, ENTRY_WORDS, jobState, movementText, shortText, timeText, webLink } from './words.ts'

const JOBS_ON_A_PAGE = 10
const ENTRIES_ON_A_PAGE = 50

/** Where a person sees what credits there are and where they went, and takes access away again. */
export const accountPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/account',
    { schema: { hide: true, querystring: Type.Object({ before: Type.Optional(Uuid) }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { before } = request.query
      const [{ account }, jobs, days, tokens] = await Promise.all([
        readWallet(app.db, person.id),
        readJobs(person.id, before),
        readDays(app.db, person.id),
        listTokens(app.db, person.id),
      ])
      const { credits = 0, held = 0 } = account ?? {}
      return page(reply, 'account', {
        title: 'Your account',
        wide: true,
        shown_as: person.shown_as,
        clerk_id: person.clerk_id,
        local: app.identity.mode === 'local',
        credits: { amount: amountText(credits), unit: credits === 1 ? 'credit' : 'credits', below: credits < 0 },
        held: held > 0 ? creditsText(held) : '',
        topup_url: app.config.topupUrl,
        chart: balanceChart(days),
        jobs: jobs.slice(0, JOBS_ON_A_PAGE).map((job) => ({
          ...job,
          text: shortText(job.metadata?.description, 120) ?? shortText(job.action, 120),
          preview: webLink(job.metadata?.previewUrl),
          state: jobState(job),
          cost: job.status === 'started' ? `${amountText(job.reserved)} held` : creditsText(job.actual_cost),
          at: timeText(job.created_at),
        })),
        older: jobs.length > JOBS_ON_A_PAGE ? jobs[JOBS_ON_A_PAGE - 1]?.id : undefined,
        paged: before !== undefined,
        tokens: tokens.map((token) => ({
          ...token,
          name: shortText(token.name, 100) ?? 'A device without a name',
          until: timeText(token.expires_at),
          since: timeText(token.created_at),
          used: token.last_used_at ? timeText(token.last_used_at) : undefined,
          may_oauth: token.scopes.includes('oauth'),
          may_admin: token.scopes.includes('admin'),
        })),
      })
    },
  )

  app.get(
    '/account/entries',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          before: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
        }),
      },
    },
    async (request, reply) => {
      const person = await signedIn(request, reply)
      if (!person) return reply
      const { before } = request.query
      const entries = await readEntries(person.id, before)
      const shown = entries.slice(0, ENTRIES_ON_A_PAGE)
      return page(reply, 'entries', {
        title: 'Every movement of credits',
        wide: true,
        shown_as: person.shown_as,
        entries: shown.map((entry) => ({
          ...entry,
          word: ENTRY_WORDS[entry.kind],
          about: entry.app_slug ? `${entry.app_slug}: ${shortText(entry.action, 100)}` : shortText(entry.reason, 200),
          amount: movementText(entry.amount),
          gain: entry.amount > 0,
          balance: amountText(entry.balance_after),
          at: timeText(entry.created_at),
        })),
        older: entries.length > shown.length ? shown.at(-1)?.seq : undefined,
        paged: before !== undefined,
      })
    },
  )

  // What the page's script does with DELETE /api/tokens/{id}, for browsers that do not run it.
  app.post(
    '/account/revoke',
    { onRequest: fromOurPages, schema: { hide: true, body: Type.Object({ id: Type.String() }) } },
    async (request, reply) => {
      const person = await signedIn(request, reply, '/account')
      if (!person) return reply
      const { id } = request.body
      if (!new RegExp(Uuid.pattern ?? '').test(id)) throw badField('id', 'is not the id of a token')
      await revokeToken(app.db, person.id, id)
      return reply.redirect('/account#tokens', 303)
    },
  )

  const readJobs = (accountId: string, before: string | undefined) =>
    app.db
      .selectFrom('jobs')
      .select(['id', 'app_slug', 'action', 'status', 'reserved', 'actual_cost', 'metadata', 'failure_reason'])
      .select('created_at')
      .where('account_id', '=', accountId)
      .$if(before !== undefined, (jobs) => jobs.where('id', '<', before ?? ''))
      .orderBy('id', 'desc')
      .limit(JOBS_ON_A_PAGE + 1)
      .execute()

  const readEntries = (accountId: string, before: number | undefined) =>
    app.db
      .selectFrom('ledger_entries as entry')
      .leftJoin('jobs as job', (join) =>
        join.onRef('job.account_id', '=', 'entry.account_id').onRef('job.id', '=', 'entry.job_id'),
      )
      .select(['entry.seq', 'entry.kind', 'entry.amount', 'entry.balance_after', 'entry.reason', 'entry.created_at'])
      .select(['job.app_slug', 'job.action'])
      .where('entry.account_id', '=', accountId)
      .$if(before !== undefined, (entries) => entries.where('entry.seq', '<', before ?? 0))
      .orderBy('entry.seq', 'desc')
      .limit(ENTRIES_ON_A_PAGE + 1)
      .execute()
}
