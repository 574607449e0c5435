/**
 * `npm run bench`: what the service does on this machine, beside what else does the same. It starts all that it needs on
 * 127.0.0.1 and writes RESULTS.md; see README.md for how to read it.
 *
 *   npm run bench                 posting, reads, tokens, start-up
 *   npm run bench -- --growth     a thousand and a million jobs; lists of 100 and 100,000
 *   npm run bench -- --memory     memory over a million requests
 *   … --rounds 5                  more rounds: steadier medians
 */
import { parseArgs } from 'node:util'
import { measurePosting } from './posting.ts'
import { measureReads, measureTokens } from './reads.ts'
import { goals, report } from './results.ts'
import { measureStart } from './startup.ts'
import { inWorld } from './world.ts'

const ACCOUNTS = 2_000

const { values } = parseArgs({
  options: {
    growth: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '4' },
  },
})
const rounds = Math.max(1, Number(values.rounds))

await inWorld(ACCOUNTS, async (world) => {
  const url = await world.database('bench', 10)
  const service = await world.service(url)
  const posting = await measurePosting(world, url, service, rounds)
  const reads = await measureReads(world, url, service, rounds)
  const tokens = await measureTokens(world, service, rounds)
  const start = await measureStart(world, url)
  const figures = goals([...posting.figures, ...reads.figures, ...start])
  await report('npm run bench', url, world.pgbench, [figures, posting.part, reads.part, tokens])
})
