import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { derivePat, hashOf } from '../src/access/tokens.ts'
import { query } from '../test/support/database.ts'
import { fill } from './fill.ts'
import { mint } from './people.ts'
import { opens, readsOf } from './requests.ts'
import { type Figure, type Measurement, table } from './results.ts'
import { compared, interleaved, typical } from './rounds.ts'
import { type Round, round, type World } from './world.ts'

const CONNECTIONS = [1, 8, 32]
/** The goals apply at this number of connections. */
const BUSY = 32
const SECONDS = 1
/** Devices: each may poll once in 5 s, so a round needs this number. */
const DEVICES = 30_000
/** The number of unseen tokens that one round uses up. */
const UNSEEN = 1_500

const BARE = 'GET / of a bare Fastify'
const EMPTY = 'GET /healthz'
const WALLET = 'GET /api/wallet?app=video'
const JOBS = 'GET /api/jobs?limit=20'
const ENTRIES = 'GET /api/wallet/entries?limit=20'
const POLL = 'GET /api/device/poll'
const BEFORE = 'the wallet before'

/**
 * Measures the wallet, lists and the device poll, and compares them with a route of the service that does nothing, with a bare Fastify, and
 * with the wallet of an earlier commit.
 * @param previous the earlier commit; absent: that figure is not measured
 */
export async function measureReads(world: World, url: string, rounds: number, previous?: string) {
  const { tokens } = world
  const service = await world.service(url)
  const bare = await world.server('nothing.ts')
  const polls = opens(await startDevices(url), 202)
  const read =
    (path: string, server = service) =>
    (load: { connections: number; seconds: number }) =>
      round(world, server, { ...readsOf(path, tokens), ...load })
  const pathOf = (name: string) => name.slice('GET '.length)
  const routes: Record<string, (load: { connections: number; seconds: number }) => Promise<Round>> = {
    [BARE]: (load) => round(world, bare, { ...opens(['/']), ...load }),
    [EMPTY]: (load) => round(world, service, { ...opens([pathOf(EMPTY)]), ...load }),
    [WALLET]: read(pathOf(WALLET)),
    [JOBS]: read(pathOf(JOBS)),
    [ENTRIES]: read(pathOf(ENTRIES)),
    [POLL]: async (load) => {
      await query(url, 'update device_codes set last_polled_at = null')
      return round(world, service, { ...polls, ...load, take: 'once' })
    },
  }
  const servers = [service]
  if (previous !== undefined) {
    const before = await world.emptyDatabase('reads_previous')
    const server = await world.serviceAt(previous, before)
    await fill(before, world.people, 10)
    routes[BEFORE] = read(pathOf(WALLET), server)
    servers.push(server)
  }
  const measures = Object.entries(routes).flatMap(([route, measure]) =>
    CONNECTIONS.map(
      (connections) => [`${route} ${connections}`, () => measure({ connections, seconds: SECONDS })] as const,
    ),
  )
  const results = await interleaved('reads', rounds, Object.fromEntries(measures))
  await bare.stop()
  for (const server of servers) await server.stop()

  const speed = (r: Round) => r.perSecond
  const cpu = (r: Round) => r.cpu
  const ratio = (route: string, other: string, connections: number) =>
    compared(results, `${route} ${connections}`, `${other} ${connections}`, speed)
  const rows = Object.keys(routes).flatMap((route) =>
    CONNECTIONS.map((connections) => [
      route,
      String(connections),
      ...[speed, (r: Round) => r.p50, (r: Round) => r.p99, cpu, (r: Round) => r.postgresCpu].map((value) =>
        typical(results, `${route} ${connections}`, value),
      ),
      ratio(route, EMPTY, connections),
      ratio(route, BARE, connections),
    ]),
  )
  const head = [
    ...['route', 'connections', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs', 'Postgres µs'],
    ...['÷ /healthz', '÷ bare Fastify'],
  ]
  const busy = (route: string) => typical(results, `${route} ${BUSY}`, cpu)
  const figures: Figure[] = [
    ['wallet, CPU µs', busy(WALLET), '≤ 45'],
    ['wallet requests ÷ /healthz', ratio(WALLET, EMPTY, BUSY), '≥ 0.5'],
    [
      `wallet at 1 connection ÷ ${previous ?? 'the previous release'}`,
      previous === undefined ? Number.NaN : ratio(WALLET, BEFORE, 1),
      '≥ 1.0',
    ],
    ['list of 20 jobs, CPU µs', busy(JOBS), '≤ 150'],
    ['list of 20 entries, CPU µs', busy(ENTRIES), '≤ 150'],
    ['device poll, CPU µs', busy(POLL), '≤ 80'],
  ]
  return { figures, part: `### Reads\n\n${table(head, rows)}` }
}

/** Inserts logins that wait for approval directly into the table, because starting one is limited to 10 a minute. */
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

/** Compares a token that the service sees for the first time with a cached one. */
export async function measureTokens(world: World, url: string, rounds: number): Promise<Measurement> {
  const service = await world.service(url)
  const wallet = (tokens: string[]) =>
    round(world, service, { ...readsOf('/api/wallet?app=video', tokens), take: 'once', connections: BUSY, seconds: 60 })
  const people = Array.from({ length: UNSEEN }, (_, i) => world.people[i % world.people.length]) as World['people']
  const seen = await Promise.all(people.map(mint))
  await wallet(seen)
  const results = await interleaved('tokens', rounds, {
    'warm JWT': () => wallet(seen),
    'cold JWT': async () => wallet(await Promise.all(people.map(mint))),
    'cold personal access token': async () => wallet(await makePats(url, people)),
  })
  await service.stop()
  const head = ['', 'requests/s', 'p50 ms', 'p99 ms', 'CPU µs']
  const cpu = (r: Round) => r.cpu
  const rows = [...results.keys()].map((kind) => [
    kind,
    ...[(r: Round) => r.perSecond, (r: Round) => r.p50, (r: Round) => r.p99, cpu].map((value) =>
      typical(results, kind, value),
    ),
  ])
  const above = typical(results, 'cold personal access token', cpu) - typical(results, 'warm JWT', cpu)
  return {
    figures: [['a cold personal access token above a warm JWT, CPU µs', above, '≤ 40']],
    part: `### What a token costs, asking for the wallet\n\n${table(head, rows)}`,
  }
}

/** Inserts personal access tokens directly into the table, as used within the last minute. The service has not cached them. */
async function makePats(url: string, people: World['people']): Promise<string[]> {
  const ids = people.map(() => randomUUID())
  const tokens = ids.map((id) => derivePat('bench', id, 'bench'))
  await query(
    url,
    `insert into tokens (id, token_hash, account_id, name, last_four, scopes, expires_at, last_used_at)
      select id, hash, account_id, 'bench', '0000', '{account}', now() + interval '1 hour', now()
      from unnest($1::uuid[], $2::text[], $3::uuid[]) as made (id, hash, account_id)`,
    [ids, tokens.map(hashOf), people.map(({ accountId }) => accountId)],
  )
  return tokens
}
