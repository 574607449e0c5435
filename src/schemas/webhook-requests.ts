import { PERIODS } from '../ledger/budgets.ts'
import { EVENTS, type Event } from '../webhooks/outbox.ts'

/** When each event is sent. */
const SENT: Record<Event, { operationId: string; summary: string; job?: 'always' | 'perhaps' }> = {
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
    summary: "What the account owns (credits and holds) rose to the endpoint's `low_credits` or above",
    job: 'perhaps',
  },
  'budget.low': {
    operationId: 'onBudgetLow',
    summary: 'A token or grant has spent 80 % of its budget; once a period',
  },
  'budget.exceeded': {
    operationId: 'onBudgetExceeded',
    summary: 'A job of a token or grant was refused, or ended, beyond its budget; once a period',
  },
}

const budget = {
  type: 'object',
  required: ['id', 'amount', 'spent', 'period', 'resets_at'],
  properties: {
    id: { type: 'string', format: 'uuid', description: 'The id of the token or grant' },
    amount: { type: 'integer', description: 'Credits that it may spend' },
    spent: { type: 'integer', description: 'What its jobs hold and cost; with a period, in the current one' },
    period: { type: 'string', nullable: true, enum: [...PERIODS, null] },
    resets_at: {
      type: 'string',
      format: 'date-time',
      nullable: true,
      description: 'When the budget is reset; null: never',
    },
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
      required: ['account_id', 'credits', 'held', 'seq', ...(job === 'always' ? ['job'] : job ? [] : ['budget'])],
      properties: {
        account_id: { type: 'string', format: 'uuid' },
        credits: { type: 'integer', description: 'Credits that can be spent after the event' },
        held: { type: 'integer', description: 'Credits that jobs hold after the event' },
        seq: { type: 'integer', description: "The number of the account's last entry: a larger one is newer" },
        ...(job ? { job: { $ref: '#/components/schemas/Job' } } : { budget }),
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
        'Signed as the Standard Webhooks specification says. Delivered at least once and in no particular order; `webhook-id` is the same at every attempt.',
      security: [],
      parameters: [
        header('webhook-id', 'The id of the message'),
        header('webhook-timestamp', 'The time of this attempt, in seconds since 1970'),
        header('webhook-signature', '`v1,` and the base64 of an HMAC-SHA256 with the secret of the endpoint'),
      ],
      requestBody: { required: true, content: { 'application/json': { schema: payload } } },
      responses: {
        '2XX': { description: 'Received' },
        '410': { description: 'The endpoint is paused; the message waits' },
        '4XX': { description: 'As with any answer other than a 2xx, the message is sent again, for three days' },
      },
    }
    return [event, { post }]
  }),
)
