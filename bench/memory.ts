import { jobsOf, readsOf } from './requests.ts'
import { type Figure, table } from './results.ts'
import { memoryOf } from './usage.ts'
import { round, type World } from './world.ts'

const MARKS = [0, 10_000, 100_000, 250_000, 500_000, 750_000, 1_000_000]
const CONNECTIONS = 32

/** Memory of the service over a million requests: mostly jobs, sometimes a wallet or a list. */
export async function measureMemory(world: World, url: string) {
  const service = await world.service(url)
  const kinds = [
    ...[1, 2, 3].map(() => ({ ...jobsOf(world.tokens), seconds: 4 })),
    { ...readsOf('/api/wallet?app=video', world.tokens), seconds: 2 },
    { ...readsOf('/api/jobs?limit=20', world.tokens), seconds: 1 },
  ]
  const seen: [number, number][] = []
  let done = 0
  for (let turn = 0; ; turn++) {
    while (done >= (MARKS[seen.length] ?? Number.POSITIVE_INFINITY)) seen.push([done, memoryOf(service.pid)])
    if (seen.length === MARKS.length) break
    const kind = kinds[turn % kinds.length]
    if (kind)
      done += (await round(world, service, { ...kind, connections: CONNECTIONS })).answers.reduce((a, b) => a + b, 0)
    process.stderr.write(`\rmemory: ${done} requests`)
  }
  process.stderr.write('\n')
  await service.stop()
  const [middle = [0, Number.NaN], last = [0, Number.NaN]] = [seen[MARKS.indexOf(500_000)], seen.at(-1)]
  const figures: Figure[] = [
    ['memory after a million requests, MB', last[1]],
    [`÷ after ${middle[0]}`, last[1] / middle[1], '≤ 1.05'],
  ]
  const rows = seen.map(([requests, memory]) => [String(requests), memory])
  return { figures, part: `### Memory of the service\n\n${table(['requests', 'resident MB'], rows)}` }
}
