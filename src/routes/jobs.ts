import { createHash } from 'node:crypto'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { configure } from 'safe-stable-stringify'
import { v7 as uuidv7 } from 'uuid'
import { requireAccount } from '../access/caller.ts'
import { readAppKey, settleKeyInvalid } from '../access/settle-keys.ts'
import type { JobStatus as JobState } from '../db/tables.ts'
import { ApiError } from '../http/errors.ts'
import { metadataText } from '../http/validation.ts'
import { reserve } from '../ledger/operations.ts'
import {
  bodyFailures,
  failures,
  Job,
  JobStartRequest,
  JobStartResponse,
  JobStatus,
  protectedFailures,
  ref,
  Slug,
  settleKeyFailure,
  Uuid,
} from '../schemas/all.ts'

/** The same JSON whatever the order of its keys, so that equal requests have equal hashes. */
const canonicalJson = configure({ deterministic: true })

const jobNotFound = () => new ApiError(404, 'job_not_found', 'You have no job with this id.')

export const jobRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAccount)

  app.post(
    '/api/jobs',
    {
      onRequest: readAppKey,
      schema: {
        tags: ['Jobs'],
        summary: 'Create job (reserve credits)',
        headers: Type.Object({
          'idempotency-key': Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 255,
              description: 'The same key with the same body creates the job once, however often it is sent',
            }),
          ),
        }),
        body: ref(JobStartRequest),
        response: {
          200: {
            ...ref(JobStartResponse),
            description: 'OK',
            headers: { 'Idempotency-Replayed': { type: 'string', description: 'true where the job existed already' } },
          },
          402: failures.insufficient,
          422: failures.keyReused,
          ...bodyFailures,
          403: settleKeyFailure,
        },
      },
    },
    async (request, reply) => {
      const { app: slug, action, cost_estimate, metadata, ttl_seconds } = request.body
      if (request.keyOf !== null && request.keyOf !== slug) throw settleKeyInvalid()
      const idempotency_key = request.headers['idempotency-key'] ?? null
      const asked = canonicalJson({ app: slug, action, cost_estimate, metadata: metadata ?? null, ttl_seconds }) ?? ''
      const { job_id, expires_at, replayed } = await reserve(app.ledger, request.account, {
        job_id: uuidv7(),
        app: slug,
        action,
        cost: cost_estimate,
        metadata: metadataText(metadata),
        idempotency_key,
        request_hash: idempotency_key && createHash('sha256').update(asked).digest('base64url'),
        ttl_seconds: ttl_seconds ?? app.config.jobTtlSeconds,
        ttl_without_key: ttl_seconds !== undefined && request.keyOf === null,
      })
      if (replayed) reply.header('idempotency-replayed', 'true')
      return { job_id, account_id: request.account.id, expires_at }
    },
  )

  app.get(
    '/api/jobs',
    {
      schema: {
        tags: ['Jobs'],
        summary: "List user's jobs with optional filters",
        querystring: Type.Object({
          app: Type.Optional({ ...Slug, description: 'Filter by app slug' }),
          status: Type.Optional(JobStatus),
          limit: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Max results (default 50)' }),
          ),
          cursor: Type.Optional({ ...Uuid, description: 'next_cursor of the page before' }),
        }),
        response: {
          200: Type.Object(
            {
              jobs: Type.Array(ref(Job)),
              next_cursor: Type.Unsafe<string | null>({
                type: 'string',
                nullable: true,
                description: 'null at the end',
              }),
            },
            { description: 'A page of jobs, newest first', examples: [{ jobs: Job.examples, next_cursor: null }] },
          ),
          ...protectedFailures,
        },
      },
    },
    async (request) => {
      const { app: slug, status, limit = 50, cursor } = request.query
      const page = (status: JobState | undefined) =>
        jobsOf(request.account.id)
          .$if(slug !== undefined, (jobs) => jobs.where('app_slug', '=', slug ?? ''))
          .$if(status !== undefined, (jobs) => jobs.where('status', '=', status ?? 'started'))
          .$if(cursor !== undefined, (jobs) => jobs.where('id', '<', cursor ?? ''))
          .orderBy('id', 'desc')
          .limit(limit + 1)
      // An app's jobs are merged from those of each status: that index exists anyway, and every posting would pay for another.
      const rows =
        slug !== undefined && status === undefined
          ? await app.db
              .selectFrom(page('started').unionAll(page('completed')).unionAll(page('failed')).as('pages'))
              .selectAll()
              .orderBy('id', 'desc')
              .limit(limit + 1)
              .execute()
          : await page(status).execute()
      const jobs = rows.slice(0, limit)
      return { jobs, next_cursor: rows.length > limit ? (jobs.at(-1)?.id ?? null) : null }
    },
  )

  app.get(
    '/api/jobs/:id',
    {
      schema: {
        tags: ['Jobs'],
        summary: 'Get one job',
        params: Type.Object({ id: Uuid }),
        response: {
          200: Type.Object({ job: ref(Job) }, { description: 'OK', examples: [{ job: Job.examples[0] }] }),
          404: failures.notFound('job_not_found', 'You have no job with this id.'),
          ...protectedFailures,
        },
      },
    },
    async (request) => {
      const job = await jobsOf(request.account.id).where('id', '=', request.params.id).executeTakeFirst()
      if (!job) throw jobNotFound()
      return { job }
    },
  )

  const jobsOf = (accountId: string) =>
    app.db
      .selectFrom('jobs')
      .select(['id', 'app_slug', 'action', 'status', 'reserved', 'actual_cost', 'metadata', 'failure_reason'])
      .select(['expires_at', 'created_at', 'updated_at'])
      .where('account_id', '=', accountId)
}
