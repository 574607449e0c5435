import type { IncomingHttpHeaders } from 'node:http'
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
  overloaded,
  rateLimited,
  unsupportedMediaType,
  webhookOff,
} from '../http/catalogue.ts'
import type { Credential } from '../http/failures.ts'
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

/** How old a delivery may be, in seconds, as the check of its signature has it. */
const TOLERANCE_SECONDS = 300

/** What a delivery shows of itself. Without a signature, or with one of another time, it is not genuine. */
function signatureOf(headers: IncomingHttpHeaders): Credential {
  const [id, timestamp, signature] = ['svix-id', 'svix-timestamp', 'svix-signature'].map((name) => headers[name])
  const age = Math.abs(Date.now() / 1000 - Number(timestamp))
  const plausible = () =>
    Boolean(id) && age <= TOLERANCE_SECONDS && /(^| )v1,[A-Za-z0-9+/]{43}=/.test(String(signature))
  return { kind: 'webhook', secret: `${id} ${timestamp} ${signature}`, plausible }
}

export const webhookRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // The signature covers the bytes of the body, so the body is not parsed.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  app.post(
    '/api/webhooks/clerk',
    {
      config: { limit: 'webhook' },
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
            rateLimited,
            overloaded,
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
      const { readWebhook } = app.identity
      const credential = signatureOf(request.headers)
      const event = await app.limits.verifying(request, credential, () =>
        readWebhook(request.headers, String(request.body ?? '')),
      )
      const { id, at, person_gone, session_ended } = event
      const gone = person_gone && accountIdOf(person_gone)
      if ((await findReceipt(app.db, { id })).length > 0) return { ok: true }
      // The receipt comes last: after a failure Clerk delivers again, and each step may be repeated.
      if (gone) {
        await app.pats.revoking(gone, () => closeAccount(app.db, app.ledger, gone, person_gone, at))
        await app.origins.refresh()
      }
      await app.db.transaction().execute(async (trx) => {
        await storeReceipt(trx, { id, ended_sid: session_ended ?? null })
        if (session_ended) await endSession(trx, { clerk_sid: session_ended })
      })
      await forgetOld(app.db, {})
      return { ok: true }
    },
  )
}
