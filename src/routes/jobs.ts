import { createHash } from 'node:crypto'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { Static } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { configure } from 'safe-stable-stringify'
import { v7 as uuidv7 } from 'uuid'
import { callerOf } from '../access/caller.ts'
import { appOfKey, requireAccountOrKey, settler } from '../access/settle-keys.ts'
import {
  accountClosed,
  appNotAllowed,
  badField,
  budgetExceeded,
  grantAmbiguous,
  grantRequired,
  idempotencyKeyReused,
  insufficientCredits,
  jobNotFound,
  keyOfEndedJob,
  settleKeyInBrowser,
  settleKeyInvalid,
  settleKeyRequired,
  tooManyAtOnce,
} from '../http/catalogue.ts'
import { optionalTime } from '../http/periods.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { metadataText } from '../http/validation.ts'
import { jobsPage } from '../ledger/lists.ts'
import { reserve } from '../ledger/operations.ts'
import { readJob } from '../ledger/read.ts'
import { spendingGrant } from '../oauth/grants.ts'
import { Job, JobStartRequest, JobStartResponse, JobStatus, queriedAccount, settleSecurity } from '../schemas/jobs.ts'
import { ListQuery, periodFilter, ref, Slug, Uuid } from '../schemas/primitives.ts'

/** JSON with sorted keys, so that equal requests have equal hashes. */
const canonicalJson = configure({ deterministic: true })
const hashOf = (body: object): string =>
  createHash('sha256')
    .update(canonicalJson(body) ?? '')
    .digest('base64url')

