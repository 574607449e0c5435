import { startServer } from './processes.ts'
import { identityEnv } from './people.ts'
import { jobsOf } from './requests.ts'
import { inWorld, round } from './world.ts'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
const dir = '/tmp/prof'; rmSync(dir, { recursive: true, force: true })
const which = process.argv[2] ?? '../src/server.ts'
await inWorld(2000, async (world) => {
  const url = await world.database('bench', 5)
  const service = await startServer(which, { DATABASE_URL: url, LOG_LEVEL: 'fatal', RATE_LIMIT_MAX: '1000000', ...identityEnv, ...(process.argv[3] === 'noprof' ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${dir}` }) })
  const load = { ...jobsOf(world.tokens), connections: 32, seconds: 3 }
  for (let i = 0; i < 4; i++) { const r = await round(world, service, load); console.log(JSON.stringify(r)) }
  await service.stop()
})
if (process.argv[3] === 'noprof') process.exit(0)
const file = readdirSync(dir).filter((f) => f.endsWith('.cpuprofile'))[0]
const prof = JSON.parse(readFileSync(`${dir}/${file}`, 'utf8'))
const nodes = new Map(prof.nodes.map((n: any) => [n.id, n]))
const self = new Map<number, number>()
// last half only (warm)
const total = prof.timeDeltas.reduce((a: number, b: number) => a + b, 0); let acc = 0
prof.samples.forEach((id: number, i: number) => { acc += prof.timeDeltas[i]; if (acc > total * 0.6) self.set(id, (self.get(id) ?? 0) + prof.timeDeltas[i]) })
const by = (key: (n: any) => string) => { const m = new Map<string, number>(); let t = 0; for (const [id, v] of self) { const n: any = nodes.get(id); const k = key(n); if (k === '(idle)') continue; t += v; m.set(k, (m.get(k) ?? 0) + v) } return [...m].sort((a, b) => b[1] - a[1]).map(([k, v]) => `${(v / t * 100).toFixed(1)}% ${k}`) }
const mod = (n: any) => { const u = n.callFrame.url; if (!u) return n.callFrame.functionName; const m = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(u); return m ? m[1]! : u.startsWith('node:') ? u : u.replace(/.*\/src/, 'src') }
console.log('--- by module\n' + by((n) => n.callFrame.functionName === '(idle)' ? '(idle)' : mod(n)).slice(0, 40).join('\n'))
console.log('--- by function\n' + by((n) => n.callFrame.functionName === '(idle)' ? '(idle)' : `${n.callFrame.functionName} ${mod(n)}:${n.callFrame.lineNumber}`).slice(0, 60).join('\n'))
