import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { accountIdOf } from '../accounts/account-id.ts'
import { closeAccount } from '../accounts/close.ts'
import { statement } from '../db/statement.ts'
import {
  bodyTooLarge,
  databaseUnavailable,
  internalError,
  invalidSignature,
  localIdentityOnly,
  unsupportedMediaType,
  webhookOff,
} from '../http/catalogue.ts'
import { refusals } from '../http/refusals.ts'

/** Finds the receipt of a delivery that was handled. */
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

/** Clerk retries a delivery for a few days at most. Handling an older one again changes nothing. */
const forgetOld = statement<Record<never, never>, never>(
  'forget_webhooks',
  `delete from webhook_deliveries where received_at < now() - interval '30 days'`,
)

export const webhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // The signature covers the bytes of the body, so the body is not parsed.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  app.post(
    '/api/webhooks/clerk',
    {
      // Clerk sends all events from a few addresses, and the signature check is cheap.
      config: { limit: 'none' },
      // A user with much metadata: Clerk's events have no limit that we know of.
      bodyLimit: 1_048_576,
      onRequest: async () => {
        if (!app.identity.readWebhook) throw webhookOff()
      },
      schema: {
        tags: ['Webhooks'],
        operationId: 'receiveClerkWebhook',
        summary: "Receive Clerk's signed events: users deleted or banned, sessions ended",
        description:
          'For Clerk, which signs each delivery in the headers `svix-id`, `svix-timestamp` and `svix-signature`.',
        security: [],
        response: {
          200: Type.Object({ ok: Type.Boolean() }, { description: 'Handled, now or before', examples: [{ ok: true }] }),
          ...refusals(
            invalidSignature,
            localIdentityOnly,
            webhookOff,
            bodyTooLarge,
            unsupportedMediaType,
            internalError,
            databaseUnavailable,
          ),
        },
      },
    },
    async (request) => {
      if (!app.identity.readWebhook) throw webhookOff()
      const event = await app.identity.readWebhook(request.headers, String(request.body ?? ''))
      const { id, person_gone, session_ended } = event
      const gone = person_gone && accountIdOf(person_gone)
      if ((await findReceipt(app.db, { id })).length > 0) return { ok: true }
      // The receipt comes last: after a failure Clerk delivers again, and each step may be repeated.
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
