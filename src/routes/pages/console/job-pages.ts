import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { type ActionRow, listActions } from '../../../operator/actions.ts'
import { readAccount } from '../../../operator/find-accounts.ts'
import { Uuid } from '../../../schemas/primitives.ts'
import { readEntriesOf } from '../entry-reads.ts'
import {
  amountText,
  creditsText,
  ENTRY_WORDS,
  exactText,
  failureText,
  jobState,
  jobTitle,
  shortText,
  webLink,
} from '../words.ts'
import { findJob, namesOf, titleOf, titlesOf } from './account-reads.ts'
import { amount, exactTime, type Fact, fact, id as idCell, movement, state, text } from './cells.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { addJobChanges } from './job-changes.ts'
import { endForm, refundForm } from './job-forms.ts'
import { table } from './table.ts'

/** A job with its entries. */
export const jobPages: FastifyPluginAsyncTypebox = async (app) => {
  addJobChanges(app)
  const common = { section: 'jobs', help: HELP.jobs } as const

  app.get(
    '/console/accounts/:id/jobs/:job',
    { schema: { hide: true, params: Type.Object({ id: Uuid, job: Uuid }) } },
    async (request, reply) => {
      const { id, job: job_id } = request.params
      const [account, names, job] = await Promise.all([
        readAccount(app.db, id),
        namesOf(app.db, [id]),
        findJob(app.db, id, job_id),
      ])
      const [entries, { actions }] = await Promise.all([
        readEntriesOf(app.db, id, job),
        listActions(app.db, { account_id: id, target: `job ${job.id}` }, {}),
      ])
      const administrators = await titlesOf(
        app.db,
        actions.map(({ administrator }) => administrator.id),
      )
      const who = titleOf(account, names.get(id))
      const runs = job.status === 'started'
      const failure = failureText(job)
      const overdue = runs && job.expires_at < new Date()
      const preview = webLink(job.metadata?.previewUrl)
      const left = job.actual_cost - job.refunded
      const named = { at: `/console/accounts/${id}/jobs/${job.id}`, what: jobTitle(job) }
      return consolePage(request, reply, 'job', {
        title: jobTitle(job),
        ...common,
        up: { href: `/console/accounts/${id}`, text: who },
        facts: [
          fact(
            'State',
            state(overdue ? { word: 'Overdue', style: 'failed' } : jobState(job)),
            ...(failure ? [text(failure)] : []),
          ),
          fact('Account', text(who, { href: `/console/accounts/${id}` })),
          fact(
            'App',
            text(job.app_name ?? job.app_slug, {
              href: job.registered_slug ? `/console/apps/${job.app_slug}` : undefined,
            }),
          ),
          fact('Action', text(shortText(job.action, 200))),
          fact('Reserved', text(creditsText(job.reserved))),
          fact(
            'Cost',
            text(runs ? 'not known yet' : creditsText(job.actual_cost), {
              note:
                job.requested_cost !== null && job.requested_cost !== job.actual_cost
                  ? `${amountText(job.requested_cost)} were asked for; the app’s limit charged less`
                  : undefined,
            }),
          ),
          ...(job.refunded > 0 ? [fact('Refunded', text(creditsText(job.refunded)))] : []),
          fact('Started', exactTime(job.created_at)),
          runs ? fact('Hold ends', exactTime(job.expires_at)) : fact('Ended', exactTime(job.updated_at)),
          ...changedBy(actions, administrators),
          fact('Id', idCell(job.id)),
          ...(job.token_id ? [fact('By token', idCell(job.token_id))] : []),
          ...(job.grant_id ? [fact('By grant', idCell(job.grant_id))] : []),
          ...(preview ? [fact('Preview', text(preview.host, { href: preview.href }))] : []),
        ],
        end: runs ? endForm(named, creditsText(job.reserved)) : undefined,
        refund: !runs && left > 0 ? refundForm(named, left) : undefined,
        closed: account.closed_at !== null,
        metadata: job.metadata === null ? undefined : JSON.stringify(job.metadata, null, 2),
        entries: table(request, {
          caption: 'Entries of this job',
          columns: ['When', 'What', { text: 'Credits', number: true }, { text: 'Balance', number: true }, 'Entry'],
          empty: 'None: a job that costs nothing writes no entry.',
          rows: entries.map((entry) => [
            exactTime(entry.created_at),
            text(entry.own_job_id === null ? 'Refund' : ENTRY_WORDS[entry.kind], { note: entry.reason ?? undefined }),
            movement(entry.amount),
            amount(entry.balance_after),
            text(`no. ${entry.seq}`, { href: `/console/accounts/${id}/entries?cursor=${entry.seq + 1}` }),
          ]),
        }),
      })
    },
  )
}

const BY = { refundJob: 'Refunded by', endJob: 'Ended by' }

/** The administrators who refunded or ended a job and why, with a link to the lines of the audit log. */
function changedBy(actions: ActionRow[], titles: Map<string, string>): Fact[] {
  return Object.entries(BY).flatMap(([action, name]) => {
    const cells = actions
      .filter((line) => line.action === action)
      .map(({ administrator: { id, clerk_id }, target, reason, created_at }) =>
        text(titles.get(id) ?? clerk_id ?? id, {
          href: `/console/audit?${new URLSearchParams({ target: target ?? '', action })}`,
          note: `${exactText(new Date(created_at))}: “${reason}”`,
        }),
      )
    return cells.length > 0 ? [fact(name, ...cells)] : []
  })
}
