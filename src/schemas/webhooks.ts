import { Type } from '@sinclair/typebox'
import { EVENTS } from '../webhooks/outbox.ts'
import { Credits, EXAMPLE_ID, EXAMPLE_TIME, Id, Metadata, nullable, oneOf, Timestamp } from './primitives.ts'

export const WebhookEvent = oneOf(EVENTS)

export const WebhookEndpoint = Type.Object(
  {
    id: Id,
    app_slug: Type.String(),
    url: Type.String(),
    events: Type.Array(WebhookEvent),
    low_credits: Credits({ description: 'account.low is sent when the spendable credits fall below this' }),
    created_at: Timestamp,
  },
  {
    $id: 'WebhookEndpoint',
    examples: [
      {
        id: EXAMPLE_ID,
        app_slug: 'video',
        url: 'https://video.example.com/hooks/focus',
        events: ['job.completed', 'job.failed'],
        low_credits: 0,
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)

export const WebhookMessage = Type.Object(
  {
    id: Type.String({ format: 'uuid', description: 'The webhook-id header of every attempt' }),
    account_id: Id,
    endpoint_id: Id,
    event: WebhookEvent,
    payload: Metadata,
    attempts: Type.Integer(),
    last_error: nullable(Type.String()),
    created_at: Timestamp,
  },
  {
    $id: 'WebhookMessage',
    examples: [
      {
        id: EXAMPLE_ID,
        account_id: EXAMPLE_ID,
        endpoint_id: EXAMPLE_ID,
        event: 'job.failed',
        payload: { type: 'job.failed', timestamp: EXAMPLE_TIME, data: { account_id: EXAMPLE_ID, credits: 5 } },
        attempts: 18,
        last_error: 'Answered 500.',
        created_at: EXAMPLE_TIME,
      },
    ],
  },
)
