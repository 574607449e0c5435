import type { FastifyInstance } from 'fastify'
import { badField } from '../../../http/catalogue.ts'
import {
  createEndpoint,
  deleteEndpoint,
  type EndpointSettings,
  endpointUrl,
  rotateSecret,
  updateEndpoint,
} from '../../../operator/endpoint-changes.ts'
import { sendTest, settleDead } from '../../../operator/message-changes.ts'
import { EVENTS } from '../../../webhooks/outbox.ts'
import { creditsText } from '../words.ts'
import { findApp } from './app-reads.ts'
import { type Asked, addChange, type Change, type Plan } from './changes.ts'
import { countText, listText, ONCE } from './console-words.ts'
import { addEndpointForm, endpointForm } from './endpoint-forms.ts'
import type { Fields } from './forms.ts'
import { HELP } from './help.ts'
import { type EndpointRow, findEndpoint } from './webhook-reads.ts'

/** What can be done with webhook endpoints: the operations of /api/admin/webhooks. */
export function addWebhookChanges(app: FastifyInstance): void {
  const common = { section: 'webhooks', help: HELP.webhooks } as const

  addChange(app, {
    ...{ path: '/console/apps/:slug/webhooks', ...common },
    form: async ({ params }) => addEndpointForm(await findApp(app.db, params.slug ?? '')),
    async plan({ params, fields }) {
      const { slug } = await findApp(app.db, params.slug ?? '')
      const body = settingsOf(fields, app.config.production)
      return {
        title: `Add an endpoint to ${slug}?`,
        effects: [
          `${body.url} is told of ${listText(body.events)}, from within two seconds.`,
          ...('low_credits' in body ? [`The mark is ${creditsText(body.low_credits ?? 0)}, holds included.`] : []),
          ONCE('secret that signs the messages'),
        ],
        button: 'Add it',
        lost: 'Where it was not copied, open the endpoint and make a new secret.',
        back: `/console/apps/${slug}`,
        async act({ actor }) {
          const { secret } = await createEndpoint(app, actor, slug, body)
          return secretOf(secret)
        },
      }
    },
  })

  /** Adds a change of one endpoint. */
  const ofEndpoint = (
    name: string,
    plan: (endpoint: EndpointRow, asked: Asked) => Omit<Plan, 'back' | 'state'> & { back?: string },
    more: Pick<Change, 'form'> = {},
  ) =>
    addChange(app, {
      ...{ path: `/console/webhooks/:id/${name}`, ...common, ...more },
      async plan(asked) {
        const endpoint = await findEndpoint(app.db, asked.params.id ?? '')
        const { url, events, low_credits, paused_at, secret_mark } = endpoint
        return {
          back: `/console/webhooks/${endpoint.id}`,
          state: [url, events, low_credits, paused_at, secret_mark],
          ...plan(endpoint, asked),
        }
      },
    })

  ofEndpoint(
    'settings',
    (endpoint, { fields }) => {
      const body = settingsOf(fields, app.config.production)
      const effects = differences(endpoint, body)
      if (!effects.length) throw badField('form', 'says what is there already: nothing is to be changed')
      return {
        ...{ title: 'Change this endpoint?', effects, button: 'Change it' },
        async act({ actor }) {
          await updateEndpoint(app, actor, endpoint.id, body)
          return { notice: `Changed. ${effects.join(' ')}` }
        },
      }
    },
    { form: async ({ params }) => endpointForm(await findEndpoint(app.db, params.id ?? '')) },
  )

  const setPaused = (paused: boolean) => (endpoint: EndpointRow) => ({
    title: paused ? 'Pause this endpoint?' : 'Resume this endpoint?',
    effects: paused
      ? ['Nothing is sent to it. Its messages wait, each for three days at most.']
      : [
          `${countText(endpoint.waiting, 'message')} that waited ${endpoint.waiting === 1 ? 'is' : 'are'} sent at once.`,
        ],
    button: paused ? 'Pause it' : 'Resume it',
    async act({ actor }: Parameters<Plan['act']>[0]) {
      await updateEndpoint(app, actor, endpoint.id, { paused })
      return { notice: paused ? 'Paused. Its messages wait.' : 'Resumed. Its messages are sent now.' }
    },
  })
  ofEndpoint('pause', setPaused(true))
  ofEndpoint('resume', setPaused(false))

  ofEndpoint('try', (endpoint) => ({
    title: 'Try again now?',
    effects: [
      `The wait after ${countText(endpoint.failures, 'failed attempt')} ends, and ${countText(endpoint.waiting, 'message')} ${endpoint.waiting === 1 ? 'is' : 'are'} sent to ${endpoint.url}. Do it when the receiver is mended.`,
    ],
    button: 'Try now',
    async act({ actor }) {
      await updateEndpoint(app, actor, endpoint.id, { paused: false })
      return { notice: 'It is tried now. The answers stand below within seconds: reload the page.' }
    },
  }))

  ofEndpoint('test', (endpoint) => ({
    title: 'Send a test message?',
    effects: [`A message of the type "test" is sent to ${endpoint.url}, once, also while it is paused.`],
    button: 'Send it',
    async act({ actor }) {
      await sendTest(app.db, actor, endpoint.id)
      return { notice: 'Sent. Its delivery stands below within seconds: reload the page.' }
    },
  }))

  ofEndpoint('rotate', (endpoint) => ({
    title: 'Make a new secret?',
    effects: [
      ONCE('new secret'),
      'Messages are signed with both for 24 hours, so that the receiver can change over. After that the present one stops.',
    ],
    button: 'Make a new secret',
    lost: 'Where it was not copied, make another one at the page of the endpoint.',
    async act({ actor }) {
      return secretOf(await rotateSecret(app, actor, endpoint.id))
    },
  }))

  ofEndpoint('remove', (endpoint) => ({
    title: 'Remove this endpoint?',
    effects: [
      `Nothing is sent to ${endpoint.url} any more.`,
      `${countText(endpoint.waiting + endpoint.dead, 'message')} that it has not received ${endpoint.waiting + endpoint.dead === 1 ? 'is' : 'are'} deleted. This cannot be undone.`,
    ],
    grave: true,
    button: 'Remove it',
    next: `/console/apps/${endpoint.app_slug}`,
    async act({ actor }) {
      await deleteEndpoint(app, actor, endpoint.id)
      return { notice: `The endpoint ${endpoint.url} is removed.` }
    },
  }))

  ofEndpoint('replay', (endpoint) => ({
    title: 'Send the lost messages again?',
    effects: [
      `${countText(endpoint.dead, 'message')} ${endpoint.dead === 1 ? 'is' : 'are'} tried for another three days, each with the id that it had, so that a receiver can tell repeats.`,
    ],
    button: 'Send them again',
    async act({ actor }) {
      const { count, more } = await settleDead(app.db, actor, 'replay', endpoint.id)
      return {
        notice: `${countText(count, 'message')} will be sent again.${more ? ' There are more: do it once more.' : ''}`,
      }
    },
  }))

  ofEndpoint('dismiss', (endpoint) => ({
    title: 'Delete the lost messages?',
    effects: [
      `${countText(endpoint.dead, 'message')} ${endpoint.dead === 1 ? 'is' : 'are'} deleted; ${endpoint.url} never learns of them. This cannot be undone.`,
    ],
    grave: true,
    button: 'Delete them',
    async act({ actor }) {
      const { count, more } = await settleDead(app.db, actor, 'dismiss', endpoint.id)
      return { notice: `${countText(count, 'message')} deleted.${more ? ' There are more: do it once more.' : ''}` }
    },
  }))
}

