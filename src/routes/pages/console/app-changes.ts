import type { FastifyInstance } from 'fastify'
import { OVERLAP_MINUTES } from '../../../access/settle-keys.ts'
import { badField } from '../../../http/catalogue.ts'
import type { Actor } from '../../../operator/actions.ts'
import { type AppChanges, checkAddresses, setApp } from '../../../operator/app-changes.ts'
import { Slug } from '../../../schemas/primitives.ts'
import { amountText, creditsText, timeText } from '../words.ts'
import { addressesForm, registerForm, settingsForm } from './app-forms.ts'
import { type AppRow, countGranted, findApp } from './app-reads.ts'
import { type Asked, addChange, type Plan } from './changes.ts'
import { ONCE, overageText, peopleText } from './console-words.ts'
import type { Fields } from './forms.ts'
import { HELP } from './help.ts'

/** What can be changed about apps. Each is `PUT /api/admin/apps/{slug}` with the fields that differ. */
export function addAppChanges(app: FastifyInstance): void {
  const section = 'apps'

  addChange(app, {
    ...{ path: '/console/apps', section, help: HELP.apps },
    form: registerForm,
    async plan({ fields }) {
      const slug = fields.text('slug')
      if (!new RegExp(Slug.pattern ?? '').test(slug))
        throw badField('slug', 'must be lower-case letters, digits and dashes, 63 at most')
      const known = await app.db.selectFrom('apps').select('slug').where('slug', '=', slug).executeTakeFirst()
      if (known) throw badField('slug', `is taken: ${slug} is registered already`)
      const name = fields.name() || null
      const starter_credits = fields.text('starter_credits') ? creditsOf(fields, 'starter_credits') : 0
      const origins = originsOf(fields)
      await checkAddresses(app, slug, { origins })
      return {
        title: `Register ${slug}?`,
        effects: [
          starter_credits > 0
            ? `Each person who uses ${slug} for the first time gets ${creditsText(starter_credits)}.`
            : `${slug} gives no starter credits.`,
          ...origins.map(additionText.origins),
        ],
        button: 'Register it',
        back: '/console/apps',
        next: `/console/apps/${slug}`,
        async act({ actor }) {
          await setApp(app, actor, slug, { name, starter_credits, origins })
          return { notice: `${slug} is registered.` }
        },
      }
    },
  })

  addChange(app, {
    ...{ path: '/console/apps/:slug/settings', section, help: HELP.apps },
    form: async (asked) => settingsForm(await findApp(app.db, slugOf(asked))),
    async plan(asked) {
      const { fields } = asked
      const before = await findApp(app.db, slugOf(asked))
      const name = fields.name() || null
      const starter_credits = creditsOf(fields, 'starter_credits')
      const max_overage = overageOf(fields)
      const [credits, percent] = [max_overage?.credits ?? null, max_overage?.percent ?? null]
      const [had, has] = [overageText(before.max_overage, before.max_overage_percent), overageText(credits, percent)]
      const effects: string[] = []
      if (name !== before.name) effects.push(`Its name: ${before.name ?? before.slug} → ${name ?? before.slug}.`)
      if (starter_credits !== before.starter_credits) effects.push(await starterText(before, starter_credits))
      if (had !== has)
        effects.push(`A job may cost more than its estimate by: ${had} → ${has}. Jobs that complete from now on.`)
      return {
        ...change(before, effects),
        async act({ actor }) {
          await save(asked, actor, { name, starter_credits, max_overage })
          return { notice: `Changed. ${effects.join(' ')}` }
        },
      }
    },
  })

  addChange(app, {
    ...{ path: '/console/apps/:slug/addresses', section, help: HELP.addresses },
    form: async (asked) => addressesForm(await findApp(app.db, slugOf(asked))),
    async plan(asked) {
      const { fields } = asked
      const before = await findApp(app.db, slugOf(asked))
      const lists = {
        origins: originsOf(fields),
        return_paths: fields.lines('return_paths'),
        redirect_uris: fields.lines('redirect_uris'),
        resources: fields.lines('resources'),
      }
      await checkAddresses(app, before.slug, lists)
      const effects = Object.entries(lists).flatMap(([field, after]) =>
        differences(before[field as keyof typeof lists], after, field as keyof typeof lists),
      )
      return {
        ...change(before, effects),
        async act({ actor }) {
          await save(asked, actor, lists)
          return { notice: `Changed. ${effects.join(' ')}` }
        },
      }
    },
  })

  addChange(app, {
    ...{ path: '/console/apps/:slug/key', section, help: HELP.settleKey },
    async plan(asked): Promise<Plan> {
      const before = await findApp(app.db, slugOf(asked))
      const { slug, has_settle_key, previous_settle_key_until: until } = before
      const state = [before.key_mark, until]
      const back = backTo(before)
      if (asked.fields.text('settle_key') === 'remove') {
        if (!has_settle_key) throw badField('settle_key', `cannot be removed: ${slug} has none`)
        return {
          ...{ title: `Remove the settle key of ${slug}?`, back, state, grave: true, button: 'Remove it' },
          effects: [
            `Every settle key of ${slug} stops working at once: its servers cannot settle jobs by key.`,
            'The token of a person can settle the jobs of this app again, at any cost up to its limit.',
          ],
          async act({ actor }) {
            await save(asked, actor, { settle_key: 'remove' })
            return { notice: `${slug} has no settle key any more.` }
          },
        }
      }
      const overlap = has_settle_key
        ? [
            `The present key works for ${OVERLAP_MINUTES} more minutes. If it has leaked: remove it first, which stops it at once.`,
          ]
        : [`From then on only a server with the key can settle the jobs of ${slug}; a person’s token cannot.`]
      const older = until && until > new Date() ? [`The key before it, good until ${timeText(until)}, stops now.`] : []
      return {
        title: `Make a new settle key for ${slug}?`,
        effects: [ONCE('new key'), ...overlap, ...older],
        ...{ button: 'Make a new key', back, state },
        lost: 'Where it was not copied, make another one at the page of the app.',
        async act({ actor }) {
          const { settle_key } = await save(asked, actor, { settle_key: 'rotate' })
          return {
            title: `The new settle key of ${slug}`,
            label: 'Settle key',
            secret: settle_key ?? '',
            text: 'Give it to the servers of the app, which send it as X-App-Key. Never put it into a page or an app that people install.',
          }
        },
      }
    },
  })

  const save = (asked: Asked, actor: Actor, changes: AppChanges) => setApp(app, actor, slugOf(asked), changes)

  async function starterText({ slug, starter_credits: before }: AppRow, after: number): Promise<string> {
    const people = await countGranted(app.db, slug)
    const keep = people > 0 ? `; ${peopleText(people)} had theirs and keep them` : ''
    return `${slug}: ${amountText(before)} → ${amountText(after)} starter credits for people who come from now on${keep}.`
  }
}

