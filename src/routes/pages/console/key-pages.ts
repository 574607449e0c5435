import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { accountIdOf } from '../../../accounts/account-id.ts'
import { badField, serviceKeyNotFound } from '../../../http/catalogue.ts'
import { createServiceKey, revokeServiceKey } from '../../../operator/packs-and-keys.ts'
import { titlesOf } from './account-reads.ts'
import { personCell } from './account-rows.ts'
import { button, text, time } from './cells.ts'
import { addChange } from './changes.ts'
import { ONCE } from './console-words.ts'
import { type Form, NAMED, REQUIRED } from './forms.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table } from './table.ts'

/** Keys of the operator's own servers. */
export const keyPages: FastifyPluginAsyncTypebox = async (app) => {
  const common = { section: 'keys', help: HELP.keys } as const

  const liveKeys = () =>
    app.db
      .selectFrom('service_keys')
      .select(['id', 'name', 'scopes', 'last_four', 'created_at', 'created_by', 'last_used_at'])
      .where('revoked_at', 'is', null)
      .orderBy('id')

  app.get('/console/keys', { schema: { hide: true } }, async (request, reply) => {
    const keys = await liveKeys().execute()
    const titles = await titlesOf(
      app.db,
      keys.map(({ created_by }) => accountIdOf(created_by)),
    )
    return consolePage(request, reply, 'keys', {
      title: 'Service keys',
      ...common,
      form: keyForm(),
      table: table(request, {
        caption: 'Live service keys',
        columns: ['Key', 'May', 'Made by', 'Made', 'Last used', ''],
        empty: 'None. A server of yours that takes payments needs one to post top-ups: make it below.',
        rows: keys.map((key) => [
          text(key.name, { note: `focus_key_…${key.last_four}` }),
          text(key.scopes.map((scope) => (scope === 'topup' ? 'post top-ups' : scope)).join(', ')),
          personCell(accountIdOf(key.created_by), titles),
          time(key.created_at),
          key.last_used_at ? time(key.last_used_at) : text('never'),
          button('Revoke', `/console/keys/${key.id}/revoke`, `the key of ${key.name}`),
        ]),
      }),
    })
  })

  addChange(app, {
    ...{ path: '/console/keys', ...common },
    form: keyForm,
    async plan({ fields }) {
      const name = fields.name()
      if (!name || name.length > 200)
        throw badField('name', 'must say which server has the key, in 200 characters at most')
      return {
        title: `Make a service key for ${name}?`,
        effects: ['Whoever has it can post top-ups to any account, and nothing else.', ONCE('key')],
        button: 'Make it',
        back: '/console/keys',
        lost: 'Where it was not copied, revoke it at the page of the keys and make another one.',
        async act({ actor }) {
          const given = { name, scopes: ['topup'] }
          const { key } = await createServiceKey(app.db, actor, given)
          return {
            title: `The key of ${name}`,
            label: 'Service key',
            secret: key,
            text: 'The server sends it as Authorization: Bearer. Keep it on that server.',
          }
        },
      }
    },
  })

  addChange(app, {
    ...{ path: '/console/keys/:id/revoke', ...common },
    async plan({ params: { id = '' } }) {
      const key = (await liveKeys().execute()).find((one) => one.id === id)
      if (!key) throw serviceKeyNotFound()
      return {
        title: `Revoke the key of ${key.name}?`,
        effects: [`focus_key_…${key.last_four} stops working at once, everywhere. This cannot be undone.`],
        ...{ button: 'Revoke it', back: '/console/keys', grave: true },
        async act({ actor }) {
          await revokeServiceKey(app.db, actor, key.id)
          return { notice: `The key of ${key.name} is revoked.` }
        },
      }
    },
  })
}

const keyForm = (): Form => ({
  ...{ id: 'key', title: 'Make a key', action: '/console/keys', back: '/console/keys' },
  fields: [
    {
      ...{ name: 'name', label: 'Name', hint: 'Which server has it.' },
      attributes: { ...REQUIRED, ...NAMED, placeholder: 'Payment server' },
    },
  ],
})
