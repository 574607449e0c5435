import { identityEnv } from './people.ts'
import { startServer } from './processes.ts'
import { jobsOf, opens, readsOf } from './requests.ts'
import { inWorld, round } from './world.ts'

const what = process.argv[2]
await inWorld(2000, async (w) => {
  const url = await w.database('bench', 10)
  const s = await startServer('../src/server.ts', {
    DATABASE_URL: url,
    LOG_LEVEL: 'fatal',
    RATE_LIMIT_MAX: '1000000',
    ...identityEnv,
    ...(process.argv[3] ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${process.argv[3]}` } : {}),
  })
  const load = what === 'jobs' ? jobsOf(w.tokens) : what === 'health' ? opens(['/healthz']) : readsOf(what!, w.tokens)
  for (const seconds of [4, 4, 4]) {
    const m = await round(w, s, { ...load, connections: 32, seconds })
    console.log(
      what,
      m.perSecond.toFixed(0),
      '/s cpu µs',
      m.cpu.toFixed(0),
      'load',
      m.loadCpu.toFixed(0),
      'other',
      m.otherCpu.toFixed(0),
      'p50',
      m.p50,
      'p99',
      m.p99,
    )
  }
  await s.stop()
})