export const jobRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/api/jobs',
    {
      onRequest: requireAccountOrKey,
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        operationId: 'createJob',
        summary: 'Create job (reserve credits)',
        description:
          "Reserves `cost_estimate` credits until the job is completed or failed, or until `expires_at`. With too few credits the answer is 402 and nothing is stored. Send an `Idempotency-Key` to repeat the request safely. The app's server may reserve without the person's token, with `X-App-Key` and `account_id`, where the person has allowed it to spend.",
        headers: Type.Object({
          'idempotency-key': Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 255,
              description: 'Repeating a request with the same key creates the job only once',
            }),
          ),
        }),
        body: ref(JobStartRequest),
        response: {
          200: {
            ...ref(JobStartResponse),
            description: 'OK',
            headers: {
              'Idempotency-Replayed': {
                type: 'string',
                description: 'true if an earlier request with this key created the job',
              },
            },
          },
          ...refusals(
            signedIn,
            jsonBody,
            insufficientCredits,
            keyOfEndedJob,
            idempotencyKeyReused,
            accountClosed,
            appNotAllowed,
            budgetExceeded,
            settleKeyRequired,
            settleKeyInvalid,
            settleKeyInBrowser,
            grantRequired,
            grantAmbiguous,
          ),
        },
      },
    },
    async (request, reply) => {
      const { app: slug, action, cost_estimate, metadata, ttl_seconds } = request.body
      const keyed = appOfKey(request)
      if (keyed !== null && keyed !== slug) throw settleKeyInvalid()
      const caller = await spenderOf(request, request.body)
      const idempotency_key = request.headers['idempotency-key'] ?? null
      const { job_id, expires_at, status, replayed } = await reserve(app.ledger, caller, {
        job_id: uuidv7(),
        app: slug,
        action,
        cost: cost_estimate,
        metadata: metadataText(request),
        idempotency_key,
        request_hash:
          idempotency_key && hashOf({ app: slug, action, cost_estimate, metadata: metadata ?? null, ttl_seconds }),
        ttl_seconds: ttl_seconds ?? app.config.jobTtlSeconds,
        ttl_without_key: ttl_seconds !== undefined && keyed === null,
        token_id: caller.token_id,
        grant_id: caller.grant_id,
        budget_ids: caller.budget_ids,
      })
      if (replayed) reply.header('idempotency-replayed', 'true')
      return { job_id, account_id: caller.id, status, expires_at }
    },
  )

  app.get(
    '/api/jobs',
    {
      onRequest: requireAccountOrKey,
      config: { large: true },
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        operationId: 'listJobs',
        summary: "List user's jobs with optional filters",
        description:
          "Newest first. `next_cursor` continues the list. A page may be shorter than `limit`, or empty: the list ends where `next_cursor` is null. With `X-App-Key`, those of the account's jobs that are the app's own.",
        querystring: ListQuery({
          account_id: queriedAccount,
          app: Type.Optional({ ...Slug, description: 'Filter by app slug' }),
          status: Type.Optional(JobStatus),
          token: Type.Optional({
            ...Uuid,
            description: 'Jobs that this token made, or the tokens of this grant',
          }),
          ...periodFilter('Created'),
          limit: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Max results (default 50)' }),
          ),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the previous page' }),
        }),
        response: {
          200: Type.Object(
            {
              jobs: Type.Array(ref(Job)),
              next_cursor: Type.Unsafe<string | null>({
                type: 'string',
                nullable: true,
                description: 'null on the last page',
              }),
            },
            {
              description:
                'A page of jobs, newest first. It ends at 1 MiB; with `token`, also after some 400 jobs that others made',
              examples: [{ jobs: Job.examples, next_cursor: null }],
            },
          ),
          ...refusals(signedIn, tooManyAtOnce, settleKeyInvalid, settleKeyInBrowser),
        },
      },
    },
    async (request) => {
      const { app: slug, status, token, from, to, limit, cursor } = request.query
      const { account_id, key_of } = await settler(request, request.query.account_id)
      if (key_of === null) refuseOther(account_id, request.query.account_id)
      if (key_of !== null && slug !== undefined && slug !== key_of) throw settleKeyInvalid()
      const period = { from: optionalTime('from', from), to: optionalTime('to', to) }
      return jobsPage(app.db, account_id, { app: key_of ?? slug, status, token, ...period }, { limit, cursor })
    },
  )

  app.get(
    '/api/jobs/:id',
    {
      onRequest: requireAccountOrKey,
      schema: {
        tags: ['Jobs'],
        security: settleSecurity,
        operationId: 'getJob',
        summary: 'Get one job',
        description:
          "One of your own jobs; those of others are not found. With `X-App-Key`, one of the app's own: `account_id` says whose.",
        params: Type.Object({ id: Uuid }),
        querystring: Type.Object({ account_id: queriedAccount }),
        response: {
          200: Type.Object({ job: ref(Job) }, { description: 'OK', examples: [{ job: Job.examples[0] }] }),
          ...refusals(signedIn, jobNotFound, settleKeyInvalid, settleKeyInBrowser),
        },
      },
    },
    async (request) => {
      const { account_id, key_of } = await settler(request, request.query.account_id)
      const job = await readJob(app.db, account_id, request.params.id)
      if (!job || (key_of !== null && job.app_slug !== key_of)) throw jobNotFound()
      return { job }
    },
  )

  /**
   * Whose credits are reserved: those of the person who asks, or of the person who has allowed the app to spend.
   * @throws {ApiError} 400, 401, 403 grant_required, 409 grant_ambiguous
   */
  async function spenderOf(request: FastifyRequest, { account_id, grant_id }: Static<typeof JobStartRequest>) {
    const app_slug = appOfKey(request)
    if (app_slug !== null && account_id !== undefined && request.headers.authorization === undefined) {
      const found = await spendingGrant(app, { account_id, app: app_slug, grant_id })
      return { ...found, token_id: null, budget_ids: [found.grant_id] }
    }
    const { account_id: owner } = await settler(request, undefined)
    refuseOther(owner, account_id)
    if (grant_id !== undefined)
      throw badField('grant_id', "belongs beside X-App-Key and account_id, without the person's token")
    return callerOf(request)
  }
}

/** By their own token or cookie, a person may name their own account alone. @throws {ApiError} 400 */
function refuseOther(own: string, account_id: string | undefined): void {
  if (account_id !== undefined && account_id.toLowerCase() !== own)
    throw badField('account_id', "is somebody else's: only an app's server may name it, with X-App-Key")
}
