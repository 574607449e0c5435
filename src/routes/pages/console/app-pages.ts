import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { Slug } from '../../../schemas/primitives.ts'
import { amountText, timeText } from '../words.ts'
import { addAppChanges } from './app-changes.ts'
import { addressesForm, registerForm, settingsForm } from './app-forms.ts'
import { countGranted, findApp, listApps } from './app-reads.ts'
import { amount, code, fact, text, time } from './cells.ts'
import { peopleText } from './console-words.ts'
import { addEndpointForm } from './endpoint-forms.ts'
import { ENDPOINT_COLUMNS, endpointCells } from './endpoint-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table } from './table.ts'
import { listEndpoints } from './webhook-reads.ts'

/** Registered apps: a list, and everything about one. */
export const appPages: FastifyPluginAsyncTypebox = async (app) => {
  addAppChanges(app)

  app.get('/console/apps', { schema: { hide: true } }, async (request, reply) => {
    const apps = await listApps(app.db)
    return consolePage(request, reply, 'apps', {
      title: 'Apps',
      section: 'apps',
      help: HELP.apps,
      form: registerForm(),
      table: table(request, {
        caption: 'Registered apps',
        columns: ['App', 'Origins', { text: 'Starter credits', number: true }, 'Settle key', 'Webhooks', 'Registered'],
        empty: 'Apps that you register appear here. Use the form below.',
        rows: apps.map((one) => [
          text(one.name ?? one.slug, { href: `/console/apps/${one.slug}`, note: one.slug }),
          text(one.origins[0], { note: one.origins.length > 1 ? `and ${one.origins.length - 1} more` : undefined }),
          amount(one.starter_credits),
          text(one.has_settle_key ? 'set' : 'none'),
          text(one.endpoints ? String(one.endpoints) : null),
          time(one.created_at),
        ]),
      }),
    })
  })

  app.get(
    '/console/apps/:slug',
    { schema: { hide: true, params: Type.Object({ slug: Slug }) } },
    async (request, reply) => {
      const { slug } = request.params
      const one = await findApp(app.db, slug)
      const [people, endpoints] = await Promise.all([countGranted(app.db, slug), listEndpoints(app.db, slug)])
      const previous = one.previous_settle_key_until
      return consolePage(request, reply, 'app', {
        title: one.name ?? one.slug,
        section: 'apps',
        up: { href: '/console/apps', text: 'Apps' },
        help: HELP.apps,
        app: one,
        facts: [
          fact('Slug', code(one.slug)),
          fact('Registered', time(one.created_at)),
          fact('Starter credits', text(amountText(one.starter_credits), { note: `${peopleText(people)} had some` })),
          fact('Settle key', text(one.has_settle_key ? 'set' : 'none: a person’s token can settle its jobs')),
          fact('Jobs', text('Latest jobs', { href: `/console/jobs?app=${slug}` })),
          fact('Changes', text('Audit log', { href: `/console/audit?target=app+${slug}` })),
        ],
        previous_until: previous && previous > new Date() ? timeText(previous) : undefined,
        links: { addresses: HELP.addresses, settleKey: HELP.settleKey },
        endpoints: table(request, {
          caption: 'Webhook endpoints',
          columns: ENDPOINT_COLUMNS,
          empty: 'No endpoint yet. An endpoint is told when jobs of this app end, and when people run low.',
          rows: endpoints.map(endpointCells),
        }),
        forms: { settings: settingsForm(one), addresses: addressesForm(one), endpoint: addEndpointForm(one) },
      })
    },
  )
}
