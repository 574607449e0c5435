import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { requireAccountOrKey, settler } from '../access/settle-keys.ts'
import {
  accountClosed,
  balanceOutOfRange,
  jobAlreadyEnded,
  jobNotFound,
  settleKeyInBrowser,
  settleKeyInvalid,
  settleKeyRequired,
} from '../http/catalogue.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { metadataText } from '../http/validation.ts'
import { complete, fail, heartbeat, type Settled } from '../ledger/operations.ts'
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
        summary: 'Complete a job and settle credits',
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
      return answer(await complete(app.ledger, job, actual_cost, patchOf(request)), request)
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
          200: { ...ref(JobSettled), description: 'OK; repeating the request changes nothing' },
          ...refusals(settleErrors, balanceOutOfRange),
        },
      },
    },
    async (request) => {
      const { job_id, account_id, refund = true } = request.body
      const job = { job_id, ...(await settler(request, account_id)) }
      return answer(await fail(app.ledger, job, refund, patchOf(request)), request)
    },
  )

  app.register(heartbeatRoute)
}

const heartbeatRoute: FastifyPluginAsyncTypebox = async (app) => {
  // A heartbeat needs no body. Many clients send an empty one with a JSON content type.
  const parse = app.getDefaultJsonParser('ignore', 'ignore')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) =>
    body === '' ? done(null, null) : parse(request, body, done),
  )

  app.post(
    '/api/jobs/:id/heartbeat',
    {
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        summary: 'Extend the hold of a running job',
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
      return { job: await heartbeat(app.ledger, job, ttl_seconds, app.config.jobTtlSeconds) }
    },
  )
}

const heartbeatExample = { ...Job.examples[0], status: 'started', actual_cost: 0 }

/** The metadata to be merged, as text. One that would lose digits is left out: the work is done, so the job settles all the same. */
const patchOf = ({ body, inexact }: FastifyRequest & { body: { metadata?: Record<string, unknown> } }) =>
  inexact === null ? metadataText(body.metadata) : null

function answer({ job, movement, balance, metadata_kept }: Settled, { inexact }: FastifyRequest) {
  const kept = (why: string) => ({ warning: `The job is settled. Its metadata was not changed: ${why}` })
  return {
    job,
    moved: movement,
    ...balance,
    ...(metadata_kept && kept('with yours it would be larger than 16 KiB.')),
    ...(inexact !== null &&
      kept(`yours has an integer that would lose digits, ${inexact.slice(0, 40)}. Send it as a string.`)),
  }
}
