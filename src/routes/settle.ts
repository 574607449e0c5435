import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAccountOrKey, settler } from '../access/settle-keys.ts'
import type { Db } from '../db/tables.ts'
import {
  accountClosed,
  appNotAllowed,
  balanceOutOfRange,
  jobAlreadyEnded,
  jobNotFound,
  jobOutsideLimits,
  settleKeyInBrowser,
  settleKeyInvalid,
  settleKeyRequired,
} from '../http/catalogue.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { patchText } from '../http/validation.ts'
import { complete, fail, heartbeat, type Settled, type SettledJob } from '../ledger/operations.ts'
import { readMetadata } from '../ledger/read.ts'
import {
  HeartbeatRequest,
  Job,
  JobCompleteRequest,
  JobFailRequest,
  JobSettled,
  settleSecurity,
} from '../schemas/jobs.ts'
import { ref, Uuid } from '../schemas/primitives.ts'

const settleErrors = [
  ...signedIn,
  ...jsonBody,
  jobNotFound,
  jobAlreadyEnded,
  accountClosed,
  appNotAllowed,
  jobOutsideLimits,
  settleKeyRequired,
  settleKeyInvalid,
  settleKeyInBrowser,
]

/** What an app reports about its job: completed, failed, or still running. */
export const settleRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAccountOrKey)

  app.post(
    '/api/jobs/complete',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        operationId: 'completeJob',
        summary: 'Complete a job and settle credits',
        description:
          'A lower cost than was reserved is refunded, a higher one is charged. Repeating the request with the same values changes nothing. Where the app has a settle key, only its server may do this, with `X-App-Key`.',
        body: ref(JobCompleteRequest),
        response: {
          200: { ...ref(JobSettled), description: 'OK; repeating the request changes nothing' },
          ...refusals(settleErrors, balanceOutOfRange),
        },
      },
    },
    async (request) => {
      const { job_id, account_id, actual_cost } = request.body
      const job = { job_id, ...(await settler(request, account_id)) }
      const patch = patchText(request)
      const settled = await complete(app.ledger, job, actual_cost, patch.text)
      if (settled.capped && !settled.repeated) {
        const { app_slug, reserved, actual_cost } = settled.job
        request.log.warn(
          { job_id, app_slug, reserved, requested_cost: settled.job.requested_cost, actual_cost },
          CAPPED,
        )
        app.metrics.overageCapped(app_slug)
      }
      return answer(app.db, job.account_id, settled, patch.fault)
    },
  )

  app.post(
    '/api/jobs/fail',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        operationId: 'failJob',
        summary: 'Fail a job and optionally refund the reserve',
        description:
          'With `refund` (the default) the reserved credits are returned, without it they are charged. Where the app has a settle key, only its server may do this, with `X-App-Key`.',
        body: ref(JobFailRequest),
        response: {
          200: { ...ref(JobSettled), description: 'OK; repeating the request changes nothing' },
          ...refusals(settleErrors, balanceOutOfRange),
        },
      },
    },
    async (request) => {
      const { job_id, account_id, refund = true } = request.body
      const job = { job_id, ...(await settler(request, account_id)) }
      const patch = patchText(request)
      return answer(app.db, job.account_id, await fail(app.ledger, job, refund, patch.text), patch.fault)
    },
  )

  app.post(
    '/api/jobs/:id/heartbeat',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        operationId: 'heartbeatJob',
        summary: 'Extend the hold of a running job',
        description: 'Moves `expires_at` to `ttl_seconds` from now. The body may be absent.',
        params: Type.Object({ id: Uuid }),
        body: ref(HeartbeatRequest),
        response: {
          200: Type.Object({ job: ref(Job) }, { description: 'OK', examples: [{ job: heartbeatExample }] }),
          ...refusals(settleErrors),
        },
      },
    },
    async (request) => {
      const { ttl_seconds = null, account_id } = request.body ?? {}
      const job = { job_id: request.params.id, ...(await settler(request, account_id)) }
      const alive = await heartbeat(app.ledger, job, ttl_seconds, app.config.jobTtlSeconds)
      return { job: await whole(app.db, job.account_id, alive) }
    },
  )
}

const heartbeatExample = { ...Job.examples[0], status: 'started', actual_cost: 0 }

const CAPPED = 'a job asked for more than the max_overage of its app; it was charged up to it'

/** @param fault what is wrong with the metadata that was sent, because of which it was not merged */
async function answer(db: Db, accountId: string, settled: Settled, fault?: string) {
  const { job, movement, balance, metadata_kept, capped } = settled
  const kept = 'The job is settled. Its metadata was not changed:'
  const warning = fault
    ? `${kept} metadata ${fault}.`
    : `${kept} with yours it would be larger than 16 KiB, or have more than 1000 values.`
  return {
    job: await whole(db, accountId, job),
    moved: movement,
    ...balance,
    ...(capped && { overage_capped: true }),
    ...((fault || metadata_kept) && { warning }),
  }
}

/** The job with its metadata, also where that is too large for the ledger to load. */
const whole = async (db: Db, accountId: string, job: SettledJob) => ({
  ...job,
  metadata: job.metadata === undefined ? await readMetadata(db, accountId, job.id) : job.metadata,
})
