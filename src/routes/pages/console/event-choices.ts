import type { Event } from '../../../webhooks/outbox.ts'

const WORDS: Record<Event, string> = {
  'job.completed': 'A job is completed',
  'job.failed': 'A job fails or its hold expires',
  'account.low': 'A person falls below the mark',
  'account.recovered': 'A person is above the mark again',
  'account.negative': 'A person falls below zero',
  'budget.low': 'The budget of a token or an app runs low',
  'budget.exceeded': 'A budget has refused a job',
}

/** What a webhook endpoint can be told, as a form says it. */
export const EVENT_CHOICES = Object.entries(WORDS).map(([event, text]) => ({ event, text }))
