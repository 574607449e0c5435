import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { callerOf, requireAdmin } from '../access/caller.ts'
import { findAccount } from '../accounts/find.ts'
import {
  accountClosed,
  balanceOutOfRange,
  jobNotEnded,
  jobNotFound,
  notAnAdministrator,
  referenceReused,
  refundExceedsCost,
} from '../http/catalogue.ts'
import { jsonBody, refusals, signedIn } from '../http/refusals.ts'
import { refund } from '../ledger/operations.ts'
import { MAX_CREDITS, MAX_REFUND_PARTS } from '../ledger/rules.ts'
import { Account, Entry } from '../schemas/account.ts'
import { Credits, EXAMPLE_ID, EXAMPLE_TIME, ref, Uuid } from '../schemas/primitives.ts'

const REFUND_EXAMPLE = {
  ...{ seq: 7, kind: 'adjustment' as const, amount: 3, balance_after: 20, job_id: null },
  ...{ reference: `refund:${EXAMPLE_ID}`, reason: 'The render was black', corrects_job_id: EXAMPLE_ID },
  created_at: EXAMPLE_TIME,
}

/** What an administrator gives back of jobs. */
export const adminRefundRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', requireAdmin)

  app.post(
    '/api/admin/jobs/:id/refund',
    {
      schema: {
        tags: ['Admin'],
        operationId: 'refundJob',
        summary: 'Give back what a job cost, or a part of it',
        description:
          'Writes an adjustment whose reference names the job; the job itself stays as it is. The same part and amount again changes nothing.',
        params: Type.Object({ id: Uuid }),
        body: Type.Object(
          {
            account_id: { ...Uuid, description: "The job's account" },
            amount: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: MAX_CREDITS,
                description: 'Credits; default: what the job cost and other parts have not given back',
              }),
            ),
            part: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: MAX_REFUND_PARTS,
                default: 1,
                description: 'Counts the refunds of one job, which together never exceed its cost',
              }),
            ),
            reason: Type.String({ minLength: 1, maxLength: 1000 }),
          },
          { examples: [{ account_id: EXAMPLE_ID, reason: 'The render was black' }] },
        ),
        response: {
          200: Type.Object(
            {
              account: ref(Account),
              entry: ref(Entry),
              refunded: Credits({ description: 'What was given back of the job in all' }),
            },
            { description: 'OK', examples: [{ account: Account.examples[0], entry: REFUND_EXAMPLE, refunded: 3 }] },
          ),
          ...refusals(
            ...[signedIn, jsonBody, notAnAdministrator, accountClosed, jobNotFound, jobNotEnded],
            ...[refundExceedsCost, referenceReused, balanceOutOfRange],
          ),
        },
      },
    },
    async (request) => {
      const { account_id, amount = null, part = 1, reason } = request.body
      const actor = callerOf(request).id
      const job = { account_id, job_id: request.params.id }
      const { entry, refunded } = await refund(app.ledger, job, { amount, part, reason, actor })
      return { account: await findAccount(app.db, account_id), entry, refunded }
    },
  )
}
