import { type FastifyPluginAsyncTypebox, type TSchema, Type } from '@fastify/type-provider-typebox'
import { accountIdOf } from '../../../accounts/account-id.ts'
import { badField } from '../../../http/catalogue.ts'
import { listActions } from '../../../operator/actions.ts'
import { Uuid } from '../../../schemas/primitives.ts'
import { titlesOf } from './account-reads.ts'
import { ACTION_COLUMNS, ACTION_WORDS, actionCells, KINDS, meantBy, peopleOf } from './audit-rows.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table } from './table.ts'

/** What administrators have changed. */
export const auditPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/console/audit',
    {
      schema: {
        hide: true,
        querystring: Type.Object({
          account_id: Field(Uuid),
          administrator: Field(Uuid),
          target: Field(Type.String({ maxLength: 300 })),
          action: Field(Type.String({ maxLength: 100 })),
          from: Field(Type.String({ format: 'date' })),
          to: Field(Type.String({ format: 'date' })),
          cursor: Type.Optional(Uuid),
        }),
      },
    },
    async (request, reply) => {
      const { cursor, from, to, target = '', ...fields } = request.query
      const { action } = fields
      if (action && !Object.hasOwn(ACTION_WORDS, action))
        throw badField('Action', `“${action}” is not one that the log has. Choose one under What`)
      if (from && to && to < from) throw badField('Until', 'must not be before From')
      const [person] = target.includes('@') ? await peopleCalled(target, request.deadline) : []
      const meant: ReturnType<typeof meantBy> & { account_id?: string } = person
        ? { account_id: person }
        : meantBy(target)
      const filter = {
        ...Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value || undefined])),
        // Of a kind and a change that it does not have there is nothing.
        ...(action && meant.action ? !meant.action.includes(action) && { target } : meant),
        ...(from && { from: new Date(from) }),
        // People mean the last day as well.
        ...(to && { to: new Date(Date.parse(to) + DAY_MS) }),
      }
      const { actions, next_cursor } = await listActions(app.db, filter, { cursor })
      const known = [...app.config.adminClerkIds, ...app.identity.administrators].map(accountIdOf)
      const administrators = new Set([
        ...known,
        ...actions.map(({ administrator }) => administrator.id),
        ...(fields.administrator ? [fields.administrator] : []),
      ])
      const titles = await titlesOf(app.db, [...administrators, ...peopleOf(actions)])
      const clerkIds = new Map(actions.map(({ administrator: { id, clerk_id } }) => [id, clerk_id]))
      const form = {
        id: 'filter',
        given: request.query,
        isSet: Object.entries(request.query).some(([name, value]) => name !== 'cursor' && value),
        by: [...administrators].map((id) => ({ value: id, text: titles.get(id) ?? clerkIds.get(id) ?? id })),
        kinds: Object.keys(KINDS).join(', '),
        what: Object.entries(ACTION_WORDS).map(([value, text]) => ({ value, text })),
      }
      return consolePage(request, reply, 'audit', {
        title: 'Audit log',
        section: 'audit',
        help: HELP.audit,
        form,
        table: table(request, {
          caption: 'What administrators have changed',
          columns: ACTION_COLUMNS,
          empty: form.isSet
            ? 'No line matches.'
            : 'Nothing yet. Every change by an administrator appears here, be it by this console, the API or the command line.',
          rows: actions.map((line) => actionCells(line, titles)),
          next_cursor,
        }),
      })
    },
  )

  /** The accounts of an e-mail address. */
  const peopleCalled = async (address: string, deadline: number | undefined) =>
    (await app.identity.peopleByEmail(address.trim(), deadline)).map(accountIdOf)
}

const DAY_MS = 86_400_000

/** A field that is left empty is sent as such. */
const Field = (schema: TSchema) =>
  Type.Optional(Type.Union([Type.Unsafe<string>(schema), Type.Unsafe<string>(Type.Literal(''))]))
