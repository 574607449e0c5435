import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import {
  bodyTooLarge,
  databaseUnavailable,
  internalError,
  invalidSignature,
  localIdentityOnly,
  overloaded,
  paymentsUnavailable,
  rateLimited,
  stripeWebhookOff,
  unsupportedMediaType,
  wrongMode,
} from '../http/catalogue.ts'
import { refusals } from '../http/refusals.ts'
import type { Payments } from '../payments/types.ts'

/** The largest event that is read, in bytes. */
const MAX_EVENT = 1_048_576

export const paymentEventRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // The signature covers the bytes of the body, so the body is not parsed.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body))

  const { stripe } = app.config
  app.post(
    '/api/webhooks/stripe',
    {
      bodyLimit: MAX_EVENT,
      // By address, and beside that by what fails its signature there.
      config: { limit: 'webhook' },
      onRequest: async () => {
        if (!stripe) throw stripeWebhookOff()
      },
      schema: {
        operationId: 'receiveStripeEvent',
        tags: ['Webhooks'],
        summary: "Receive Stripe's signed events: payments, refunds, disputes, cards",
        description:
          'The body is read as it is, at most 1 MiB, with the header Stripe-Signature. An event is a hint: what is true, Stripe is asked.',
        security: [],
        response: {
          200: Type.Object(
            { ok: Type.Boolean(), handled: Type.Boolean({ description: 'false: about nothing of ours' }) },
            { description: 'Taken, now or before', examples: [{ ok: true, handled: true }] },
          ),
          ...refusals(
            ...[
              invalidSignature,
              wrongMode,
              rateLimited,
              overloaded,
              localIdentityOnly,
              stripeWebhookOff,
              bodyTooLarge,
            ],
            ...[unsupportedMediaType, internalError, databaseUnavailable, paymentsUnavailable],
          ),
        },
      },
    },
    async (request) => {
      if (!stripe) throw stripeWebhookOff()
      const { handleEvent, readEvent } = await import('../payments/events.ts')
      type StripePayments = Parameters<typeof handleEvent>[0] & Payments
      const payments = app.payments as StripePayments
      const signature = String(request.headers['stripe-signature'] ?? '')
      const body = String(request.body ?? '')
      // The body too: what somebody else has made of it says nothing of the genuine event.
      const credential = {
        kind: 'webhook',
        secret: `${signature} ${body}`,
        plausible: () => SIGNATURE.test(signature),
      } as const
      const event = await app.limits.verifying(request, credential, async () =>
        readEvent(payments.provider, stripe, body, signature),
      )
      return { ok: true, handled: await handleEvent(payments, event) }
    },
  )
}

const SIGNATURE = /^t=\d{1,15},v1=[0-9a-f]{64}/
