import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkLedger, readLastCheck } from '../../../operator/verification.ts'
import { amount, state, text, time } from './cells.ts'
import { countText } from './console-words.ts'
import { consolePage } from './frame.ts'
import { HELP } from './help.ts'
import { goOn } from './notice.ts'
import { table } from './table.ts'

/** The check of every invariant, with what each means. */
export const verifyPages: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/console/verify', { schema: { hide: true } }, async (request, reply) => {
    const last = await readLastCheck(app.db)
    const { ok = true, checks = 0, broken: names = [], results, ms } = last?.value ?? {}
    const broken = results?.filter(({ violations }) => violations > 0) ?? []
    return consolePage(request, reply, 'verify', {
      title: 'Verify the ledger',
      section: 'verify',
      help: HELP.verify,
      last: last && {
        ...{ ok, cell: time(last.gathered_at), names },
        sentence: ok ? 'Every check holds.' : `${countText(names.length, 'check fails', 'checks fail')}, of ${checks}.`,
        took: ms === undefined ? '' : `It took ${(ms / 1000).toFixed(1)} s.`,
      },
      broken: broken.map(({ name, violations, examples, meaning, remedy }) => ({
        ...{ name, meaning, remedy },
        count: countText(violations, 'row'),
        accounts: [...new Set(examples.map(({ account_id }) => account_id).filter(Boolean))],
        examples: examples.map((example) => JSON.stringify(example)),
      })),
      table:
        results &&
        table(request, {
          caption: 'Checks',
          columns: ['Check', 'Result', { text: 'Rows', number: true }],
          empty: '',
          rows: results.map(({ name, violations }, i) => [
            text(`${i + 1}. ${name}`),
            state(violations ? { word: 'Fails', style: 'failed' } : { word: 'Holds', style: 'done-well' }),
            amount(violations),
          ]),
        }),
    })
  })

  // A check reads the whole ledger, so it needs a click and not only a link.
  app.post('/console/verify', { schema: { hide: true } }, async (request, reply) => {
    await checkLedger(app.db)
    return goOn(request, reply, '/console/verify', 'The ledger was checked.')
  })
}
