import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdminOrKey } from '../access/service-keys.ts'
import {
  balanceOutOfRange,
  jobAlreadyEnded,
  jobNotEnded,
  jobNotFound,
  referenceReused,
  refundExceedsCost,
  tooManyAtOnce,
} from '../http/catalogue.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { MAX_CREDITS, MAX_REFUND_PARTS } from '../ledger/rules.ts'
import { actorOf } from '../operator/actions.ts'
import { JOBS_CURSOR, listAllJobs, readAnyJob } from '../operator/all-jobs.ts'
import { endJob, refundJob } from '../operator/job-changes.ts'
import { Account, Entry } from '../schemas/account.ts'
import { Job, JobStatus } from '../schemas/jobs.ts'
import { AdminJob } from '../schemas/operator.ts'
import {
  Credits,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  ListQuery,
  NextCursor,
  PageLimit,
  ref,
  Slug,
  Uuid,
} from '../schemas/primitives.ts'

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
  app.addHook('onRequest', requireAdminOrKey)

  app.get(
    '/api/admin/jobs',
    {
      config: { large: true },
      schema: {
        tags: ['Admin'],
        operationId: 'listAllJobs',
        summary: 'List the jobs of all accounts, or of one',
        description:
          'Newest first; jobs in progress (`status=started`, `overdue=true`) of all accounts by when their holds expire, the earliest first. A page can be shorter than `limit` while `next_cursor` is not null.',
        querystring: ListQuery({
          status: Type.Optional(JobStatus),
          overdue: Type.Optional(
            Type.Boolean({ description: 'true: only jobs in progress whose hold is past its time' }),
          ),
          app: Type.Optional({ ...Slug, description: 'Only jobs of this app' }),
          account: Type.Optional({ ...Uuid, description: 'Only jobs of this account' }),
          limit: PageLimit(50),
          cursor: Type.Optional(
            Type.String({ pattern: JOBS_CURSOR.source, description: 'next_cursor of the previous page' }),
          ),
        }),
        response: {
          200: Type.Object(
            { jobs: Type.Array(ref(AdminJob)), next_cursor: NextCursor },
            { description: 'OK. A page ends at 1 MiB', examples: [{ jobs: AdminJob.examples, next_cursor: null }] },
          ),
          ...refusals(administrator, tooManyAtOnce),
        },
      },
    },
    async (request) => {
      const { limit, cursor, ...filter } = request.query
      return listAllJobs(app.db, filter, { limit, cursor })
    },
  )

  app.get(
    '/api/admin/jobs/:id',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'getAnyJob',
        summary: 'Show a job of any account, and the entries that refund it',
        description: 'The entries name the job as `corrects_job_id`.',
        params: Type.Object({ id: Uuid }),
        response: {
          200: Type.Object(
            { job: ref(AdminJob), refunds: Type.Array(ref(Entry)) },
            { description: 'OK', examples: [{ job: AdminJob.examples[0], refunds: [REFUND_EXAMPLE] }] },
          ),
          ...refusals(administrator, jobNotFound),
        },
      },
    },
    async (request) => readAnyJob(app.db, request.params.id),
  )

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
