import { randomUUID } from 'node:crypto'
import type { components } from '../../../client/src/api-types.d.ts'
import { quoted } from '../command-line.ts'
import { Failure } from '../failure.ts'
import { remarkOlder } from '../filters.ts'
import type { Focus } from '../focus.ts'
import { creditsText, day, line, moment, print, printFields, printJson, printTable, remark } from '../output.ts'
import { readMetadata } from './arguments.ts'

type Job = components['schemas']['Job']
type Settled = components['schemas']['JobSettled']

interface ListOptions {
  app?: string
  status?: Job['status']
  token?: string
  from?: string
  to?: string
  limit?: number
  cursor?: string
}

export async function list(focus: Focus, query: ListOptions): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/jobs', { params: { query } }))
  if (focus.json) return printJson(answer)
  if (answer.jobs.length) {
    await printTable(
      [
        { title: 'id', value: ({ id }) => id },
        { title: 'app', value: ({ app_slug }) => app_slug, shrinks: true },
        { title: 'action', value: ({ action }) => action, shrinks: true },
        { title: 'status', value: ({ status }) => status },
        {
          title: 'cost',
          value: ({ status, reserved, actual_cost }) => (status === 'started' ? reserved : actual_cost),
        },
        { title: 'created', value: ({ created_at }) => moment(created_at), short: ({ created_at }) => day(created_at) },
      ],
      answer.jobs,
    )
  } else remark(line`${answer.next_cursor ? 'No matching jobs on this page.' : 'No jobs.'}`)
  remarkOlder(focus, 'Older jobs', ['jobs', 'list'], query, answer.next_cursor)
}

export async function show(focus: Focus, _: object, id: string): Promise<void> {
  const answer = await focus.ask((api) => api.GET('/api/jobs/{id}', { params: { path: { id } } }))
  if (focus.json) return printJson(answer)
  printJob(answer.job)
}

function printJob(job: Job): void {
  const { status, metadata } = job
  printFields({
    Job: job.id,
    App: job.app_slug,
    Action: job.action,
    Status: job.failure_reason ? `${status} (${job.failure_reason})` : status,
    Reserved: job.reserved,
    Cost: status === 'started' ? undefined : job.actual_cost,
    'Asked for': job.requested_cost > job.actual_cost ? job.requested_cost : undefined,
    Refunded: job.refunded || undefined,
    Created: moment(job.created_at),
    Updated: moment(job.updated_at),
    'Hold expires': status === 'started' ? moment(job.expires_at) : undefined,
    Metadata: metadata ? JSON.stringify(metadata) : undefined,
  })
}

interface CreateOptions {
  app: string
  action: string
  cost: number
  metadata?: string
  ttl?: number
  idempotencyKey?: string
}

export async function create(focus: Focus, options: CreateOptions): Promise<void> {
  const { app, action, cost, ttl, idempotencyKey = randomUUID() } = options
  const metadata = await readMetadata(options.metadata)
  const body = {
    app,
    action,
    cost_estimate: cost,
    ...(metadata && { metadata }),
    ...(ttl !== undefined && { ttl_seconds: ttl }),
  }
  let replayed = false
  const job = await focus
    .ask(
      async (api) => {
        const answer = await api.POST('/api/jobs', {
          params: { header: { 'idempotency-key': idempotencyKey } },
          body,
        })
        replayed = answer.response.headers.get('idempotency-replayed') === 'true'
        return answer
      },
      { appKey: true },
    )
    .catch((error) => {
      throw perhapsCreated(error, idempotencyKey)
    })
  if (focus.json) return printJson({ ...job, replayed })
  print(line`${job.job_id}`)
  remark(
    replayed
      ? line`This job exists already. Nothing was reserved.`
      : line`Reserved ${creditsText(cost)} until ${moment(job.expires_at)}.`,
  )
}

/** Without an answer it is unknown whether the job exists. Repeating the request with the same key reserves once. */
function perhapsCreated(error: unknown, key: string): unknown {
  if (!(error instanceof Failure)) return error
  const { code, message, exitCode, details } = error
  const { status } = details
  if (code !== 'server_unreachable' && !(typeof status === 'number' && status >= 500)) return error
  const hint = `The job may have been created. Repeat the command with --idempotency-key ${quoted(key)}: the credits are reserved once.`
  return new Failure(code, message, { exitCode, details, hint })
}

interface SettleOptions {
  account?: string
  metadata?: string
}

/** The account must be named when only the app's key is sent; a token implies it. */
const accountOf = ({ account }: SettleOptions) => (account ? { account_id: account } : {})
const credentialsFor = ({ account }: SettleOptions) => ({ appKey: true, alone: account !== undefined })

export async function complete(focus: Focus, options: SettleOptions & { cost: number }, id: string): Promise<void> {
  const metadata = await readMetadata(options.metadata)
  const body = { job_id: id, actual_cost: options.cost, ...accountOf(options), ...(metadata && { metadata }) }
  report(focus, await focus.ask((api) => api.POST('/api/jobs/complete', { body }), credentialsFor(options)))
}

export async function fail(focus: Focus, options: SettleOptions & { refund: boolean }, id: string): Promise<void> {
  const metadata = await readMetadata(options.metadata)
  const body = { job_id: id, refund: options.refund, ...accountOf(options), ...(metadata && { metadata }) }
  report(focus, await focus.ask((api) => api.POST('/api/jobs/fail', { body }), credentialsFor(options)))
}

function report(focus: Focus, answer: Settled): void {
  if (focus.json) {
    printJson(answer)
    return
  }
  const { job, moved, credits, held, overage_capped, warning } = answer
  const movement = moved ? `${moved.amount > 0 ? '+' : ''}${moved.amount} (${moved.kind})` : 'nothing'
  printFields({ Job: job.id, Status: job.status, Cost: job.actual_cost, Moved: movement, Credits: credits, Held: held })
  if (overage_capped) remark(line`The app limits what a job may cost: ${job.requested_cost} was asked for.`)
  if (warning) remark(line`${warning}`)
}

export async function heartbeat(focus: Focus, options: SettleOptions & { ttl?: number }, id: string): Promise<void> {
  const body = { ...accountOf(options), ...(options.ttl !== undefined && { ttl_seconds: options.ttl }) }
  const answer = await focus.ask(
    (api) => api.POST('/api/jobs/{id}/heartbeat', { params: { path: { id } }, body }),
    credentialsFor(options),
  )
  if (focus.json) return printJson(answer)
  print(line`The hold now expires at ${moment(answer.job.expires_at)}.`)
}
