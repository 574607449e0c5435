import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import { badField, packNotFound } from '../../../http/catalogue.ts'
import { removePack, setPack } from '../../../operator/packs-and-keys.ts'
import { moneyText } from '../../../payments/money.ts'
import { checkPrice, listPacks } from '../../../payments/packs.ts'
import { PACK_BODY } from '../../../schemas/payments.ts'
import { creditsText } from '../words.ts'
import { amount, code, text, time } from './cells.ts'
import { addChange } from './changes.ts'
import { countText } from './console-words.ts'
import type { Fields } from './forms.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { packForm } from './pack-form.ts'
import { table } from './table.ts'

/** What people can buy. */
export const packPages: FastifyPluginAsyncTypebox = async (app) => {
  const common = { section: 'packs', help: HELP.packs } as const

  app.get('/console/packs', { schema: { hide: true } }, async (request, reply) => {
    const packs = await listPacks(app.db)
    const { change } = request.query as { change?: string }
    const changed = packs.find(({ slug }) => slug === change)
    return consolePage(request, reply, 'packs', {
      title: 'Packs',
      ...common,
      selling: app.payments?.provider.kind,
      changed,
      form: { ...packForm(changed), ...(changed && { cancel: '/console/packs' }) },
      table: table(request, {
        caption: 'Packs on sale',
        columns: [
          'Pack',
          { text: 'Credits', number: true },
          { text: 'Price', number: true },
          'Price at Stripe',
          'Changed',
        ],
        empty: 'Nothing is on sale. Packs that you add below can be bought at /buy.',
        rows: packs.map((pack) => [
          text(pack.name, { href: `/console/packs?change=${pack.slug}#sell`, note: pack.slug }),
          amount(pack.credits),
          { text: moneyText(pack.price, pack.currency), kind: 'number' },
          pack.stripe_price_id ? code(pack.stripe_price_id) : text(null),
          time(pack.updated_at),
        ]),
      }),
    })
  })

  addChange(app, {
    ...{ path: '/console/packs', ...common },
    form: async ({ fields }) => packForm((await listPacks(app.db)).find(({ slug }) => slug === fields.text('slug'))),
    async plan({ fields }) {
      const { slug, ...body } = packOf(fields)
      await checkPrice(app.payments, body)
      const before = (await listPacks(app.db)).find((pack) => pack.slug === slug)
      const words = ({ name, credits, price, currency }: Omit<typeof body, 'stripe_price_id'>) =>
        `${name}: ${creditsText(credits)} for ${moneyText(price, currency)}`
      const automatic = before ? await countAutomatic(slug) : 0
      const effects = before
        ? [`${words(before)} → ${words(body)}. Purchases that have begun keep their terms.`]
        : [`${words(body)} is on sale at once.`]
      if (automatic > 0) {
        effects.push(
          `${countText(automatic, 'automatic top-up')} of this pack pause${automatic === 1 ? 's' : ''} until the person agrees again, where credits, price or currency change.`,
        )
      }
      return {
        title: before ? `Change the pack ${slug}?` : `Sell the pack ${slug}?`,
        ...{ effects, button: before ? 'Change it' : 'Sell it', back: '/console/packs' },
        state: before && [before.name, before.credits, before.price, before.currency, before.stripe_price_id],
        async act({ actor }) {
          await setPack(app.db, actor, slug, body)
          return { notice: before ? `The pack ${slug} is changed.` : `The pack ${slug} is on sale.` }
        },
      }
    },
  })

  addChange(app, {
    ...{ path: '/console/packs/:slug/remove', ...common },
    async plan({ params: { slug = '' } }) {
      const before = (await listPacks(app.db)).find((pack) => pack.slug === slug)
      if (!before) throw packNotFound()
      const automatic = await countAutomatic(slug)
      return {
        title: `Stop selling ${before.name}?`,
        effects: [
          'It cannot be bought any more. Purchases that have begun can still be paid.',
          ...(automatic > 0
            ? [`${countText(automatic, 'automatic top-up')} of it pause${automatic === 1 ? 's' : ''} when it is due.`]
            : []),
        ],
        ...{ button: 'Stop selling it', back: '/console/packs', grave: true },
        async act({ actor }) {
          await removePack(app.db, actor, slug)
          return { notice: `The pack ${slug} is not sold any more.` }
        },
      }
    },
  })

  /** How many people have automatic top-ups of a pack. */
  async function countAutomatic(slug: string): Promise<number> {
    const { count } = await app.db
      .selectFrom('payers')
      .select(sql<number>`count(*)::int`.as('count'))
      .where('state', '=', 'on')
      .where('pack_slug', '=', slug)
      .executeTakeFirstOrThrow()
    return count
  }
}

/** @throws {ApiError} 400 */
function packOf(fields: Fields) {
  const whole = (name: 'credits' | 'price') => {
    const { maximum } = PACK_BODY.properties[name]
    return fields.whole(name, { least: 1, ...(maximum !== undefined && { most: maximum }) })
  }
  const slug = fields.text('slug')
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(slug)) throw badField('slug', 'must be lower-case letters, digits and dashes')
  const currency = fields.text('currency').toLowerCase()
  if (!/^[a-z]{3}$/.test(currency)) throw badField('currency', 'must be three letters, such as usd')
  return {
    ...{ slug, name: fields.name() || slug, credits: whole('credits'), price: whole('price'), currency },
    stripe_price_id: fields.text('stripe_price_id') || null,
  }
}
