import type { Event } from '../../../webhooks/outbox.ts'
import { type Form, numberField, REQUIRED } from './forms.ts'
import type { EndpointRow } from './webhook-reads.ts'

/** What webhook endpoints are added and changed by. */

const WORDS: Record<Event, string> = {
  'job.completed': 'A job is completed',
  'job.failed': 'A job fails or its hold expires',
  'account.low': 'A person falls below the mark',
  'account.recovered': 'A person is above the mark again',
  'account.negative': 'A person falls below zero',
  'budget.low': 'The budget of a token or an app runs low',
  'budget.exceeded': 'A budget has refused a job',
}

const fieldsOf = (url: string, events: string[], low_credits: string): Form['fields'] => [
  {
    ...{ name: 'url', label: 'URL', value: url },
    attributes: { ...REQUIRED, type: 'url', maxlength: '2048', placeholder: 'https://video.example.com/hooks/focus' },
  },
  {
    ...{
      name: 'events',
      label: 'Events',
      kind: 'several',
      value: events,
      hint: 'It is told when one of these happens.',
    },
    choices: Object.entries(WORDS).map(([value, text]) => ({ value, text, code: value })),
  },
  numberField('low_credits', 'Mark, in credits', {
    value: low_credits,
    hint: 'Needed for account.low and account.recovered.',
  }),
]

export const addEndpointForm = ({ slug, name }: { slug: string; name: string | null }): Form => ({
  ...{ id: 'endpoint', title: `Add an endpoint to ${name ?? slug}`, back: `/console/apps/${slug}` },
  action: `/console/apps/${slug}/webhooks`,
  fields: fieldsOf('', ['job.completed', 'job.failed'], ''),
})

export const endpointForm = ({ id, url, events, low_credits }: EndpointRow): Form => ({
  ...{ id: 'endpoint', title: `Settings of ${url}`, back: `/console/webhooks/${id}` },
  action: `/console/webhooks/${id}/settings`,
  fields: fieldsOf(url, events, String(low_credits)),
})
