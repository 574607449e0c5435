/**
 * `npm run test:attacks -- --seconds 60`: a thousand well-behaved clients, and beside them callers that send what costs most, all from one
 * address. It prints what the well-behaved clients met before and during it, and fails where one of them got a 5xx or no answer.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { migratedDatabase, mustBeRight } from '../bench/database.ts'
import { identityEnv, mint, type Person, peopleOf } from '../bench/people.ts'
import { startServer } from '../bench/processes.ts'
import { query } from './support/database.ts'
import { startPostgres } from './support/postgres.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } })
const DURING_MS = Number(values.seconds) * 1000
const BEFORE_MS = 20_000
const CLIENTS = 1_000
/** How often a well-behaved client asks, in ms. */
const EVERY_MS = 5_000

const postgres = await startPostgres()
const url = await migratedDatabase(postgres.url, 'attacked')
const webhookSecret = `whsec_${Buffer.from('a secret of the webhook for tests').toString('base64')}`
const service = await startServer('../src/server.ts', {
  DATABASE_URL: url,
  LOG_LEVEL: 'fatal',
  NODE_OPTIONS: '--max-old-space-size=256',
  CLERK_WEBHOOK_SECRET: webhookSecret,
  ...identityEnv,
})
const { port } = service
const agent = new Agent({ keepAlive: true, maxSockets: 2_000 })

interface Answer {
  /** 0: none */
  status: number
  body: string
  ms: number
}

function ask(path: string, headers: Record<string, string> = {}, payload?: string): Promise<Answer> {
  const began = performance.now()
  return new Promise((resolve) => {
    const end = (status: number, body = '') => resolve({ status, body, ms: performance.now() - began })
    const sent = httpRequest(
      { agent, host: '127.0.0.1', port, path, timeout: 10_000, method: payload === undefined ? 'GET' : 'POST' },
      (response) => {
        let body = ''
        response.setEncoding('latin1').on('data', (text: string) => {
          if (body.length < 1_000) body += text
        })
        response.on('end', () => end(response.statusCode ?? 0, body)).on('error', () => end(0))
      },
    )
    sent.on('timeout', () => sent.destroy()).on('error', () => end(0))
    for (const [name, value] of Object.entries(headers)) sent.setHeader(name, value)
    if (payload !== undefined) sent.setHeader('content-type', 'application/json')
    sent.end(payload)
  })
}

const people = peopleOf(CLIENTS + 2)
const signedIn = async (person: Person) => ({ authorization: `Bearer ${await mint(person)}` })

/** What the well-behaved met. */
function record() {
  const times: number[] = []
  const statuses: Record<number, number> = {}
  return {
    add({ status, ms }: Answer) {
      times.push(ms)
      statuses[status] = (statuses[status] ?? 0) + 1
    },
    failed: () => Object.entries(statuses).some(([status]) => Number(status) >= 500 || status === '0'),
    say(name: string) {
      times.sort((one, other) => one - other)
      const at = (part: number) => `${Math.round(times[Math.floor((times.length - 1) * part)] ?? 0)} ms`
      console.log(
        `${name}: ${times.length} requests ${JSON.stringify(statuses)}, p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`,
      )
    },
  }
}

/** A wallet, a job, its end, and the list: over and over, every few seconds one of them. */
async function behave(person: Person, until: number, { add }: ReturnType<typeof record>, first: number): Promise<void> {
  await sleep(first)
  const headers = await signedIn(person)
  for (let step = 0; performance.now() < until; step++) {
    const began = performance.now()
    if (step % 3 === 0) add(await ask('/api/wallet', headers))
    if (step % 3 === 1) {
      const created = await ask('/api/jobs', headers, '{"app":"notes","action":"write","cost_estimate":0}')
      add(created)
      const { job_id } = created.status === 200 ? JSON.parse(created.body) : { job_id: randomUUID() }
      if (created.status === 200)
        add(await ask('/api/jobs/complete', headers, JSON.stringify({ job_id, actual_cost: 0 })))
    }
    if (step % 3 === 2) add(await ask('/api/jobs?limit=20', headers))
    await sleep(Math.max(0, EVERY_MS - (performance.now() - began)))
  }
}

