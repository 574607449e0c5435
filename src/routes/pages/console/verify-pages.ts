import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Verification } from '../../../ledger/verify.ts'
import { checkLedger, readLastCheck } from '../../../operator/verification.ts'
import { amount, state, text, time } from './cells.ts'
import { countText } from './console-words.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { table } from './table.ts'

/** The check of every invariant, with what each means. */
export const verifyPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/console/verify', { schema: { hide: true } }, async (request, reply) =>
    verifyPage(request, reply, { last: await readLastCheck(app.db) }),
  )

  // A check reads the whole ledger, so it needs a click and not only a link.
  app.post('/console/verify', { schema: { hide: true } }, async (request, reply) => {
    const began = performance.now()
    const result = await checkLedger(app.db)
    return verifyPage(request, reply, { result, ms: performance.now() - began })
  })

  function verifyPage(
    request: FastifyRequest,
    reply: FastifyReply,
    { result, ms = 0, last }: { result?: Verification; ms?: number; last?: Awaited<ReturnType<typeof readLastCheck>> },
  ) {
    const broken = result?.checks.filter(({ violations }) => violations > 0) ?? []
    return consolePage(request, reply, 'verify', {
      title: 'Verify the ledger',
      section: 'verify',
      help: HELP.verify,
      last: last && { ...last.value, cell: time(last.gathered_at) },
      seconds: (ms / 1000).toFixed(1),
      result: result && { ok: result.ok, text: countText(broken.length, 'check fails', 'checks fail') },
      broken: broken.map(({ name, violations, examples, meaning, remedy }) => ({
        ...{ name, meaning, remedy },
        count: countText(violations, 'row'),
        accounts: [...new Set(examples.map(({ account_id }) => account_id).filter(Boolean))],
        examples: examples.map((example) => JSON.stringify(example)),
      })),
      table:
        result &&
        table(request, {
          caption: 'Checks',
          columns: ['Check', 'Result', { text: 'Rows', number: true }],
          empty: '',
          rows: result.checks.map(({ name, violations }, i) => [
            text(`${i + 1}. ${name}`),
            state(violations ? { word: 'Fails', style: 'failed' } : { word: 'Holds', style: 'done-well' }),
            amount(violations),
          ]),
        }),
    })
  }
}
