/** What a webhook endpoint can be told, as a form says it. */
export const EVENT_CHOICES = [
  { event: 'job.completed', text: 'A job is completed' },
  { event: 'job.failed', text: 'A job fails or its hold expires' },
  { event: 'account.low', text: 'A person falls below the mark' },
  { event: 'account.recovered', text: 'A person is above the mark again' },
  { event: 'account.negative', text: 'A person falls below zero' },
]
