/**
 * `npm run bench`: the speed of the service on this machine, as ratios to what Postgres can do. It starts everything that it needs on
 * 127.0.0.1 and writes RESULTS.md; README.md explains the figures.
 *
 *   npm run bench                             posting, several instances, growth, lists, sums
 *   npm run bench -- --previous <commit>      … and latency against the service as it was at that commit
 *   npm run bench -- --more                   reads, tokens, start-up, memory over a million requests, the operator's pages
 *   … --rounds 9                              steadier medians
 *   … --only posting,lists                    single parts; prints them and does not write RESULTS.md
 */
import { parseArgs } from 'node:util'
import { mustBeRight } from './database.ts'
import { measureGrowth } from './growth.ts'
import { measureIndexes } from './indexes.ts'
import { measureInstances } from './instances.ts'
import { measureLists } from './lists.ts'
import { measureMemory } from './memory.ts'
import { measureOperator } from './operator.ts'
import { peopleOf } from './people.ts'
import { measurePosting } from './posting.ts'
import { measureReads, measureTokens } from './reads.ts'
import { type Measurement, report } from './results.ts'
import { measureStart } from './startup.ts'
import { measureSums } from './sums.ts'
import { inWorld, type World } from './world.ts'

const ACCOUNTS = 2_000
/** Accounts in the databases with a thousand and with a million jobs. */
const GROWN = 1_000
/** Accounts in the database for the operator's pages. */
const MANY = 100_000

const { values } = parseArgs({
  options: {
    more: { type: 'boolean', default: false },
    previous: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
})
const rounds = Math.max(1, Number(values.rounds))

await inWorld(ACCOUNTS, async (world) => {
  if (!world.pgbench) console.error('pg_config --bindir has no pgbench here: there will be no ratios to the limit.')
  const url = await world.database('bench', world.people, 10)
  const parts = values.more ? more(world, url) : main(world, url)
  const chosen = values.only?.split(',') ?? Object.keys(parts)
  const measured: Measurement[] = []
  for (const name of chosen) {
    const measure = parts[name]
    if (!measure) throw new Error(`There is no part ${name}; there are ${Object.keys(parts).join(', ')}.`)
    measured.push(await measure())
  }
  await mustBeRight(url)
  await report(values.more ? 'npm run bench -- --more' : 'npm run bench', world, measured, values.only === undefined)
})

type Parts = Record<string, () => Promise<Measurement>>

function main(world: World, url: string): Parts {
  const grown = world.people.slice(0, GROWN)
  let large: Promise<string> | undefined
  const million = () => {
    large ??= world.database('million', grown, 1_000)
    return large
  }
  return {
    posting: () => measurePosting(world, url, rounds, values.previous),
    instances: () => measureInstances(world, url, rounds),
    growth: async () =>
      measureGrowth(world, [await world.database('thousand', grown, 1), await million()], GROWN, rounds),
    indexes: () => measureIndexes(world, rounds),
    lists: async () => measureLists(world, await million(), rounds),
    sums: async () => measureSums(world, await million(), rounds),
  }
}

function more(world: World, url: string): Parts {
  return {
    reads: () => measureReads(world, url, rounds, values.previous),
    tokens: () => measureTokens(world, url, rounds),
    start: () => measureStart(world, url),
    memory: () => measureMemory(world, url),
    operator: async () => measureOperator(world, await world.database('operator', peopleOf(MANY), 10), rounds),
  }
}
