import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, ftruncateSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'
import type { Place } from './postgres-place.ts'

export type Settings = Record<string, string>

/** A Postgres in its place: a new cluster, a free port of 127.0.0.1, a random password. */
export class PostgresServer {
  readonly #place: Place
  readonly #settings: Settings
  readonly #data: string
  readonly #logFile: string
  readonly #log: number
  readonly #password = randomBytes(16).toString('hex')
  #port = 0
  #process: ChildProcess | undefined

  constructor(place: Place, settings: Settings) {
    this.#place = place
    this.#settings = settings
    this.#data = join(place.folder, 'data')
    this.#logFile = join(place.folder, 'log')
    this.#log = openSync(this.#logFile, 'a')
  }

  get url(): string {
    return `postgres://postgres:${this.#password}@127.0.0.1:${this.#port}/postgres`
  }

  /** Makes the cluster, and starts it on a port that was free a moment ago. Another process may have taken it since. */
  async create(): Promise<void> {
    await this.#initialise()
    for (let attempt = 1; ; attempt++) {
      this.#port = await freePort()
      try {
        return await this.start()
      } catch (error) {
        if (attempt === 5 || !/could not bind/.test(this.logTail())) throw error
      }
    }
  }

  async start(): Promise<void> {
    const own = { listen_addresses: '127.0.0.1', port: String(this.#port), unix_socket_directories: '' }
    const flags = Object.entries({ ...this.#settings, ...own }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const started = this.#spawn(this.#place.postgres, ['-D', this.#data, ...flags])
    this.#process = started
    for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(10)) {
      if (hasEnded(started)) throw new Error('Postgres ended while it started.')
      if (this.#isReady(started.pid)) return
    }
    throw new Error('Postgres was not ready within a minute.')
  }

  /** SIGINT is Postgres' fast shutdown, SIGQUIT its immediate one, which simulates a crash. */
  async stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const stopping = this.#process
    if (!stopping || hasEnded(stopping)) return
    const exited = once(stopping, 'exit')
    for (const next of [signal, 'SIGQUIT', 'SIGKILL'] as const) {
      stopping.kill(next)
      if (await Promise.race([exited, sleep(3_000, undefined, { ref: false })])) return
    }
  }

  kill(): void {
    this.#process?.kill('SIGKILL')
  }

  logTail(): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-30).join('\n')
  }

  async #initialise(): Promise<void> {
    // Without a password any local user could become this one by way of the server. It is random, so
    // stretching it would only slow every connection down.
    const { folder, user } = this.#place
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, this.#password, { mode: 0o600 })
    if ('uid' in user) chownSync(passwordFile, user.uid, user.gid)
    const flags = ['--no-sync', '--no-instructions', '--locale=C', '--encoding=UTF8', '--username=postgres']
    flags.push('--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--set=scram_iterations=1')
    const initdb = this.#spawn(this.#place.initdb, ['-D', this.#data, ...flags])
    while (!hasEnded(initdb)) await sleep(10)
    if (initdb.exitCode !== 0) throw new Error('initdb failed.')
    rmSync(passwordFile)
    // What initdb has said matters only when it failed.
    ftruncateSync(this.#log)
  }

  #spawn(command: string, args: string[]): ChildProcess {
    const { folder, user } = this.#place
    // Only PATH is inherited, so that PGDATA, LC_ALL or a missing HOME change nothing.
    const env = { LC_ALL: 'C', TZ: 'UTC', PATH: process.env.PATH }
    const child = spawn(command, args, { ...user, cwd: folder, env, stdio: ['ignore', this.#log, this.#log] })
    child.on('error', (error) => writeFileSync(this.#log, `${error.message}\n`))
    return child
  }

  // pg_ctl uses the same line. A file left by a crash names another process.
  #isReady(pid: number | undefined): boolean {
    try {
      const lines = readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')
      return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
    } catch {
      return false
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}
