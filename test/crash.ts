/**
 * `npm run test:crash [-- --seconds N --seed N]`: the service as a process under load, killed with SIGKILL at random
 * moments, and its Postgres crashed too. Clients repeat what was not answered, with the same keys. Afterwards every answer
 * that was given is in the ledger, no key has acted twice, every account has what a model of it has, and all invariants hold.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { readConfig } from '../src/config.ts'
import { connect } from '../src/db/connect.ts'
import { verify } from '../src/ledger/verify.ts'
import { freePort } from './support/free-port.ts'
import { Model, type ModelJob } from './support/model.ts'
import { startPostgres } from './support/postgres.ts'

const CLIENTS = 8
const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } })
const seconds = Number(values.seconds ?? 60)
const seed = Number(values.seed ?? Date.now() % 2 ** 31)
const server = fileURLToPath(new URL('../src/server.ts', import.meta.url))
const figures = { operations: 0, unanswered: 0, kills: 0, postgres_crashes: 0 }
const faults: string[] = []

console.log(`seed ${seed}`)
const postgres = await startPostgres()
const port = await freePort()
const base = `http://localhost:${port}`
let service = await launch()
try {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, n) => signUp(`client-${n}@example.com`)))
  const admin = await signUp('admin@example.com')
  const until = Date.now() + seconds * 1000
  const [worlds] = await Promise.all([
    Promise.all(clients.map((client, n) => live(client, admin, randomness(n), until))),
    crash(randomness(CLIENTS), until),
  ])
  await audit(worlds)
  console.log(
    Object.entries(figures)
      .map(([name, count]) => `${count} ${name}`)
      .join(', '),
  )
  for (const fault of faults.slice(0, 20)) console.error(fault)
  console.log(faults.length ? `${faults.length} faults; seed ${seed}` : 'no answer was lost, and no key acted twice')
  process.exitCode = faults.length ? 1 : 0
} finally {
  service.kill('SIGKILL')
  await postgres.stop()
}

interface Client {
  id: string
  clerkId: string
  cookie: string
}

interface World {
  client: Client
  model: Model
  /** What was answered 200: the reference of every adjustment, and every job with the ending that was answered */
  references: string[]
}

/** A client of one account: it does one thing after the other, and repeats each until it is answered. */
async function live(client: Client, admin: Client, random: (below: number) => number, until: number): Promise<World> {
  const model = new Model()
  const references: string[] = []
  for (let n = 0; Date.now() < until; n++) {
    const job: ModelJob | undefined = model.jobs.at(-1 - random(Math.min(model.jobs.length, 6) || 1))
    const what = random(10)
    const amount = [-5, 5, 20][random(3)] ?? 5
    const cost = random(12)
    if (what < 2) {
      const reference = `${client.id} ${n}`
      const body = { clerk_id: client.clerkId, amount, kind: 'adjustment', reference, reason: 'a crash test' }
      const { status } = await ask(admin, '/api/admin/credits', body)
      check(status, model.adjust(amount, reference), `adjust ${reference}`)
      if (status === 200) references.push(reference)
    } else if (what < 6 || !job) {
      const key = `${client.id} ${n}`
      const body = { app: 'audio', action: 'render', cost_estimate: cost }
      const { status, answer } = await ask(client, '/api/jobs', body, { 'idempotency-key': key })
      check(status, model.reserve(cost, { key }), `reserve ${key}`)
      const made = model.jobs.at(-1)
      if (status === 200 && made) made.id = String(answer.job_id)
    } else if (what < 8) {
      const { status } = await ask(client, '/api/jobs/complete', { job_id: job.id, actual_cost: cost })
      check(status, model.complete(job, cost), `complete ${job.id} ${cost}`)
    } else if (what < 9) {
      const { status } = await ask(client, '/api/jobs/fail', { job_id: job.id })
      check(status, model.fail(job, true), `fail ${job.id}`)
    } else {
      const { status } = await ask(client, `/api/jobs/${job.id}/heartbeat`, {})
      check(status, model.heartbeat(job), `heartbeat ${job.id}`)
    }
  }
  return { client, model, references }
}

function check(status: number, expected: number, what: string): void {
  figures.operations++
  if (status !== expected) faults.push(`${what}: ${status} instead of ${expected}`)
}

