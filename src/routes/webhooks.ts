import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { accountIdOf } from '../accounts/account-id.ts'
import { closeAccount } from '../accounts/close.ts'
import { statement } from '../db/statement.ts'
import { ApiError } from '../http/errors.ts'
import { failures } from '../schemas/all.ts'

const notEnabled = () => new ApiError(404, 'not_found', 'No webhook is set up here.')

/** Whether a delivery has been dealt with. */
const findReceipt = statement<{ id: string }, { id: string }>(
  'find_webhook_receipt',
  'select id from webhook_deliveries where id = $id',
)

const storeReceipt = statement<{ id: string; ended_sid: string | null }, never>(
  'store_webhook_receipt',
  'insert into webhook_deliveries (id, ended_sid) values ($id, $ended_sid) on conflict (id) do nothing',
)

const endSession = statement<{ clerk_sid: string }, never>(
  'end_clerk_session',
  'delete from sessions where clerk_sid = $clerk_sid',
)

/** Clerk repeats a delivery for some days at most; to do an older one again changes nothing anyway. */
const forgetOld = statement<Record<never, never>, never>(
  'forget_webhooks',
  `delete from webhook_deliveries where received_at < now() - interval '30 days'`,
)

export const webhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // The signature is over the body as it came, to the byte.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  app.post(
    '/api/webhooks/clerk',
    {
      // From few addresses, for everybody; a signature is checked first, and that is cheap.
      config: { limit: 'none' },
      onRequest: async () => {
        if (!app.identity.readWebhook) throw notEnabled()
      },
      schema: {
        tags: ['Webhooks'],
        summary: "Clerk's events, signed: who was deleted or banned, and which session has ended",
        security: [],
        response: {
          200: Type.Object(
            { ok: Type.Boolean() },
            { description: 'Dealt with, also where it is a repetition', examples: [{ ok: true }] },
          ),
          400: failures.badRequest('invalid_signature', 'This is not signed with our webhook secret, or not just now.'),
          404: failures.notFound('not_found', 'No webhook is set up here.'),
          413: failures.tooLarge,
          415: failures.unsupported,
          500: failures.internal,
          503: failures.unavailable,
        },
      },
    },
    async (request) => {
      if (!app.identity.readWebhook) throw notEnabled()
      const event = await app.identity.readWebhook(request.headers, String(request.body ?? ''))
      const { id, person_gone, session_ended } = event
      const gone = person_gone && accountIdOf(person_gone)
      if ((await findReceipt(app.db, { id })).length > 0) return { ok: true }
      // The receipt comes last: what fails half-way is delivered again, and every part may be repeated.
      if (gone) await app.pats.revoking(gone, () => closeAccount(app.db, app.ledger, gone, person_gone))
      await app.db.transaction().execute(async (trx) => {
        await storeReceipt(trx, { id, ended_sid: session_ended ?? null })
        if (session_ended) await endSession(trx, { clerk_sid: session_ended })
      })
      await forgetOld(app.db, {})
      return { ok: true }
    },
  )
}
