import type { FastifyInstance } from 'fastify'
import { badField, jobAlreadyEnded, jobNotEnded, refundExceedsCost } from '../../../http/catalogue.ts'
import { MAX_REFUND_PARTS } from '../../../ledger/rules.ts'
import { readAccount } from '../../../operator/find-accounts.ts'
import { endJob, refundJob } from '../../../operator/job-changes.ts'
import { readEntriesOf } from '../entry-reads.ts'
import { amountText, creditsText, jobTitle, timeText } from '../words.ts'
import { TOLD } from './account-changes.ts'
import { findJob, namesOf, titleOf } from './account-reads.ts'
import { type Asked, addChange } from './changes.ts'
import { HELP } from './help.ts'
import { endForm, refundForm } from './job-forms.ts'

/** What can be done with a job: giving back what it cost, and ending it. */
export function addJobChanges(app: FastifyInstance): void {
  const common = { section: 'jobs', help: HELP.jobs } as const

  const read = async ({ params: { id = '', job: job_id = '' } }: Asked) => {
    const [account, names, job] = await Promise.all([
      readAccount(app.db, id),
      namesOf(app.db, [id]),
      findJob(app.db, id, job_id),
    ])
    const back = `/console/accounts/${account.id}/jobs/${job.id}`
    return { account, job, back, who: titleOf(account, names.get(id)), what: jobTitle(job) }
  }

  addChange(app, {
    ...{ path: '/console/accounts/:id/jobs/:job/refund', ...common },
    async form(asked) {
      const { job, back: at, what } = await read(asked)
      const left = job.actual_cost - job.refunded
      return left > 0 ? refundForm({ at, what }, left) : undefined
    },
    async plan(asked) {
      const { account, job, back, who, what } = await read(asked)
      if (job.status === 'started') throw jobNotEnded()
      const left = job.actual_cost - job.refunded
      if (left === 0) throw refundExceedsCost(0)
      const amount = asked.fields.text('amount') ? asked.fields.whole('amount', { least: 1 }) : left
      if (amount > left) throw badField('amount', `must be at most ${amountText(left)}: ${whyNoMore(job)}`)
      const entries = await readEntriesOf(app.db, account.id, job)
      const part = entries.filter(({ own_job_id }) => own_job_id === null).length + 1
      if (part > MAX_REFUND_PARTS)
        throw badField('amount', `cannot be given back: there are ${MAX_REFUND_PARTS} refunds`)
      return {
        title: `Refund ${creditsText(amount)} of “${what}”?`,
        effects: [
          `${who}: ${amountText(account.credits)} → ${creditsText(account.credits + amount)} to spend, as it stands now.`,
          `Of the ${creditsText(job.actual_cost)} that the job cost, ${amountText(job.refunded + amount)} are given back then. The job itself stays as it is.`,
        ],
        ...{ button: 'Refund it', back, reason: 'required', told: TOLD },
        // A second sending finds that the job has been refunded.
        state: [job.refunded, part],
        numbers: account.credits,
        async act({ actor, reason = '' }) {
          const ids = { account_id: account.id, job_id: job.id }
          const { account: now } = await refundJob(app, actor, ids, {
            amount,
            part,
            reason,
          })
          return { notice: `${creditsText(amount)} went back to ${who}, who has ${creditsText(now.credits)} now.` }
        },
      }
    },
  })

  addChange(app, {
    ...{ path: '/console/accounts/:id/jobs/:job/end', ...common },
    async form(asked) {
      const { job, back: at, what } = await read(asked)
      return job.status === 'started' ? endForm({ at, what }, creditsText(job.reserved)) : undefined
    },
    async plan(asked) {
      const { account, job, back, who, what } = await read(asked)
      if (job.status !== 'started') throw jobAlreadyEnded(job, false)
      const hold = asked.fields.text('hold')
      if (hold !== 'return' && hold !== 'keep') throw badField('hold', 'must be chosen')
      const refund = hold === 'return'
      const { reserved } = job
      return {
        title: `End “${what}”?`,
        effects: [
          refund
            ? `The job fails, and the ${creditsText(reserved)} that it holds go back to ${who}: ${amountText(account.credits)} → ${creditsText(account.credits + reserved)} to spend.`
            : `The job fails and costs the ${creditsText(reserved)} that it holds. ${who} keeps ${creditsText(account.credits)} to spend.`,
          `If ${job.app_slug} reports it later, it is told that the job has ended; nothing more is charged.`,
          ...(job.expires_at > new Date()
            ? [`By itself the hold comes back at ${timeText(job.expires_at)}, unless the app extends it.`]
            : []),
        ],
        ...{ button: 'End it', back, reason: 'required', grave: true, state: [job.status, reserved] },
        numbers: account.credits,
        async act({ actor, reason = '' }) {
          const ids = { account_id: account.id, job_id: job.id }
          await endJob(app, actor, ids, { refund, reason })
          return {
            notice: refund
              ? `The job is ended; ${creditsText(reserved)} went back.`
              : `The job is ended and cost ${creditsText(reserved)}.`,
          }
        },
      }
    },
  })
}

const whyNoMore = ({ actual_cost, refunded }: { actual_cost: number; refunded: number }): string =>
  refunded === 0
    ? 'the job cost no more'
    : `of the ${amountText(actual_cost)} that it cost, ${amountText(refunded)} have been given back`