/** Sends the same request until it is answered with something that is not our fault. */
async function ask(client: Client, path: string, body: object, headers: Record<string, string> = {}) {
  for (;;) {
    try {
      const reply = await fetch(base + path, {
        method: 'POST',
        headers: { ...headers, cookie: client.cookie, origin: base, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(15_000),
      })
      const answer = (await reply.json()) as Record<string, unknown>
      if (reply.status < 500) return { status: reply.status, answer }
      if (reply.status !== 503) faults.push(`${path}: ${reply.status} ${JSON.stringify(answer)}`)
    } catch {} // killed while the request ran, or not up yet
    figures.unanswered++
    await sleep(20)
  }
}

/** Kills what runs, again and again, a moment after it has come up. */
async function crash(random: (below: number) => number, until: number): Promise<void> {
  while (Date.now() < until) {
    await sleep(100 + random(1_500))
    const database = random(3) === 0
    const both = random(2) === 0
    if (database) figures.postgres_crashes++
    const recovery = database ? postgres.restart('immediate') : undefined
    if (!database || both) {
      figures.kills++
      service.kill('SIGKILL')
      await once(service, 'exit')
      service = await launch()
    } else if (service.exitCode !== null) {
      faults.push(`the service ended by itself when its database crashed: ${service.exitCode}`)
      service = await launch()
    }
    await recovery
    await ready()
  }
}

/** Compares every answer with the database. */
async function audit(worlds: World[]): Promise<void> {
  const rethrow = (error: Error) => {
    throw error
  }
  const config = readConfig({ DATABASE_URL: postgres.url })
  const db = await connect(config.database, { lostConnection: rethrow, lostFolder: rethrow })
  const { checks } = await verify(db)
  for (const { name, violations } of checks) if (violations) faults.push(`${name}: ${violations}`)
  for (const { client, model, references } of worlds) {
    const of = { account_id: client.id }
    const account = await db
      .selectFrom('accounts')
      .selectAll()
      .where('id', '=', of.account_id)
      .executeTakeFirstOrThrow()
    const seen = JSON.stringify([account.credits, account.held, account.seq])
    const expected = JSON.stringify([model.credits, model.held, model.entries])
    if (seen !== expected) faults.push(`${client.id} has ${seen} instead of ${expected}`)
    const jobs = await db.selectFrom('jobs').selectAll().where('account_id', '=', of.account_id).execute()
    if (jobs.length !== model.jobs.length) faults.push(`${jobs.length} jobs instead of ${model.jobs.length}`)
    for (const job of model.jobs) {
      const found = jobs.find(({ id }) => id === job.id)
      const ended = found && (found.status === 'started' ? undefined : `${found.status} ${found.actual_cost}`)
      if (!found || found.reserved !== job.reserved || ended !== job.ended) {
        faults.push(`job ${job.id} was answered ${job.ended}, and is ${ended}`)
      }
    }
    const entries = await db
      .selectFrom('ledger_entries')
      .select('reference')
      .where('account_id', '=', of.account_id)
      .execute()
    for (const reference of references) {
      const count = entries.filter((entry) => entry.reference === reference).length
      if (count !== 1) faults.push(`adjustment ${reference} was answered, and is there ${count} times`)
    }
  }
  await db.destroy()
}

async function launch(): Promise<ChildProcess> {
  const env = {
    PATH: process.env.PATH,
    PORT: String(port),
    DATABASE_URL: postgres.url,
    LOG_LEVEL: 'silent',
    RATE_LIMIT_MAX: '1000000',
  }
  const child = spawn(process.execPath, [server], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  child.stderr?.on('data', (text) => {
    if (/\n\s+at /.test(String(text))) faults.push(`the service said: ${text}`)
  })
  await ready(child)
  return child
}

async function ready(child = service): Promise<void> {
  for (let i = 0; i < 1_200; i++) {
    if (child.exitCode !== null) throw new Error(`The service ended with ${child.exitCode}.`)
    const up = await fetch(`${base}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    if (up?.ok) return
    await sleep(50)
  }
  throw new Error('The service did not come up within a minute.')
}

async function signUp(email: string): Promise<Client> {
  const body = new URLSearchParams({ email })
  const signin = await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' })
  const cookie = signin.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  const wallet = await fetch(`${base}/api/wallet`, { headers: { cookie } })
  const { account } = (await wallet.json()) as { account: { id: string; clerk_id: string } }
  return { id: account.id, clerkId: account.clerk_id, cookie }
}

/** Numbers below a limit, the same for the same seed. */
function randomness(stream: number): (below: number) => number {
  const values = fc.sample(fc.nat(2 ** 30), { seed: seed + stream, numRuns: 10_000 })
  let next = 0
  return (below) => (values[next++ % values.length] ?? 0) % below
}
