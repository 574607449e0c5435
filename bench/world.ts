import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Postgres } from '../test/support/postgres.ts'
import { createDatabase, durablePostgres, migratedDatabase, postmasterOf } from './database.ts'
import { fill } from './fill.ts'
import { findPgbench } from './limit.ts'
import type { Load, Measured } from './load.ts'
import { identityEnv, mint, type Person, peopleOf } from './people.ts'
import { checkOut } from './previous.ts'
import { type Running, startServer, startWorker, type Worker } from './processes.ts'

/** What measurements use. */
export interface World {
  postgres: Postgres
  postmasters: number[]
  /** The people that send requests, with their tokens */
  people: Person[]
  tokens: string[]
  load: Worker<Load, Measured>
  /** undefined: pgbench is not installed */
  pgbench: string | undefined
  /** Creates an empty database. @returns its URL */
  emptyDatabase(name: string): Promise<string>
  /** Creates a database in which each of these people has this number of jobs. @returns its URL */
  database(name: string, people: Person[], jobsEach: number): Promise<string>
  /** Starts the service on a migrated database */
  service(url: string): Promise<Running>
  /** Starts an earlier commit of the service, which migrates the database itself */
  serviceAt(commit: string, url: string): Promise<Running>
  /** Starts another server, which answers on / */
  server(script: string): Promise<Running>
}

/** Starts everything, runs `measure`, and stops everything again, also after an error. */
export async function inWorld(accounts: number, measure: (world: World) => Promise<void>): Promise<void> {
  const stops: (() => Promise<unknown>)[] = []
  const started = <Stoppable extends { stop(): Promise<void> }>(process: Stoppable): Stoppable => {
    stops.unshift(() => process.stop())
    return process
  }
  const service = async (script: string, url: string) => {
    const env = { DATABASE_URL: url, LOG_LEVEL: 'fatal', RATE_LIMIT_MAX: '1000000', ...identityEnv }
    return started(await startServer(script, env))
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'focus-bench-'))
    stops.unshift(() => rm(folder, { recursive: true }))
    const postgres = started(await durablePostgres())
    const people = peopleOf(accounts)
    await measure({
      postgres,
      postmasters: [await postmasterOf(postgres.url)],
      people,
      tokens: await Promise.all(people.map(mint)),
      load: started(startWorker<Load, Measured>('load.ts')),
      pgbench: await findPgbench(),
      emptyDatabase: (name) => createDatabase(postgres.url, name),
      async database(name, owners, jobsEach) {
        const url = await migratedDatabase(postgres.url, name)
        await fill(url, owners, jobsEach)
        return url
      },
      service: (url) => service('../src/server.ts', url),
      async serviceAt(commit, url) {
        const { script, remove } = await checkOut(commit, folder)
        stops.unshift(remove)
        return service(script, url)
      },
      server: async (script) => started(await startServer(script, {}, '/')),
    })
  } finally {
    for (const stop of stops) await stop().catch((error) => console.error(error))
  }
}

/** The result of one round. Times are in ms, CPU in µs per request. */
export interface Round {
  perSecond: number
  p50: number
  p99: number
  max: number
  /** Answers to each connection */
  answers: number[]
  /** CPU of the service, of Postgres and of the load generator */
  cpu: number
  postgresCpu: number
  loadCpu: number
}

/** One round of load on a server, or on several. */
export async function round(
  world: Pick<World, 'load' | 'postmasters'>,
  servers: Running | Running[],
  load: Omit<Load, 'servers' | 'postmasters'>,
): Promise<Round> {
  const on = [servers].flat().map(({ port, pid }) => ({ port, pid }))
  const { requests, seconds, cpu, ...times } = await world.load.run({
    ...load,
    servers: on,
    postmasters: world.postmasters,
  })
  const each = (cpuSeconds: number) => (cpuSeconds / requests) * 1e6
  return {
    ...times,
    perSecond: requests / seconds,
    cpu: each(cpu.server),
    postgresCpu: each(cpu.postgres),
    loadCpu: each(cpu.load),
  }
}
