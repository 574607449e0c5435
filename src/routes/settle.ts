import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAccountOrKey, settler } from '../access/settle-keys.ts'
import { metadataText } from '../http/validation.ts'
import { complete, fail, heartbeat, type Settled } from '../ledger/operations.ts'
import {
  bodyFailures,
  failures,
  HeartbeatRequest,
  Job,
  JobCompleteRequest,
  JobFailRequest,
  JobSettled,
  ref,
  settleKeyFailure,
  settleSecurity,
  Uuid,
} from '../schemas/all.ts'

const settleFailures = {
  ...bodyFailures,
  403: settleKeyFailure,
  404: failures.notFound('job_not_found', 'You have no job with this job_id.'),
  409: failures.conflict('job_already_ended', 'This job is completed already, at a cost of 3. Nothing was changed.'),
}

/** What an app says of a job that it works on: done, failed, or still alive. */
export const settleRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAccountOrKey)

  app.post(
    '/api/jobs/complete',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        summary: 'Complete a job and settle credits',
        body: ref(JobCompleteRequest),
        response: {
          200: { ...ref(JobSettled), description: 'OK; a repeat of the same call moves nothing' },
          ...settleFailures,
        },
      },
    },
    async (request) => {
      const { job_id, account_id, actual_cost, metadata } = request.body
      const job = { job_id, ...(await settler(request, account_id)) }
      return answer(await complete(app.ledger, job, actual_cost, metadataText(metadata)))
    },
  )

  app.post(
    '/api/jobs/fail',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        summary: 'Fail a job and optionally refund the reserve',
        body: ref(JobFailRequest),
        response: {
          200: { ...ref(JobSettled), description: 'OK; a repeat of the same call moves nothing' },
          ...settleFailures,
        },
      },
    },
    async (request) => {
      const { job_id, account_id, refund = true } = request.body
      const job = { job_id, ...(await settler(request, account_id)) }
      return answer(await fail(app.ledger, job, refund))
    },
  )

  app.register(heartbeatRoute)
}

const heartbeatRoute: FastifyPluginAsyncTypebox = async (app) => {
  // Nothing needs to be said; clients that call everything JSON say nothing as JSON.
  const parse = app.getDefaultJsonParser('ignore', 'ignore')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) =>
    body === '' ? done(null, null) : parse(request, body, done),
  )

  app.post(
    '/api/jobs/:id/heartbeat',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        summary: 'Say that a job is alive: its hold lives on from now',
        params: Type.Object({ id: Uuid }),
        body: ref(HeartbeatRequest),
        response: {
          200: Type.Object({ job: ref(Job) }, { description: 'OK', examples: [{ job: heartbeatExample }] }),
          ...settleFailures,
        },
      },
    },
    async (request) => {
      const { ttl_seconds = null, account_id } = request.body ?? {}
      const job = { job_id: request.params.id, ...(await settler(request, account_id)) }
      return { job: await heartbeat(app.ledger, job, ttl_seconds, app.config.jobTtlSeconds) }
    },
  )
}

const heartbeatExample = { ...Job.examples[0], status: 'started', actual_cost: 0 }

const answer = ({ job, movement, balance, metadata_kept }: Settled) => ({
  job,
  moved: movement,
  ...balance,
  ...(metadata_kept && {
    warning: 'The job is settled; its metadata was kept as it was, because with yours it would pass 16 KiB.',
  }),
})
