import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdmin } from '../access/caller.ts'
import {
  balanceOutOfRange,
  jobAlreadyEnded,
  jobNotEnded,
  jobNotFound,
  referenceReused,
  refundExceedsCost,
} from '../http/catalogue.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { MAX_CREDITS, MAX_REFUND_PARTS } from '../ledger/rules.ts'
import { actorOf } from '../operator/actions.ts'
import { endJob, refundJob } from '../operator/job-changes.ts'
import { Account, Entry } from '../schemas/account.ts'
import { Job } from '../schemas/jobs.ts'
import { Credits, EXAMPLE_ID, EXAMPLE_TIME, ref, Uuid } from '../schemas/primitives.ts'

const REFUND_EXAMPLE = {
  ...{ seq: 7, kind: 'adjustment' as const, amount: 3, balance_after: 20, job_id: null },
  ...{ reference: `refund:${EXAMPLE_ID}`, reason: 'The render was black', corrects_job_id: EXAMPLE_ID },
  created_at: EXAMPLE_TIME,
}

const ENDED_EXAMPLE = {
  ...(Job.examples[0] as (typeof Job)['static']),
  ...{ status: 'failed' as const, actual_cost: 0, requested_cost: 0, failure_reason: 'ended_by_operator' },
}

/** Jobs of others: what an administrator ends, and gives back. */
export const adminJobRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  app.post(
    '/api/admin/jobs/:id/refund',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'refundJob',
        summary: 'Give back what a job cost, or a part of it',
        description:
          'Writes an adjustment whose reference names the job; the job itself stays as it is. The same part and amount again changes nothing.',
        params: Type.Object({ id: Uuid }),
        body: Type.Object(
          {
            account_id: { ...Uuid, description: "The job's account" },
            amount: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: MAX_CREDITS,
                description: 'Credits; default: what the job cost and other parts have not given back',
              }),
            ),
            part: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: MAX_REFUND_PARTS,
                default: 1,
                description: 'Counts the refunds of one job, which together never exceed its cost',
              }),
            ),
            reason: Type.String({ minLength: 1, maxLength: 1000 }),
          },
          { examples: [{ account_id: EXAMPLE_ID, reason: 'The render was black' }] },
        ),
        response: {
          200: Type.Object(
            {
              account: ref(Account),
              entry: ref(Entry),
              refunded: Credits({ description: 'What was given back of the job in all' }),
            },
            { description: 'OK', examples: [{ account: Account.examples[0], entry: REFUND_EXAMPLE, refunded: 3 }] },
          ),
          ...refusals(
            ...[administrator, jsonBody, jobNotFound, jobNotEnded],
            ...[refundExceedsCost, referenceReused, balanceOutOfRange],
          ),
        },
      },
    },
    async (request) => {
      const { account_id, amount = null, part = 1, reason } = request.body
      return refundJob(app, actorOf(request), { account_id, job_id: request.params.id }, { amount, part, reason })
    },
  )

  app.post(
    '/api/admin/jobs/:id/end',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'endJob',
        summary: 'End a job that its app does not end',
        description:
          'The job fails with `failure_reason` `ended_by_operator`, and its app is told by webhook. Its hold comes back, or is what the job costs. Completing it later answers 409.',
        params: Type.Object({ id: Uuid }),
        body: Type.Object(
          {
            account_id: { ...Uuid, description: "The job's account" },
            refund: Type.Optional(
              Type.Boolean({ default: true, description: 'false: the job costs what it reserved, instead of nothing' }),
            ),
            reason: Type.String({ minLength: 1, maxLength: 1000, description: 'For the audit log' }),
          },
          { examples: [{ account_id: EXAMPLE_ID, reason: 'The worker is gone' }] },
        ),
        response: {
          200: Type.Object(
            { account: ref(Account), job: ref(Job) },
            { description: 'Ended, now or before', examples: [{ account: Account.examples[0], job: ENDED_EXAMPLE }] },
          ),
          ...refusals(administrator, jsonBody, jobNotFound, jobAlreadyEnded),
        },
      },
    },
    async (request) => {
      const { account_id, refund = true, reason } = request.body
      return endJob(app, actorOf(request), { account_id, job_id: request.params.id }, { refund, reason })
    },
  )
}
