import { createHash, randomBytes } from 'node:crypto'
import { query } from '../test/support/database.ts'
import { mint } from './people.ts'
import { opens, readsOf } from './requests.ts'
import { type Figure, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = [1, 8, 32, 128]
const BUSY = 32
const SECONDS = 1
/** Devices: each may poll once in 5 s, so one round needs this many. */
const DEVICES = 30_000
/** As many as a round of unseen tokens takes. */
const UNSEEN = 1_500

/** Wallet, list and device poll, against a route of the service that does nothing and one of a bare Fastify. */
export async function measureReads(world: World, url: string, rounds: number) {
  const { tokens } = world
  const service = await world.service(url)
  const bare = await world.server('nothing.ts')
  const polls = opens(await startDevices(url), 202)
  const routes: Record<string, (load: { connections: number; seconds: number }) => Promise<Round>> = {
    'GET / of a bare Fastify': (load) => round(world, bare, { ...opens(['/']), ...load }),
    'GET /healthz': (load) => round(world, service, { ...opens(['/healthz']), ...load }),
    'GET /api/wallet?app=video': (load) =>
      round(world, service, { ...readsOf('/api/wallet?app=video', tokens), ...load }),
    'GET /api/jobs?limit=20': (load) => round(world, service, { ...readsOf('/api/jobs?limit=20', tokens), ...load }),
    'GET /api/device/poll': async (load) => {
      await query(url, 'update device_codes set last_polled_at = null')
      return round(world, service, { ...polls, ...load, take: 'once' })
    },
  }
  const measures = Object.entries(routes).flatMap(([route, measure]) =>
    CONNECTIONS.map(
      (connections) => [`${route} ${connections}`, () => measure({ connections, seconds: SECONDS })] as const,
    ),
  )
  const results = await interleaved('reads', rounds, Object.fromEntries(measures))
  await bare.stop()
  await service.stop()

  const speed = (r: Round) => r.perSecond
  const ratio = (route: string, other: string, connections: number) =>
    compared(results, `${route} ${connections}`, `${other} ${connections}`, speed)
  const rows = Object.keys(routes).flatMap((route) =>
    CONNECTIONS.map((connections) => [
      route,
      String(connections),
      ...[speed, (r: Round) => r.p50, (r: Round) => r.p99, (r: Round) => r.cpu].map((value) =>
        typical(results, `${route} ${connections}`, value),
      ),
      ratio(route, 'GET /healthz', connections),
      ratio(route, 'GET / of a bare Fastify', connections),
    ]),
  )
  const head = ['route', 'connections', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs', '÷ /healthz', '÷ bare Fastify']
  const wallet = 'GET /api/wallet?app=video'
  const figures: Figure[] = [
    ['wallet requests ÷ empty route (/healthz)', ratio(wallet, 'GET /healthz', BUSY), '≥ 0.6'],
    ['wallet requests ÷ bare Fastify', ratio(wallet, 'GET / of a bare Fastify', BUSY)],
  ]
  return { figures, part: `### Reads\n\n${table(head, rows)}` }
}

/** Logins that wait for their person, straight into the table: starting one is limited to 10 a minute. */
async function startDevices(url: string): Promise<string[]> {
  const codes = Array.from({ length: DEVICES }, () => randomBytes(32).toString('base64url'))
  const hashes = codes.map((code) => createHash('sha256').update(code).digest('base64url'))
  await query(
    url,
    `insert into device_codes (device_code_hash, user_code, scopes, expires_at)
      select hash, 'BENCH-' || n, '{account}', now() + interval '1 hour' from unnest($1::text[]) with ordinality as made (hash, n)`,
    [hashes],
  )
  return codes.map((code) => `/api/device/poll?device_code=${code}`)
}

/** The cost of a token seen for the first time, against a cached one. */
export async function measureTokens(world: World, url: string, rounds: number) {
  const service = await world.service(url)
  const wallet = (tokens: string[]) =>
    round(world, service, {
      ...readsOf('/api/wallet?app=video', tokens),
      take: 'once',
      connections: BUSY,
      seconds: 60,
    })
  const people = Array.from({ length: UNSEEN }, (_, i) => world.people[i % world.people.length]) as World['people']
  const seen = await Promise.all(people.map(mint))
  await wallet(seen)
  const results = await interleaved('tokens', rounds, {
    warm: () => wallet(seen),
    cold: async () => wallet(await Promise.all(people.map(mint))),
  })
  await service.stop()
  const head = ['', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs']
  const rows = ['warm', 'cold'].map((state) => [
    `${state} JWT`,
    ...[(r: Round) => r.perSecond, (r: Round) => r.p50, (r: Round) => r.p99, (r: Round) => r.cpu].map((value) =>
      typical(results, state, value),
    ),
  ])
  return { figures: [], part: `### What a token costs, asking for the wallet\n\n${table(head, rows)}` }
}
