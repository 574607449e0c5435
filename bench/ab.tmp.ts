import { identityEnv } from './people.ts'
import { startServer } from './processes.ts'
import { readsOf } from './requests.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { inWorld, round } from './world.ts'

const path = process.argv[2] ?? ''
await inWorld(500, async (w) => {
  const url = await w.database('bench', 10)
  const env = { DATABASE_URL: url, LOG_LEVEL: 'fatal', RATE_LIMIT_MAX: '1000000', ...identityEnv }
  const a = await startServer('/tmp/bp/old/src/server.ts', env)
  const b = await startServer('../src/server.ts', env)
  const load = { ...readsOf(path, w.tokens), connections: 32, seconds: 1 }
  const r = await interleaved('ab', Number(process.argv[3] ?? 12), {
    old: () => round(w, a, load),
    new: () => round(w, b, load),
  })
  for (const v of ['perSecond', 'cpu', 'otherCpu', 'p99'] as const)
    console.log(
      v,
      typical(r, 'old', (x) => x[v]).toFixed(0),
      typical(r, 'new', (x) => x[v]).toFixed(0),
      'new/old',
      compared(r, 'new', 'old', (x) => x[v]).toFixed(2),
    )
  await a.stop()
  await b.stop()
})