async function phase(name: string, ms: number) {
  const met = record()
  const until = performance.now() + ms
  await Promise.all(people.slice(0, CLIENTS).map((person, n) => behave(person, until, met, (n * EVERY_MS) / CLIENTS)))
  met.say(name)
  return met
}

let attacking = true
const attacks: Record<string, Record<number, number>> = {}
const count = (attack: string, { status }: Pick<Answer, 'status'>) => {
  const statuses = attacks[attack] ?? {}
  attacks[attack] = statuses
  statuses[status] = (statuses[status] ?? 0) + 1
}
const HUGE = `{"n":[${Array(2_300).fill('1e308').join(',')}]}`

/** So many callers that do something again and again. */
const callers = (callers: number, pauseMs: number, act: (n: number) => Promise<unknown>) =>
  Promise.all(
    Array.from({ length: callers }, async () => {
      for (let n = 0; attacking; n++) {
        await act(n)
        await sleep(pauseMs)
      }
    }),
  )

/** Jobs with large metadata, as large as it may be; some from before there were bounds. */
async function fill(person: Person): Promise<void> {
  const headers = await signedIn(person)
  const metadata = { t: 'x'.repeat(16_000) }
  const body = JSON.stringify({ app: 'notes', action: 'write', cost_estimate: 0, metadata })
  for (let n = 0; n < 200; n++) await ask('/api/jobs', headers, body)
  await query(
    url,
    'update jobs set metadata = $1 where account_id = $2 and id in (select id from jobs where account_id = $2 limit 20)',
    [HUGE, person.accountId],
  )
}

async function attack(): Promise<void> {
  const [eve, mallory] = people.slice(CLIENTS) as [Person, Person]
  const [eves, mallorys] = [await signedIn(eve), await signedIn(mallory)]
  const create = `{"app":"notes","action":"write","cost_estimate":0,"metadata":${HUGE}}`
  const jwt = eves.authorization.slice(0, -4)
  const unread = (path: string, headers: Record<string, string>) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const sent = `GET ${path} HTTP/1.1\r\nhost: localhost\r\n${lines.join('')}\r\n`
    return new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.on('close', () => resolve())
      socket.pause()
      socket.write(sent.repeat(6))
      const watch = setInterval(() => {
        if (attacking) return
        clearInterval(watch)
        socket.destroy()
      }, 500)
    })
  }
  await Promise.all([
    callers(5, 50, async () => count('numbers of 309 digits', await ask('/api/jobs', mallorys, create))),
    callers(30, 50, async () => count('lists of large jobs', await ask('/api/jobs?limit=200', eves))),
    callers(50, 100, () => unread('/api/jobs?limit=200', eves)),
    callers(50, 100, () => unread('/api/openapi.json', {})),
    callers(5, 20, async (n) =>
      count('junk cookies', await ask('/api/wallet', { cookie: `__session=${n}; focus_session_${port}=${n}` })),
    ),
    callers(5, 20, async (n) =>
      count('junk tokens', await ask('/api/wallet', { authorization: `Bearer focus_pat_${n}` })),
    ),
    callers(5, 20, async (n) =>
      count('forged JWTs', await ask('/api/wallet', { authorization: `Bearer ${jwt}${String(n).padStart(4, '0')}` })),
    ),
    callers(5, 20, async (n) => {
      const headers = {
        'svix-id': `msg_${n}`,
        'svix-timestamp': String(Math.floor(Date.now() / 1000)),
        'svix-signature': `v1,${createHmac('sha256', 'x').update(String(n)).digest('base64')}`,
      }
      count('forged deliveries', await ask('/api/webhooks/clerk', headers, '{"type":"user.deleted"}'))
    }),
  ])
}

try {
  await Promise.all(people.slice(CLIENTS).map(fill))
  await phase('before', BEFORE_MS)
  const attackers = attack()
  const met = await phase('under attack', DURING_MS)
  attacking = false
  await attackers
  for (const [name, statuses] of Object.entries(attacks)) console.log(`  ${name}: ${JSON.stringify(statuses)}`)
  await phase('after', BEFORE_MS)
  await mustBeRight(url)
  if (met.failed()) throw new Error('A well-behaved client was not served.')
} finally {
  agent.destroy()
  await service.stop()
  await postgres.stop()
}
process.exit()
