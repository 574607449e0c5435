/**
 * `npm run bench`: what the service does on this machine, beside what else does the same. It starts all that it needs on
 * 127.0.0.1 and writes RESULTS.md; see README.md for how to read it.
 *
 *   npm run bench                 posting, reads, tokens, start-up
 *   npm run bench -- --growth     a thousand and a million jobs; lists of 100 and 100,000
 *   npm run bench -- --memory     memory over a million requests
 *   … --rounds 7                  steadier medians
 */
import { parseArgs } from 'node:util'
import { mustBeRight } from './database.ts'
import { measureGrowth } from './growth.ts'
import { measureLists } from './lists.ts'
import { measureMemory } from './memory.ts'
import { measurePosting } from './posting.ts'
import { measureReads, measureTokens } from './reads.ts'
import { goals, report } from './results.ts'
import { measureStart } from './startup.ts'
import { inWorld, type World } from './world.ts'

const { values } = parseArgs({
  options: {
    growth: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '4' },
  },
})
const rounds = Math.max(1, Number(values.rounds))

if (values.growth) await inWorld(1_000, growth)
else if (values.memory) await inWorld(2_000, memory)
else await inWorld(2_000, speed)

async function speed(world: World): Promise<void> {
  const url = await world.database('bench', 10)
  const service = await world.service(url)
  const posting = await measurePosting(world, url, service, rounds)
  const reads = await measureReads(world, url, service, rounds)
  const tokens = await measureTokens(world, service, rounds)
  const start = await measureStart(world, url)
  const figures = goals([...posting.figures, ...reads.figures, ...start])
  await report('npm run bench', url, world.pgbench, [figures, posting.part, reads.part, tokens])
}

async function growth(world: World): Promise<void> {
  const small = await world.database('thousand', 1)
  const large = await world.database('million', 1_000)
  const posting = await measureGrowth(world, small, large, rounds)
  const lists = await measureLists(world, large, rounds)
  await mustBeRight(large)
  const figures = goals([...posting.figures, ...lists.figures])
  await report('npm run bench -- --growth', large, world.pgbench, [figures, posting.part, lists.part])
}

async function memory(world: World): Promise<void> {
  const url = await world.database('bench', 10)
  const { figures, part } = await measureMemory(world, await world.service(url))
  await mustBeRight(url)
  await report('npm run bench -- --memory', url, undefined, [goals(figures), part])
}
