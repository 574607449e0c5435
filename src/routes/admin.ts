import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { requireAdminOrKey } from '../access/service-keys.ts'
import { accountIdOf, CLERK_USER_ID } from '../accounts/account-id.ts'
import { ERASED } from '../accounts/erase.ts'
import {
  accountNotFound,
  balanceOutOfRange,
  referenceReused,
  serviceKeyInBrowser,
  serviceKeyInvalid,
  wouldGoNegative,
} from '../http/catalogue.ts'
import { administrator, jsonBody, refusals } from '../http/refusals.ts'
import { EXPLANATIONS } from '../ledger/explanations.ts'
import { MAX_CREDITS } from '../ledger/rules.ts'
import { closeForOperator, eraseForOperator, revokeAllTokens } from '../operator/account-changes.ts'
import { actorOf } from '../operator/actions.ts'
import { adjustCredits, MAX_REFERENCE } from '../operator/job-changes.ts'
import { checkLedger } from '../operator/verification.ts'
import { Account, Entry } from '../schemas/account.ts'
import { AdjustmentKind } from '../schemas/admin.ts'
import { ref } from '../schemas/primitives.ts'

const ClerkId = Type.String({ pattern: CLERK_USER_ID, description: 'The Clerk user id' })

const CHECK = 'credits equal the sum of the entries'
const CHECK_EXAMPLE = { name: CHECK, ...EXPLANATIONS[CHECK] }

const Reason = Type.Optional(Type.String({ minLength: 1, maxLength: 1000, description: 'For the audit log' }))

const CLOSED_EXAMPLE = { ...Account.examples[0], held: 0 }
const ERASED_EXAMPLE = { ...Account.examples[0], clerk_id: ERASED }

const serviceKeyErrors = [serviceKeyInvalid, serviceKeyInBrowser]

export const adminRoutes: FastifyPluginAsyncTypebox = async (app) => {
  // Routes with a `serviceScope` take a service key, too.
  app.addHook('onRequest', requireAdminOrKey)
  app.post(
    '/api/admin/credits',
    {
      config: { serviceScope: 'topup' },
      schema: {
        tags: ['Admin'],
        operationId: 'adjustCredits',
        summary: 'Add or remove credits; creates the account if it does not exist',
        description:
          'Posts one entry. `reference` is unique per account: repeating the request changes nothing. A service key with scope `topup` posts top-ups.',
        body: Type.Object(
          {
            clerk_id: ClerkId,
            amount: Type.Integer({
              minimum: -MAX_CREDITS,
              maximum: MAX_CREDITS,
              description: 'Credits, not 0; a negative amount removes credits',
            }),
            kind: AdjustmentKind,
            reference: Type.String({
              minLength: 1,
              maxLength: MAX_REFERENCE,
              description: 'Unique per account, such as the id of a payment: repeating the request changes nothing',
            }),
            reason: Type.String({ minLength: 1, maxLength: 1000 }),
            allow_negative: Type.Optional(Type.Boolean({ default: false })),
            create: Type.Optional(
              Type.Boolean({
                default: false,
                description: 'With a service key: open the account if it does not exist',
              }),
            ),
          },
          {
            examples: [
              { clerk_id: 'user_2abc', amount: 100, kind: 'topup', reference: 'pi_3Q', reason: 'Bought 100 credits' },
            ],
          },
        ),
        response: {
          200: Type.Object(
            { account: ref(Account), entry: ref(Entry) },
            { description: 'OK', examples: [{ account: Account.examples[0], entry: Entry.examples[0] }] },
          ),
          ...refusals(
            administrator,
            serviceKeyErrors,
            jsonBody,
            accountNotFound,
            wouldGoNegative,
            referenceReused,
            balanceOutOfRange,
          ),
        },
      },
    },
    async (request) => {
      const { clerk_id, allow_negative = false, ...adjustment } = request.body
      const { serviceKey } = request
      const actor = serviceKey ? { service_key: serviceKey.id } : actorOf(request)
      return adjustCredits(app, actor, clerk_id, { allow_negative, ...adjustment })
    },
  )

  app.post(
    '/api/admin/accounts/revoke-tokens',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'revokeAccountTokens',
        summary: "Revoke all of an account's personal access tokens",
        description: 'They stop working at once on the instance that answers, and within 5 seconds on the others.',
        body: Type.Object({ clerk_id: ClerkId, reason: Reason }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { revoked: Type.Integer({ description: 'How many tokens stopped working' }) },
            { description: 'OK', examples: [{ revoked: 2 }] },
          ),
          ...refusals(administrator, jsonBody, accountNotFound),
        },
      },
    },
    async (request) => {
      const { clerk_id, reason } = request.body
      return { revoked: await revokeAllTokens(app, actorOf(request), accountIdOf(clerk_id), reason) }
    },
  )

  app.post(
    '/api/admin/accounts/close',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'closeAccount',
        summary: 'Close an account for good: its holds come back, its tokens end, and nothing is posted to it any more',
        description: 'Its credits and its history stay.',
        body: Type.Object({ clerk_id: ClerkId, reason: Reason }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { account: ref(Account) },
            { description: 'Closed; repeating the request changes nothing', examples: [{ account: CLOSED_EXAMPLE }] },
          ),
          ...refusals(administrator, jsonBody, accountNotFound),
        },
      },
    },
    async (request) => {
      const { clerk_id, reason } = request.body
      return { account: await closeForOperator(app, actorOf(request), accountIdOf(clerk_id), reason) }
    },
  )

  app.post(
    '/api/admin/accounts/erase',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'eraseAccount',
        summary: 'Erase a person: close the account and clear the Clerk id and job metadata; the ledger stays',
        description: 'It cannot be undone.',
        body: Type.Object({ clerk_id: ClerkId, reason: Reason }, { examples: [{ clerk_id: 'user_2abc' }] }),
        response: {
          200: Type.Object(
            { account: ref(Account) },
            { description: 'Erased; repeating the request changes nothing', examples: [{ account: ERASED_EXAMPLE }] },
          ),
          ...refusals(administrator, jsonBody, accountNotFound),
        },
      },
    },
    async (request) => {
      const { clerk_id, reason } = request.body
      return { account: await eraseForOperator(app, actorOf(request), accountIdOf(clerk_id), clerk_id, reason) }
    },
  )

  app.get(
    '/api/admin/verify',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'verifyLedger',
        summary: 'Check every invariant of the ledger',
        description: 'Reads the whole ledger: a large one takes up to two minutes.',
        response: {
          200: Type.Object(
            {
              ok: Type.Boolean(),
              checks: Type.Array(
                Type.Object({
                  name: Type.String(),
                  violations: Type.Integer({ description: 'How many rows violate it' }),
                  examples: Type.Array(
                    Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }),
                  ),
                  meaning: Type.String({ description: 'What it means where it does not hold' }),
                  remedy: Type.String({ description: 'What to do then' }),
                }),
              ),
            },
            {
              description: 'ok: no check found a violation',
              examples: [{ ok: true, checks: [{ ...CHECK_EXAMPLE, violations: 0, examples: [] }] }],
            },
          ),
          ...refusals(administrator),
        },
      },
    },
    () => checkLedger(app.db),
  )
}
