/**
 * `node bench/clerk-hanging.ts`: how wallet requests behave while Clerk does not answer. One service process on a temporary
 * Postgres gets wallet requests on 16 connections, and concurrently 10 requests per second for a person's X token, which
 * need an answer from Clerk. Rounds with a healthy and a hanging Clerk alternate, since the machine's speed changes by the
 * minute. Everything runs on 127.0.0.1.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import autocannon from 'autocannon'
import { exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { Agent } from 'undici'
import { freePort } from '../test/support/free-port.ts'
import { startPostgres } from '../test/support/postgres.ts'

const CONNECTIONS = 16
const ACCOUNTS = 50
const TOKENS_PER_SECOND = 10
const ROUND_SECONDS = 8
const ROUNDS = 7

const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
let hanging = false
const clerk = createServer((_request, response) => {
  if (hanging) return
  const data = [{ object: 'oauth_access_token', external_account_id: 'eac_1', provider: 'oauth_x', token: 'x-token' }]
  setTimeout(() => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data, total_count: 1 }))
  }, 20)
}).listen(0, '127.0.0.1')
await once(clerk, 'listening')
const clerkPort = (clerk.address() as AddressInfo).port
const issuer = `https://127.0.0.1:${clerkPort}`
const tokens = await Promise.all(
  Array.from({ length: ACCOUNTS }, (_, i) =>
    new SignJWT({ sid: `sess_${i}` })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: 'ins_1' })
      .setSubject(`user_${i}`)
      .setIssuer(issuer)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey),
  ),
)
const bearer = (i: number) => ({ authorization: `Bearer ${tokens[i % ACCOUNTS]}` })

const postgres = await startPostgres()
const port = await freePort()
const base = `http://localhost:${port}`
const service = spawn(process.execPath, ['src/server.ts'], {
  env: {
    ...process.env,
    PORT: String(port),
    DATABASE_URL: postgres.url,
    LOG_LEVEL: 'fatal',
    RATE_LIMIT_MAX: '1000000',
    CLERK_SECRET_KEY: 'sk_test_bench',
    CLERK_PUBLISHABLE_KEY: `pk_test_${Buffer.from(`127.0.0.1:${clerkPort}$`).toString('base64')}`,
    CLERK_API_URL: `http://127.0.0.1:${clerkPort}`,
    CLERK_JWT_KEY: await exportSPKI(publicKey),
  },
  stdio: ['ignore', 'ignore', 'inherit'],
})

try {
  await until(async () => (await fetch(`${base}/readyz`)).ok)
  await Promise.all(tokens.map((_, i) => fetch(`${base}/api/wallet?app=video`, { headers: bearer(i) })))
  const rounds: Record<'healthy' | 'hanging', number[]> = { healthy: [], hanging: [] }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const state of ['healthy', 'hanging'] as const) {
      hanging = state === 'hanging'
      const { perSecond, p99, statuses } = await measure()
      // The first round warms up plans, caches and the compiler.
      if (round > 0) rounds[state].push(perSecond)
      const name = round === 0 ? 'warm-up' : `round ${round}`
      console.log(`${name}, ${state}: ${perSecond.toFixed(0)} wallets/s, p99 ${p99} ms; xToken: ${statuses}`)
      hanging = false
      clerk.closeAllConnections()
      await until(async () => (await fetch(`${base}/api/xToken`, { headers: bearer(0) })).ok)
    }
  }
  const ratios = rounds.hanging.map((perSecond, i) => perSecond / (rounds.healthy[i] ?? Number.NaN))
  const sorted = ratios.sort((a, b) => a - b)
  console.log(
    `hanging ÷ healthy: ${sorted[Math.floor(sorted.length / 2)]?.toFixed(2)} (${sorted.map((r) => r.toFixed(2))})`,
  )
} finally {
  service.kill('SIGTERM')
  await once(service, 'exit')
  clerk.closeAllConnections()
  clerk.close()
  await postgres.stop()
}

/** Sends wallet requests as fast as they are answered, and token requests at a steady rate. */
async function measure() {
  const agent = new Agent({ connections: 1_000 })
  const { hostname } = new URL(base)
  const counts = new Map<number, number>()
  const asking: Promise<void>[] = []
  const timer = setInterval(() => {
    const headers = bearer(asking.length)
    const answer = agent.request({ origin: `http://${hostname}:${port}`, path: '/api/xToken', method: 'GET', headers })
    asking.push(
      answer.then(async ({ statusCode, body }) => {
        await body.dump()
        counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1)
      }),
    )
  }, 1000 / TOKENS_PER_SECOND)
  const result = await autocannon({
    url: `${base}/api/wallet`,
    connections: CONNECTIONS,
    duration: ROUND_SECONDS,
    requests: tokens.map((_, i) => ({ headers: bearer(i) })),
  })
  clearInterval(timer)
  await Promise.all(asking)
  await agent.close()
  if (result.non2xx || result.errors) throw new Error(`${result.non2xx} refusals, ${result.errors} errors`)
  const statuses = [...counts].map(([status, count]) => `${count} × ${status}`).join(', ')
  return { perSecond: result.requests.total / result.duration, p99: result.latency.p99, statuses }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (await holds().catch(() => false)) return
    await sleep(100)
  }
  throw new Error('The condition did not hold within 30 s within 30 s.')
}
