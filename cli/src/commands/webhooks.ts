import { setTimeout as sleep } from 'node:timers/promises'
import type { components } from '../../../client/src/api-types.d.ts'
import { EXIT, Failure, usage } from '../failure.ts'
import type { Focus } from '../focus.ts'
import { line, moment, print, printFields, printJson, printTable, remark } from '../output.ts'

type Endpoint = components['schemas']['WebhookEndpoint']
type Delivery = components['schemas']['WebhookDelivery']

/** How long `test` waits for its delivery, and how often it asks, in ms. The receiver has 15 s. */
const TEST_MS = 20_000
const LOOK_MS = 500

const at = (id: string) => ({ params: { path: { id } } })

export async function list(focus: Focus, _: object, slug: string): Promise<void> {
  const params = { params: { path: { slug } } }
  const answer = await focus.ask((api) => api.GET('/api/admin/apps/{slug}/webhooks', params))
  if (focus.json) return printJson(answer)
  if (!answer.endpoints.length) return remark(line`${slug} has no webhook endpoints.`)
  await printTable(
    [
      { title: 'id', value: ({ id }) => id },
      { title: 'state', value: stateOf },
      { title: 'url', value: ({ url }) => url, shrinks: true },
      { title: 'events', value: ({ events }) => events.join(' '), shrinks: true },
    ],
    answer.endpoints,
  )
}

export async function show(focus: Focus, _: object, id: string): Promise<void> {
  report(focus, await focus.ask((api) => api.GET('/api/admin/webhooks/{id}', at(id))))
}

interface Settings {
  url?: string
  event?: Endpoint['events']
  lowCredits?: number
}

const bodyOf = ({ url, event, lowCredits }: Settings) => ({
  ...(url !== undefined && { url }),
  ...(event && { events: event }),
  ...(lowCredits !== undefined && { low_credits: lowCredits }),
})

export async function create(focus: Focus, options: Required<Settings>, slug: string): Promise<void> {
  const body = { url: options.url, events: options.event, ...bodyOf(options) }
  const params = { params: { path: { slug } }, body }
  const answer = await focus.ask((api) => api.POST('/api/admin/apps/{slug}/webhooks', params))
  report(focus, answer)
}

export async function change(focus: Focus, options: Settings, id: string): Promise<void> {
  const body = bodyOf(options)
  if (Object.keys(body).length === 0) throw usage('Nothing to change: give --url, --event or --low-credits')
  report(focus, await focus.ask((api) => api.PATCH('/api/admin/webhooks/{id}', { ...at(id), body })))
}

/** Pauses or resumes. */
export const pause =
  (paused: boolean) =>
  async (focus: Focus, _: object, id: string): Promise<void> =>
    report(focus, await focus.ask((api) => api.PATCH('/api/admin/webhooks/{id}', { ...at(id), body: { paused } })))

function report(focus: Focus, answer: { endpoint: Endpoint; secret?: string }): void {
  if (focus.json) {
    printJson(answer)
    return
  }
  const { endpoint, secret } = answer
  printFields({
    Endpoint: endpoint.id,
    App: endpoint.app_slug,
    URL: endpoint.url,
    Events: endpoint.events.join(' '),
    'Low credits': endpoint.low_credits,
    State: stateOf(endpoint),
    'Failing since': endpoint.failing_since ? moment(endpoint.failing_since) : undefined,
    'Next try': endpoint.retry_at ? moment(endpoint.retry_at) : undefined,
    'Last error': endpoint.last_error ?? undefined,
    'Old secret until': endpoint.previous_secret_until ? moment(endpoint.previous_secret_until) : undefined,
    Secret: secret,
  })
  if (secret) remark(line`${SHOWN_ONCE}`)
}

const SHOWN_ONCE = 'The secret is shown only once. Store it at the receiver.'

function stateOf({ paused, pause_reason, failures }: Endpoint): string {
  if (paused) return pause_reason === 'gone' ? 'paused (it answered 410)' : 'paused'
  return failures > 0 ? `failing (${failures})` : 'ok'
}

export async function rotate(focus: Focus, _: object, id: string): Promise<void> {
  const answer = await focus.ask((api) => api.POST('/api/admin/webhooks/{id}/rotate', at(id)))
  if (focus.json) return printJson(answer)
  print(line`${answer.secret}`)
  remark(line`${SHOWN_ONCE} For 24 hours the old one signs as well.`)
}

