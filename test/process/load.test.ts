import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startBackground } from '../../src/background/index.ts'
import { holdAccounts } from '../support/hold.ts'
import { launch, ready, signIn } from '../support/process.ts'
import { type App, databaseUrl, personWith, startOwn } from '../support/start.ts'
import { until } from '../support/until.ts'

// Several starts of the whole service, on a slow machine.
t.setTimeout(240_000)

const POOL_SIZE = 3

async function listening(t: Test, env: Record<string, string> = {}) {
  const service = await startOwn(t, env)
  t.teardown(startBackground(service.app))
  const url = await service.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...service, url, port: Number(new URL(url).port) }
}

/** So many requests at the same time, each on a connection of its own; how often each status came. */
async function atOnce(url: string, count: number, path: string, headers: Record<string, string>) {
  const agent = new Agent({ maxSockets: count })
  const statuses: Record<string, number> = {}
  await Promise.all(
    Array.from({ length: count }, async () => {
      const sent = httpRequest(`${url}${path}`, { agent, headers }).end()
      const status = await once(sent, 'response').then(
        async ([response]) => {
          await text(response)
          return response.statusCode
        },
        (error) => error.code,
      )
      statuses[status] = (statuses[status] ?? 0) + 1
    }),
  )
  agent.destroy()
  return statuses
}

t.test(
  'while a database queue does not drain new requests get 503 at once, and admitted ones are served',
  async (t) => {
    const lines: string[] = []
    const { app } = await startOwn(t, { DATABASE_POOL_SIZE: String(POOL_SIZE) }, (line) => lines.push(line))
    t.teardown(startBackground(app))
    const bob = await personWith(app, 100)
    const held = await Promise.all(Array.from({ length: POOL_SIZE }, () => personWith(app, 100)))
    const hold = await holdAccounts(t, await databaseUrl())
    await hold.lockTable('tokens')
    // They take every connection of the pool, and bob waits for one.
    const stuck = held.map((person) => person.get('/api/tokens'))
    await hold.waiting(POOL_SIZE)
    const began = performance.now()
    const patient = bob.get('/api/tokens')
    await until(async () => (await newcomer(app)).statusCode === 503)
    const refused = await newcomer(app)
    t.match(
      [refused.statusCode, refused.json().error, refused.headers['retry-after']],
      [503, 'overloaded', /^[1-9]\d*$/],
      `after ${Math.round(performance.now() - began)} ms`,
    )
    t.equal((await app.inject('/healthz')).statusCode, 200, 'the process lives')
    t.equal(lines.filter((line) => line.includes('overloaded: ')).length, 1, 'the log says so once')

    await hold.release()
    t.equal((await patient).statusCode, 200)
    t.strictSame(
      (await Promise.all(stuck)).map(({ statusCode }) => statusCode),
      Array(POOL_SIZE).fill(200),
    )
    await until(async () => (await newcomer(app)).statusCode === 200)
  },
)

/** Needs no database: so it does not queue itself. */
const newcomer = (app: App) => app.inject('/api/openapi.json')

t.test('a burst of a thousand requests at once waits and is served', async (t) => {
  const { url, person } = await listening(t)
  const { authorization } = await person()
  t.strictSame(await atOnce(url, 1_000, '/api/wallet', { authorization }), { 200: 1_000 })
})

t.test('an instance that is busy for seconds, and moves, is not overloaded', async (t) => {
  const { url, person } = await listening(t)
  const { cookie } = await person()
  const answers: Record<string, number> = {}
  const end = performance.now() + 3_500
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      while (performance.now() < end) {
        const { status } = await fetch(`${url}/api/wallet`, { headers: { cookie } })
        answers[status] = (answers[status] ?? 0) + 1
      }
    }),
  )
  t.strictSame(Object.keys(answers), ['200'], JSON.stringify(answers))
})

/** Toggled by SIGCONT: each turn of the event loop takes 1.4 s. */
const SPINNER = `let spinning = false
const spin = () => {
  for (const stop = performance.now() + 1_400; performance.now() < stop; );
  if (spinning) setImmediate(spin)
}
process.on('SIGCONT', () => {
  spinning = !spinning
  if (spinning) setImmediate(spin)
})`

t.test('an event loop that gets nothing done refuses at once, and takes requests again when it does', async (t) => {
  const env = { DATABASE_URL: await databaseUrl(), LOG_LEVEL: 'warn', PUBLIC_URL: 'http://localhost:3000' }
  const service = await launch(t, env, ['--import', `data:text/javascript,${encodeURIComponent(SPINNER)}`])
  await ready(service.url)
  const { cookie } = await signIn(service.url)
  const ask = async () => {
    const answer = await fetch(`${service.url}/api/wallet`, { headers: { cookie } }).catch(() => undefined)
    const body = (await answer?.json().catch(() => undefined)) as { error?: string } | undefined
    return { statusCode: answer?.status ?? 0, retryAfter: answer?.headers.get('retry-after'), body }
  }
  service.kill('SIGCONT')
  // Each takes several turns of the event loop, so the first are not answered for seconds.
  const waiting = Array.from({ length: 20 }, ask)
  let refused: Awaited<ReturnType<typeof ask>> | undefined
  for (const end = performance.now() + 20_000; !refused && performance.now() < end; await sleep(200)) {
    const asking = ask().then((answer) => {
      if (answer.body?.error === 'overloaded') refused ??= answer
      return answer
    })
    waiting.push(asking)
  }
  service.kill('SIGCONT')
  t.match(refused, { statusCode: 503, retryAfter: '2', body: { request_id: String } })
  await Promise.all(waiting)
  await until(async () => (await ask()).statusCode === 200)
})

t.test('a request that arrives too slowly is answered 408, and others are served', async (t) => {
  const { app, url, port } = await listening(t)
  t.strictSame([app.server.headersTimeout, app.server.requestTimeout], [20_000, 30_000], 'ms')
  // Shorter limits.
  Object.assign(app.server, { headersTimeout: 300, requestTimeout: 900 })
  const slow = (sent: string) => {
    const socket = connect(port, '127.0.0.1')
    socket.write(sent)
    const drops = setInterval(() => socket.write('x'), 50)
    return text(socket).finally(() => clearInterval(drops))
  }
  const head = 'POST /api/device/start HTTP/1.1\r\nHost: localhost\r\n'
  const answers = Promise.all([
    slow(`${head}X-Slow: `),
    slow(`${head}Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n`),
  ])
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  for (const answer of await answers) {
    t.match(answer, /^HTTP\/1\.1 408 /)
    const [, id] = /X-Request-Id: (\S+)/i.exec(answer) ?? []
    t.match(JSON.parse(answer.slice(answer.indexOf('{'))), { error: 'request_timeout', request_id: id })
  }
})

t.test('a body above 64 KiB is refused with our own answer, before it was sent', async (t) => {
  const { app } = await startOwn(t)
  const reply = await app.inject({
    method: 'POST',
    url: '/api/device/start',
    payload: { client_name: 'x'.repeat(70_000) },
  })
  t.match(
    [reply.statusCode, reply.json()],
    [413, { error: 'body_too_large', message: 'The body is larger than 64 KiB.', request_id: String }],
  )
})
