/**
 * `npm run bench`: what the service adds to the database. Reserve + complete over HTTP at 32 connections, against
 * pgbench sending the same two statements to the same server; ratios of interleaved rounds, since the machine's speed
 * changes by the minute. Needs pgbench on the PATH; starts everything else by itself, on 127.0.0.1.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import autocannon from 'autocannon'
import { reserveHold } from '../src/ledger/reserve.ts'
import { end } from '../src/ledger/settle.ts'
import { query } from '../test/support/database.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { freePort } from '../test/support/process.ts'

const CONNECTIONS = 32
const ACCOUNTS = 200
const ROUND_SECONDS = 6
const ROUNDS = 3

const postgres = await startPostgres({ settings: { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' } })
const folder = await mkdtemp(join(tmpdir(), 'focus-bench-'))
const port = await freePort()
const base = `http://localhost:${port}`
const service = spawn(process.execPath, ['src/server.ts'], {
  env: {
    ...process.env,
    PORT: String(port),
    DATABASE_URL: postgres.url,
    LOG_LEVEL: 'warn',
    RATE_LIMIT_MAX: '1000000',
  },
  stdio: ['ignore', 'ignore', 'inherit'],
})

try {
  await until(async () => (await fetch(`${base}/readyz`)).ok)
  const accounts = await signUp(ACCOUNTS)
  await query(postgres.url, `update accounts set credits = 1000000000, seq = seq`)
  const rounds: { http: Round; pgbench: number }[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const http = await postJobs(await tokensOf(accounts))
    const operations = await pgbench(accounts.map(({ id }) => id))
    // The first round warms up: plans, caches, the compiler.
    if (round > 0) rounds.push({ http, pgbench: operations })
    const name = round === 0 ? 'warm-up' : `round ${round}`
    console.log(`${name}: ${http.perSecond.toFixed(0)} requests/s, pgbench ${operations.toFixed(0)} operations/s`)
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
  const rss = Number((await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(service.pid)])).stdout) / 1024
  console.log(`requests ÷ pgbench operations: ${median(rounds.map((r) => r.http.perSecond / r.pgbench)).toFixed(2)}`)
  console.log(`p50 ${median(rounds.map((r) => r.http.p50))} ms, p99 ${median(rounds.map((r) => r.http.p99))} ms`)
  console.log(`memory of the service after it: ${rss.toFixed(0)} MB`)
} finally {
  service.kill('SIGTERM')
  await once(service, 'exit')
  await postgres.stop()
  await rm(folder, { recursive: true })
}

interface Round {
  perSecond: number
  p50: number
  p99: number
}

/** Reserve, then complete that very job, on every connection; each has its own account. */
async function postJobs(tokens: string[]): Promise<Round> {
  let next = 0
  const { requests, latency, non2xx, errors } = await autocannon({
    url: base,
    connections: CONNECTIONS,
    duration: ROUND_SECONDS,
    headers: { 'content-type': 'application/json' },
    requests: [
      {
        method: 'POST',
        path: '/api/jobs',
        body: JSON.stringify({ app: 'video', action: 'render', cost_estimate: 5 }),
        setupRequest: (request, context: { authorization?: string }) => {
          context.authorization = `Bearer ${tokens[next++ % tokens.length]}`
          return { ...request, headers: { ...request.headers, authorization: context.authorization } }
        },
        onResponse: (_status, body, context: { job_id?: string }) => {
          context.job_id = JSON.parse(body).job_id
        },
      },
      {
        method: 'POST',
        path: '/api/jobs/complete',
        setupRequest: (request, context: { authorization?: string; job_id?: string }) => ({
          ...request,
          headers: { ...request.headers, authorization: context.authorization ?? '' },
          body: JSON.stringify({ job_id: context.job_id, actual_cost: 3 }),
        }),
      },
    ],
  })
  if (non2xx || errors) throw new Error(`${non2xx} requests failed, ${errors} broke`)
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99 }
}

/** Operations per second of the same two statements, prepared, on as many connections. */
async function pgbench(accountIds: string[]): Promise<number> {
  const script = join(folder, 'script.sql')
  const values: Record<string, string> = {
    account_id: `(array[${accountIds.map((id) => `'${id}'`).join(',')}]::uuid[])[:who::int]`,
    job_id: `('00000000-0000-7000-8000-' || lpad(to_hex(:job::bigint), 12, '0'))`,
    app: `'video'`,
    action: `'render'`,
    cost: '5',
    ttl_seconds: '86400',
    ttl_without_key: 'false',
    status: `'completed'`,
    actual_cost: '3',
    refund_kind: `'job_refund'`,
  }
  const filled = (statement: { sql: string; order: string[] }) =>
    statement.sql.replace(/\$(\d+)/g, (_, i) => values[statement.order[Number(i) - 1] ?? ''] ?? 'null')
  const lines = [
    `\\set who random(1, ${accountIds.length})`,
    '\\set job random(1, 281474976710655)',
    `${filled(reserveHold).replaceAll('\n', ' ')};`,
    `${filled(end).replaceAll('\n', ' ')};`,
  ]
  await writeFile(script, `${lines.join('\n')}\n`)
  const { stdout } = await promisify(execFile)('pgbench', [
    ...['-n', '-M', 'prepared', '-c', String(CONNECTIONS), '-j', '2', '-T', String(ROUND_SECONDS), '-f', script],
    postgres.url,
  ])
  return 2 * Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
}

async function signUp(count: number): Promise<{ id: string; cookie: string }[]> {
  const people: { id: string; cookie: string }[] = []
  for (let i = 0; i < count; i++) {
    const body = new URLSearchParams({ email: `bench-${i}@example.com` })
    const signin = await fetch(`${base}/signin`, { method: 'POST', body, redirect: 'manual' })
    const cookie = signin.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
    const wallet = await fetch(`${base}/api/wallet`, { headers: { cookie } })
    people.push({ id: ((await wallet.json()) as { account: { id: string } }).account.id, cookie })
  }
  return people
}

/** Fresh ones for every round: they live for 60 s. */
function tokensOf(people: { cookie: string }[]): Promise<string[]> {
  return Promise.all(
    people.map(async ({ cookie }) => {
      const answer = await fetch(`${base}/api/sessionToken`, { headers: { cookie } })
      return ((await answer.json()) as { token: string }).token
    }),
  )
}

async function until(ready: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await ready().catch(() => false)) return
    await sleep(100)
  }
  throw new Error('The service did not come up.')
}