/** Sends a test message and waits for its delivery. @throws {Failure} test_failed, unless the receiver answered 2xx */
export async function test(focus: Focus, _: object, id: string): Promise<void> {
  const { message_id } = await focus.ask((api) => api.POST('/api/admin/webhooks/{id}/test', at(id)))
  let delivery: Delivery | undefined
  for (const end = performance.now() + TEST_MS; !delivery && performance.now() < end; ) {
    await sleep(LOOK_MS)
    const { deliveries } = await focus.ask((api) => api.GET('/api/admin/webhooks/{id}/deliveries', at(id)))
    delivery = deliveries.find((attempt) => attempt.message_id === message_id)
  }
  if (focus.json) printJson({ message_id, delivery: delivery ?? null })
  else if (delivery) {
    const { status, ms, answer } = delivery
    printFields({ Message: message_id, Status: status ?? undefined, Took: `${ms} ms`, Answer: answer ?? undefined })
  }
  if (delivery?.error === null) return
  throw new Failure('test_failed', delivery?.error ?? 'The message was not sent yet', {
    exitCode: EXIT.failed,
    hint: `Look at ${focus.hint('admin', 'webhooks', 'deliveries', id)}`,
  })
}

interface ListOptions {
  limit?: number
  cursor?: string
}

export async function deliveries(focus: Focus, query: ListOptions, id: string): Promise<void> {
  const params = { params: { path: { id }, query } }
  const answer = await focus.ask((api) => api.GET('/api/admin/webhooks/{id}/deliveries', params))
  if (focus.json) return printJson(answer)
  if (!answer.deliveries.length) return remark(line`No deliveries in the last seven days.`)
  await printTable(
    [
      { title: 'attempted', value: ({ attempted_at }) => moment(attempted_at) },
      { title: 'event', value: ({ event }) => event },
      { title: 'attempt', value: ({ attempt }) => attempt },
      { title: 'status', value: ({ status }) => status },
      { title: 'ms', value: ({ ms }) => ms },
      { title: 'next try', value: ({ next_attempt_at }) => moment(next_attempt_at) },
      { title: 'answer', value: ({ error, answer }) => answer || error, shrinks: true },
      { title: 'message', value: ({ message_id }) => message_id },
    ],
    answer.deliveries,
  )
  if (!answer.next_cursor) return
  const limit = query.limit === undefined ? [] : ['--limit', `${query.limit}`]
  remark(
    line`Older: ${focus.hint(...['admin', 'webhooks', 'deliveries', id], ...limit, '--cursor', answer.next_cursor)}`,
  )
}

export async function dead(focus: Focus, { limit }: ListOptions, id: string): Promise<void> {
  const query = { endpoint_id: id, ...(limit !== undefined && { limit }) }
  const answer = await focus.ask((api) => api.GET('/api/admin/webhooks/dead', { params: { query } }))
  if (focus.json) return printJson(answer)
  if (!answer.messages.length) return remark(line`No dead messages.`)
  await printTable(
    [
      { title: 'message', value: ({ id }) => id },
      { title: 'event', value: ({ event }) => event },
      { title: 'created', value: ({ created_at }) => moment(created_at) },
      { title: 'attempts', value: ({ attempts }) => attempts },
      { title: 'last error', value: ({ last_error }) => last_error, shrinks: true },
    ],
    answer.messages,
  )
}

interface Which {
  message?: string
}

const whichOf = (endpoint_id: string, { message }: Which) => ({
  body: { endpoint_id, ...(message && { message_id: message }) },
})

export async function replay(focus: Focus, options: Which, id: string): Promise<void> {
  const answer = await focus.ask((api) => api.POST('/api/admin/webhooks/replay', whichOf(id, options)))
  if (focus.json) return printJson(answer)
  print(line`${messagesText(answer.replayed)} will be sent again.`)
  if (answer.more) remark(line`${MORE}`)
}

export async function dismiss(focus: Focus, options: Which, id: string): Promise<void> {
  const answer = await focus.ask((api) => api.POST('/api/admin/webhooks/dismiss', whichOf(id, options)))
  if (focus.json) return printJson(answer)
  print(line`${messagesText(answer.dismissed)} deleted.`)
  if (answer.more) remark(line`${MORE}`)
}

const MORE = 'There are more. Repeat the command.'
const messagesText = (count: number) => `${count} ${count === 1 ? 'message' : 'messages'}`

export async function remove(focus: Focus, _: object, id: string): Promise<void> {
  await focus.ask((api) => api.DELETE('/api/admin/webhooks/{id}', at(id)))
  if (focus.json) return printJson({})
  print(line`Removed, with its undelivered messages.`)
}
