/**
 * `npm run bench`: what the service does on this machine, beside what else does the same. It starts all that it needs on
 * 127.0.0.1 and writes RESULTS.md; see README.md for how to read it.
 *
 *   npm run bench                 posting, reads, tokens, start-up
 *   npm run bench -- --growth     a thousand and a million jobs; lists of 100 and 100,000
 *   npm run bench -- --memory     memory over a million requests
 *   … --rounds 7                  steadier medians
 *   npm run bench -- --only jobs  a part of the first (jobs, reads, tokens, start), while working on it: not written down
 */
import { parseArgs } from 'node:util'
import { mustBeRight } from './database.ts'
import { measureGrowth } from './growth.ts'
import { measureLists } from './lists.ts'
import { measureMemory } from './memory.ts'
import { measurePosting } from './posting.ts'
import { measureReads, measureTokens } from './reads.ts'
import { type Measurement, report } from './results.ts'
import { measureStart } from './startup.ts'
import { inWorld, type World } from './world.ts'

const { values } = parseArgs({
  options: {
    growth: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '4' },
    only: { type: 'string' },
  },
})
const rounds = Math.max(1, Number(values.rounds))

// With pgbench's accounts, which are as many, a thousand in all: with one job each and with a thousand.
if (values.growth) await inWorld(500, growth)
else if (values.memory) await inWorld(2_000, memory)
else await inWorld(2_000, speed)

async function speed(world: World): Promise<void> {
  const url = await world.database('bench', 10)
  const service = await world.service(url)
  const parts: Record<string, () => Promise<Measurement>> = {
    jobs: () => measurePosting(world, url, service, rounds),
    reads: () => measureReads(world, url, service, rounds),
    tokens: () => measureTokens(world, service, rounds),
    start: () => measureStart(world, url),
  }
  const chosen = values.only === undefined ? Object.keys(parts) : [values.only]
  const measured: Measurement[] = []
  for (const name of chosen) measured.push((await parts[name]?.()) ?? { figures: [] })
  await report('npm run bench', world, url, measured, values.only === undefined)
}

async function growth(world: World): Promise<void> {
  const small = await world.database('thousand', 1)
  const large = await world.database('million', 1_000)
  const posting = await measureGrowth(world, small, large, rounds)
  const lists = await measureLists(world, large, rounds)
  await mustBeRight(large)
  await report('npm run bench -- --growth', world, large, [posting, lists])
}

async function memory(world: World): Promise<void> {
  const url = await world.database('bench', 10)
  const measured = await measureMemory(world, await world.service(url))
  await mustBeRight(url)
  await report('npm run bench -- --memory', world, url, [measured])
}
