import { EVENTS, type Event } from '../webhooks/outbox.ts'

/** When each event is sent. */
const SENT: Record<Event, { operationId: string; summary: string; job: 'always' | 'perhaps' }> = {
  'job.completed': { operationId: 'onJobCompleted', summary: 'A job of the app was completed', job: 'always' },
  'job.failed': {
    operationId: 'onJobFailed',
    summary: 'A job of the app failed, or its hold expired',
    job: 'always',
  },
  'account.negative': { operationId: 'onAccountNegative', summary: 'The credits fell below zero', job: 'perhaps' },
  'account.low': {
    operationId: 'onAccountLow',
    summary: "What the account owns (credits and holds) fell below the endpoint's `low_credits`",
    job: 'perhaps',
  },
  'account.recovered': {
    operationId: 'onAccountRecovered',
    summary: "What the account owns (credits and holds) came back to the endpoint's `low_credits` or above",
    job: 'perhaps',
  },
}

const header = (name: string, description: string) => ({
  in: 'header',
  name,
  required: true,
  description,
  schema: { type: 'string' },
})

/** The requests that this service sends to an endpoint, as `x-webhooks` of the document. */
export const webhookOperations = Object.fromEntries(
  EVENTS.map((event) => {
    const { operationId, summary, job } = SENT[event]
    const data = {
      type: 'object',
      required: ['account_id', 'credits', 'held', 'seq', ...(job === 'always' ? ['job'] : [])],
      properties: {
        account_id: { type: 'string', format: 'uuid' },
        credits: { type: 'integer', description: 'Credits that can be spent after the event' },
        held: { type: 'integer', description: 'Credits that jobs hold after the event' },
        seq: { type: 'integer', description: "The number of the account's last entry: a larger one is newer" },
        job: { $ref: '#/components/schemas/Job' },
      },
    }
    const payload = {
      type: 'object',
      required: ['type', 'timestamp', 'data'],
      properties: {
        type: { type: 'string', enum: [event] },
        timestamp: { type: 'string', format: 'date-time' },
        data,
      },
    }
    const post = {
      operationId,
      tags: ['Webhooks'],
      summary,
      description:
        'Signed as Standard Webhooks says. Delivered at least once and in no particular order; `webhook-id` is the same at every attempt.',
      security: [],
      parameters: [
        header('webhook-id', 'The id of the message'),
        header('webhook-timestamp', 'Seconds since 1970, of this attempt'),
        header('webhook-signature', 'v1, and the base64 of an HMAC-SHA256 by the secret of the endpoint'),
      ],
      requestBody: { required: true, content: { 'application/json': { schema: payload } } },
      responses: {
        '2XX': { description: 'Received' },
        '410': { description: 'The endpoint is paused; the message waits' },
        '4XX': { description: 'Like any other answer but a 2xx: the message is sent again, for three days' },
      },
    }
    return [event, { post }]
  }),
)
