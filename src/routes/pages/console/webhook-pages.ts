import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { Uuid } from '../../../schemas/primitives.ts'
import { amountText, timeText } from '../words.ts'
import { titlesOf } from './account-reads.ts'
import { personCell } from './account-rows.ts'
import { amount, type Cell, code, fact, id as idCell, state, text, time } from './cells.ts'
import { countText } from './console-words.ts'
import { endpointForm } from './endpoint-forms.ts'
import { ENDPOINT_COLUMNS, endpointCells, nextTry } from './endpoint-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table } from './table.ts'
import { addWebhookChanges } from './webhook-changes.ts'
import { endpointState, findEndpoint, listAttempts, listDead, listEndpoints } from './webhook-reads.ts'

const ATTEMPTS_ON_A_PAGE = 25
const DEAD_ON_A_PAGE = 25

/** Endpoints of all apps, and one with its deliveries. */
export const webhookPages: FastifyPluginAsyncTypebox = async (app) => {
  addWebhookChanges(app)

  app.get('/console/webhooks', { schema: { hide: true } }, async (request, reply) => {
    const endpoints = await listEndpoints(app.db)
    return consolePage(request, reply, 'webhooks', {
      title: 'Webhooks',
      section: 'webhooks',
      help: HELP.webhooks,
      table: table(request, {
        caption: 'Webhook endpoints of all apps',
        columns: ENDPOINT_COLUMNS,
        empty: 'Endpoints of apps appear here, those that fail first. Open an app to add one.',
        rows: endpoints.map(endpointCells),
      }),
    })
  })

  app.get(
    '/console/webhooks/:id',
    {
      schema: {
        hide: true,
        params: Type.Object({ id: Uuid }),
        querystring: Type.Object({ cursor: Type.Optional(Uuid) }),
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const endpoint = await findEndpoint(app.db, id)
      const [attempts, dead] = await Promise.all([
        listAttempts(app.db, id, request.query.cursor, ATTEMPTS_ON_A_PAGE + 1),
        listDead(app.db, id, DEAD_ON_A_PAGE),
      ])
      const shown = attempts.slice(0, ATTEMPTS_ON_A_PAGE)
      const titles = await titlesOf(
        app.db,
        [...shown, ...dead].map(({ account_id }) => account_id),
      )
      const { previous_secret_until: until } = endpoint
      return consolePage(request, reply, 'webhook', {
        title: endpoint.url,
        section: 'webhooks',
        up: { href: `/console/apps/${endpoint.app_slug}`, text: endpoint.app_slug },
        help: HELP.webhooks,
        endpoint,
        facts: [
          fact('State', state(endpointState(endpoint)), ...(endpoint.last_error ? [text(endpoint.last_error)] : [])),
          fact('Waiting', text(countText(endpoint.waiting, 'message'))),
          fact('Lost', text(countText(endpoint.dead, 'message'))),
          fact('Next try', nextTry(endpoint)),
          fact('Failing since', time(endpoint.failing_since)),
          fact('Made', time(endpoint.created_at)),
          fact('Id', idCell(endpoint.id)),
          fact('Old secret', text(until && until > new Date() ? `also signs, until ${timeText(until)}` : 'none')),
        ],
        form: endpointForm(endpoint),
        dead_count: amountText(endpoint.dead),
        dead: table(request, {
          caption: 'Messages that were given up',
          columns: ['Message', 'Event', 'Account', { text: 'Attempts', number: true }, 'Last error', 'Written'],
          empty: 'None. A message that is not delivered within three days appears here, and stays for 30 days.',
          rows: dead.map((message) => [
            idCell(message.id),
            code(message.event),
            personCell(message.account_id, titles),
            amount(message.attempts),
            text(message.last_error),
            time(message.created_at),
          ]),
        }),
        deliveries: table(request, {
          caption: 'Deliveries',
          columns: ['When', 'Event', 'Answer', { text: 'ms', number: true }, 'Account', 'Message', 'Next try'],
          empty: 'None in the last seven days. Send a test message to see how the endpoint answers.',
          next_cursor: attempts.length > shown.length ? (shown.at(-1)?.id ?? null) : null,
          rows: shown.map((attempt) => [
            time(attempt.attempted_at),
            code(attempt.event, { note: attempt.attempt > 1 ? `attempt ${attempt.attempt}` : undefined }),
            answerCell(attempt),
            amount(attempt.ms),
            personCell(attempt.account_id, titles),
            idCell(attempt.message_id),
            attempt.next_attempt_at ? nextTry(endpoint, attempt.next_attempt_at) : text(null),
          ]),
        }),
      })
    },
  )
}

function answerCell({
  status,
  answer,
  error,
}: {
  status: number | null
  answer: string | null
  error: string | null
}): Cell {
  const good = status !== null && status >= 200 && status < 300
  const word = status === null ? 'no answer' : String(status)
  return {
    ...state({ word, style: good ? 'done-well' : 'failed' }),
    // The log has no more than 200 characters of an answer.
    note: [error, answer && `It said: ${answer.slice(0, 200)}`].filter(Boolean).join(' ') || undefined,
  }
}
