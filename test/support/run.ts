/**
 * `npm test`: a temporary Postgres (or yours: TEST_DATABASE_URL), one migrated template database, then tap with
 * the arguments given here and its exit code. With TEST_NODES, which test:citus sets, the template is sharded.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import tap from 'tap/package.json' with { type: 'json' }
import { createOnCluster, createTemplate, dropTemplate, nodes, sealTemplate } from './database.ts'
import { type Postgres, startPostgres } from './postgres.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tapScript = fileURLToPath(new URL(tap.bin.tap, import.meta.resolve('tap/package.json')))
const given = process.env.TEST_DATABASE_URL
const cluster = process.env.TEST_NODES !== undefined
// A compile cache halves the start of a test process.
const compileCache = fileURLToPath(new URL('../../node_modules/.cache/test', import.meta.url))

let postgres: Postgres | undefined
let child: ChildProcess | undefined
let interrupted: { signal: NodeJS.Signals; at: number } | undefined

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)

// npm sends SIGTERM to its shell only, so watch the parent's pid.
const shell = process.ppid
const watch = setInterval(() => {
  if (process.env.npm_lifecycle_event && process.ppid !== shell) interrupt('SIGTERM')
}, 250).unref()

try {
  process.exitCode = await runTests()
} catch (error) {
  process.exitCode = 1
  if (!interrupted) console.error(describe(error))
  if (!given && !postgres) console.error('With TEST_DATABASE_URL=postgres://… the tests run on a server of yours.')
}
if (interrupted) process.exitCode = 128 + constants.signals[interrupted.signal]

async function runTests(): Promise<number> {
  if (!given) postgres = await startPostgres()
  const server = given || postgres?.url || ''
  try {
    const template = await (cluster ? createOnCluster(nodes()) : createTemplate(server)).catch((error) => {
      throw new Error(`${given ? 'TEST_DATABASE_URL: ' : ''}No database could be made there: ${describe(error)}`)
    })
    try {
      await prepare('src/commands/run-migrate.ts', template.url)
      if (cluster) {
        await prepare('src/commands/run-shard.ts', template.url)
        await sealTemplate(nodes(), template.name)
      }
      const env = { TEST_DATABASE_URL: server, TEST_TEMPLATE_DATABASE: template.name, NODE_COMPILE_CACHE: compileCache }
      return await end(start([tapScript, ...process.argv.slice(2)], env, 'inherit'))
    } finally {
      if (given) await dropTemplate(cluster ? nodes() : [server], template.name)
    }
  } finally {
    await postgres?.stop()
  }
}

async function prepare(script: string, url: string): Promise<void> {
  // A MIGRATE_DATABASE_URL of the shell would send the migrations elsewhere.
  const command = start([script], { DATABASE_URL: url, MIGRATE_DATABASE_URL: undefined }, 'pipe')
  const [code, ...output] = await Promise.all([end(command), read(command.stdout), read(command.stderr)])
  if (code !== 0) throw new Error(`${script} failed on the template database.\n${output.join('')}`)
}

/** A process group of its own: so it gets each signal once, and nothing that it started outlives it. */
function start(args: string[], env: NodeJS.ProcessEnv, output: 'inherit' | 'pipe'): ChildProcess {
  if (interrupted) throw new Error(`Interrupted by ${interrupted.signal}.`)
  child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
    detached: true,
  })
  if (child.pid !== undefined) postgres?.reap(child.pid)
  return child
}

async function end(started: ChildProcess): Promise<number> {
  const [code] = await once(started, 'exit')
  signalChild('SIGKILL')
  // The pid may be reused.
  child = undefined
  postgres?.reap(0)
  return code ?? 1
}

function interrupt(signal: NodeJS.Signals): void {
  clearInterval(watch)
  // npm repeats the SIGINT that the terminal has sent already. Only a later one kills.
  if (!interrupted) signalChild(signal)
  else if (Date.now() - interrupted.at > 500) signalChild('SIGKILL')
  interrupted ??= { signal, at: Date.now() }
  setTimeout(signalChild, 5_000, 'SIGKILL').unref()
}

function signalChild(signal: NodeJS.Signals): void {
  try {
    if (child?.pid !== undefined) process.kill(-child.pid, signal)
  } catch {} // it has ended
}

function read(stream: NodeJS.ReadableStream | null): Promise<string> | string {
  return stream ? text(stream) : ''
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A refused connection to a host of several addresses has a code and no message.
  return error.message || ('code' in error ? String(error.code) : error.name)
}