const slugOf = ({ params }: Pick<Asked, 'params'>): string => params.slug ?? ''
const backTo = ({ slug }: Pick<AppRow, 'slug'>) => `/console/apps/${slug}`

/** @throws {ApiError} 400 where nothing differs */
function change(before: AppRow, effects: string[]): Omit<Plan, 'act'> {
  if (!effects.length) throw badField('form', 'says what is there already: nothing is to be changed')
  const { created_at: _, ...state } = before
  return { title: `Change ${before.name ?? before.slug}?`, effects, button: 'Change it', back: backTo(before), state }
}

/** @throws {ApiError} 400 */
const creditsOf = (fields: Fields, name: string): number => fields.whole(name, { least: 0 })

const originsOf = (fields: Fields): string[] => fields.lines('origins').map((origin) => origin.replace(/\/$/, ''))

/** @throws {ApiError} 400 */
function overageOf(fields: Fields): { credits?: number; percent?: number } | null {
  const unit = fields.text('overage_unit')
  if (unit !== 'credits' && unit !== 'percent') return null
  return { [unit]: creditsOf(fields, 'overage') }
}

const additionText = {
  origins: (value: string) => `Pages at ${value} can use the whole account of whoever visits them.`,
  return_paths: (value: string) => `A sign-in may return to ${value}.`,
  redirect_uris: (value: string) => `OAuth may send people back to ${value}.`,
  resources: (value: string) => `Tokens can be issued for ${value}.`,
}

const removalText = {
  origins: (value: string) => `Pages at ${value} can no longer sign people in or use accounts.`,
  return_paths: (value: string) => `A sign-in no longer returns to ${value}.`,
  redirect_uris: (value: string) => `OAuth no longer sends people to ${value}.`,
  resources: (value: string) => `No tokens are issued for ${value} any more.`,
}

function differences(before: string[], after: string[], field: keyof typeof additionText): string[] {
  return [
    ...after.filter((value) => !before.includes(value)).map(additionText[field]),
    ...before.filter((value) => !after.includes(value)).map(removalText[field]),
  ]
}
