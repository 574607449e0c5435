import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Postgres } from '../test/support/postgres.ts'
import { durablePostgres, migratedDatabase } from './database.ts'
import { fill } from './fill.ts'
import type { HandwrittenTask } from './handwritten.ts'
import type { Load, Measured } from './load.ts'
import { identityEnv, mint, type Person, peopleOf } from './people.ts'
import { findPgbench, numberedAccounts } from './pgbench.ts'
import { type Running, startServer, startWorker, type Worker } from './processes.ts'

/** Everything that a measurement needs, and an end to all of it. */
export interface World {
  postgres: Postgres
  /** Who asks, and the token of each */
  people: Person[]
  tokens: string[]
  load: Worker<Load, Measured>
  handwritten: Worker<HandwrittenTask, number>
  /** undefined where it is not installed */
  pgbench: string | undefined
  /** For files; gone afterwards */
  folder: string
  /** A database in which everybody, and every account of pgbench's, has so many jobs. @returns its URL */
  database(name: string, jobsEach: number): Promise<string>
  /** The service on a database; `single`: each posting a statement of its own */
  service(url: string, posting?: 'single'): Promise<Running>
  server(script: string): Promise<Running>
}

/** Makes the world, lets `measure` use it and takes it down again, whatever happens. */
export async function inWorld(accounts: number, measure: (world: World) => Promise<void>): Promise<void> {
  const stops: (() => Promise<unknown>)[] = []
  const started = <Stoppable extends { stop(): Promise<void> }>(process: Stoppable): Stoppable => {
    stops.unshift(() => process.stop())
    return process
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'focus-bench-'))
    stops.unshift(() => rm(folder, { recursive: true }))
    const postgres = started(await durablePostgres())
    const people = peopleOf(accounts)
    await measure({
      postgres,
      people,
      tokens: await Promise.all(people.map(mint)),
      load: started(startWorker<Load, Measured>('load.ts')),
      handwritten: started(startWorker<HandwrittenTask, number>('handwritten.ts')),
      pgbench: await findPgbench(),
      folder,
      async database(name, jobsEach) {
        const url = await migratedDatabase(postgres.url, name)
        await fill(url, [...people, ...numberedAccounts(accounts)], jobsEach)
        return url
      },
      async service(url, posting) {
        const env = { DATABASE_URL: url, LOG_LEVEL: 'fatal', RATE_LIMIT_MAX: '1000000', ...identityEnv }
        return started(await startServer(posting ? 'service.ts' : '../src/server.ts', env))
      },
      server: async (script) => started(await startServer(script, {}, '/')),
    })
  } finally {
    for (const stop of stops) await stop().catch((error) => console.error(error))
  }
}

/** What a round says of a server. Times in ms, CPU in µs per request. */
export interface Round {
  requests: number
  perSecond: number
  p50: number
  p99: number
  cpu: number
  /** Of the load itself, and of everything else that runs: Postgres, for the most part */
  loadCpu: number
  otherCpu: number
}

/** One round of load on a server. */
export async function round(world: World, { port, pid }: Running, load: Omit<Load, 'port' | 'pid'>): Promise<Round> {
  const { requests, seconds, p50, p99, cpu } = await world.load.run({ ...load, port, pid })
  const each = (cpuSeconds: number) => (cpuSeconds / requests) * 1e6
  return {
    requests,
    perSecond: requests / seconds,
    p50,
    p99,
    cpu: each(cpu.server),
    loadCpu: each(cpu.load),
    otherCpu: each(cpu.all - cpu.server - cpu.load),
  }
}