/** @throws {ApiError} 400 */
function settingsOf(fields: Fields, production: boolean): EndpointSettings {
  const url = endpointUrl(fields.text('url'), production)
  const ticked = fields.ticked('events')
  const events = EVENTS.filter((event) => ticked.includes(event))
  if (!events.length) throw badField('events', 'must have at least one that is ticked')
  const low = fields.text('low_credits')
  const low_credits = fields.number('low_credits')
  if (low && !(low_credits >= 0)) throw badField('low_credits', 'must be a whole number, 0 or more')
  return { url, events, ...(low && { low_credits }) }
}

function differences(before: EndpointRow, after: EndpointSettings): string[] {
  const added = after.events.filter((event) => !before.events.includes(event))
  const removed = before.events.filter((event) => !after.events.some((kept) => kept === event))
  const mark = after.low_credits
  return [
    ...(after.url !== before.url
      ? [`The address: ${before.url} → ${after.url}. Waiting messages are sent there at once.`]
      : []),
    ...(added.length ? [`It is also told of ${listText(added)}.`] : []),
    ...(removed.length ? [`It is no longer told of ${listText(removed)}.`] : []),
    ...(mark !== undefined && mark !== before.low_credits
      ? [`The mark: ${creditsText(before.low_credits)} → ${creditsText(mark)}.`]
      : []),
  ]
}

const secretOf = (secret: string) => ({
  title: 'The secret of this endpoint',
  label: 'Webhook secret',
  secret,
  text: 'The receiver checks the signature of each message with it (Standard Webhooks).',
})
