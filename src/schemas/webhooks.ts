import { Type } from '@sinclair/typebox'
import { EVENTS } from '../webhooks/outbox.ts'
import { TEST_EVENT } from '../webhooks/queue.ts'
import {
  Credits,
  EXAMPLE_ID,
  EXAMPLE_TIME,
  Id,
  Metadata,
  NullableTimestamp,
  nullable,
  oneOf,
  Timestamp,
} from './primitives.ts'

export const WebhookEvent = oneOf(EVENTS)

export const WebhookEndpoint = Type.Object(
  {
    id: Id,
    app_slug: Type.String(),
    url: Type.String(),
    events: Type.Array(WebhookEvent),
    low_credits: Credits({
      description:
        'account.low is sent when credits and holds together fall below this, account.recovered when they reach it again',
    }),
    paused: Type.Boolean({ description: 'Its messages wait until it is resumed' }),
    pause_reason: nullable(
      oneOf(['operator', 'gone'], { description: 'gone: it answered 410, so it was paused by the service' }),
    ),
    failures: Type.Integer({ description: 'Failed attempts since the last that succeeded' }),
    failing_since: NullableTimestamp,
    retry_at: Type.Unsafe<Date | null>({ ...NullableTimestamp, description: 'When a failing endpoint is tried again' }),
    last_error: nullable(Type.String()),
    previous_secret_until: Type.Unsafe<Date | null>({
      ...NullableTimestamp,
      description: 'Until then the secret before the last rotation signs as well',
    }),
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
        paused: false,
        pause_reason: null,
        failures: 0,
        failing_since: null,
        retry_at: null,
        last_error: null,
        previous_secret_until: null,
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

export const WebhookDelivery = Type.Object(
  {
    id: Id,
    message_id: Type.String({ format: 'uuid', description: 'The webhook-id header' }),
    account_id: Id,
    event: oneOf([...EVENTS, TEST_EVENT]),
    attempt: Type.Integer({ description: 'The number of this attempt; the first is 1' }),
    attempted_at: Timestamp,
    ms: Type.Integer({ description: 'How long it took, in ms' }),
    status: nullable(Type.Integer({ description: 'HTTP status of the answer; null: there was no answer' })),
    answer: nullable(Type.String({ description: 'The first 200 characters of its body' })),
    error: nullable(Type.String({ description: 'Why the attempt failed; null: the message was delivered' })),
    next_attempt_at: Type.Unsafe<Date | null>({
      ...NullableTimestamp,
      description: 'When the next attempt was due; null: there was none to follow',
    }),
  },
  {
    $id: 'WebhookDelivery',
    description: 'One attempt to deliver a message',
    examples: [
      {
        id: EXAMPLE_ID,
        message_id: EXAMPLE_ID,
        account_id: EXAMPLE_ID,
        event: 'job.failed',
        attempt: 1,
        attempted_at: EXAMPLE_TIME,
        ms: 41,
        status: 500,
        answer: 'database is locked',
        error: 'Answered 500.',
        next_attempt_at: EXAMPLE_TIME,
      },
    ],
  },
)
