import { once } from 'node:events'
import { Agent, get as httpGet, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startBackground } from '../../src/background/index.ts'
import { holdAccounts } from '../support/hold.ts'
import { databaseUrl, startOwn } from '../support/start.ts'
import { until } from '../support/until.ts'

async function listening(t: Test, env: Record<string, string> = {}) {
  const service = await startOwn(t, env)
  t.teardown(startBackground(service.app))
  const url = await service.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...service, url, port: Number(new URL(url).port) }
}

/** A connection that sends, and reads nothing until it is resumed. */
function unreading(t: Test, port: number, sent = ''): Socket {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.pause()
  socket.write(sent)
  return socket
}

const request = (path: string, headers: Record<string, string> = {}, method = 'GET'): string => {
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Large metadata for so many jobs of somebody: a page of them has 1 MiB. */
async function withLargeJobs({ db, person }: Awaited<ReturnType<typeof listening>>, count = 80) {
  const somebody = await person()
  await Promise.all(Array.from({ length: count }, () => somebody.reserve(0)))
  const metadata = JSON.stringify({ t: 'x'.repeat(16_000) })
  await db.updateTable('jobs').set({ metadata }).where('account_id', '=', somebody.id).execute()
  return somebody
}

/** Postings of somebody, as they are sent. */
function reserves({ authorization }: { authorization: string }, count: number): string {
  const one = (n: number) => {
    const body = JSON.stringify({ app: 'video', action: `a${n}`, cost_estimate: 0 })
    const headers = { authorization, 'content-type': 'application/json', 'content-length': String(body.length) }
    return request('/api/jobs', headers, 'POST') + body
  }
  return Array.from({ length: count }, (_, n) => one(n)).join('')
}

t.test('two hundred pipelined requests are answered in their order, sixteen at a time', async (t) => {
  const { app, db, port, person } = await listening(t)
  const ada = await person()
  let underWay = 0
  let most = 0
  const { post } = app.ledger
  app.ledger.post = async (operation) => {
    most = Math.max(most, ++underWay)
    return post(operation).finally(() => underWay--)
  }
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write(reserves(ada, 200) + request('/healthz', { connection: 'close' }))
  const answers = await text(socket)
  t.equal(answers.match(/HTTP\/1.1 200 /g)?.length, 201)
  t.match(answers, /\{"status":"ok"\}$/, 'the last is the last')
  t.equal(most, 16)
  const ids = [...answers.matchAll(/"job_id":"([^"]+)"/g)].map(([, id]) => id ?? '')
  const jobs = await db.selectFrom('jobs').select(['id', 'action']).where('account_id', '=', ada.id).execute()
  const actions = new Map(jobs.map(({ id, action }) => [id, action]))
  t.strictSame(
    ids.map((id) => actions.get(id)),
    Array.from({ length: 200 }, (_, n) => `a${n}`),
  )
})

t.test('while sixteen requests of a connection are under way, it is not read', async (t) => {
  const { app, port, url, person } = await listening(t)
  const ada = await person()
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const accepted = once(app.server, 'connection')
  const client = connect({ port, host: '127.0.0.1' })
  t.teardown(() => client.destroy())
  client.write(reserves(ada, 20))
  const [served] = (await accepted) as [Socket]
  await hold.waiting(1)
  await until(() => served.isPaused())
  const read = served.bytesRead
  client.write(reserves(ada, 80) + request('/healthz', { connection: 'close' }))
  for (let n = 0; n < 20; n++) await (await fetch(`${url}/healthz`)).text()
  t.equal(served.bytesRead, read)
  await hold.release()
  t.equal((await text(client)).match(/HTTP\/1.1 200 /g)?.length, 101, 'all are answered in the end')
})

t.test('more requests than can wait cost the connection', async (t) => {
  const { port, url, person } = await listening(t)
  const ada = await person()
  const hold = await holdAccounts(t, await databaseUrl(), ada.id)
  const junk = request('/').repeat(2_000)
  const clients = Array.from({ length: 5 }, () => {
    const client = connect({ port, host: '127.0.0.1' })
    client.on('error', () => {})
    t.teardown(() => client.destroy())
    client.write(reserves(ada, 16))
    return client
  })
  await hold.waiting(1)
  for (const client of clients) client.write(junk)
  await Promise.race(clients.map((client) => new Promise<void>((resolve) => client.once('close', () => resolve()))))
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  await hold.release()
})

t.test('an answer that nobody takes is given up', async (t) => {
  const service = await listening(t)
  const { app, port } = service
  t.equal(app.connections.patienceMs, 30_000)
  // The same, in less of a test's time.
  app.connections.patienceMs = 1_500
  const { cookie } = await withLargeJobs(service)
  const sockets = Array.from({ length: 3 }, () =>
    unreading(t, port, request('/api/jobs?limit=200', { cookie }).repeat(5)),
  )
  await until(async () => app.connections.unread() > 5_000_000)
  await until(async () => app.connections.unread() === 0)
  for (const socket of sockets) socket.resume()
  await Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close')))
  t.equal((await fetch(`${service.url}/api/wallet`, { headers: { cookie } })).status, 200)
})

t.test('a slow reader gets all of it while it takes something, and idle connections stay', async (t) => {
  const service = await listening(t)
  const { app, port, url } = service
  app.connections.patienceMs = 1_000
  const { cookie } = await withLargeJobs(service)
  const idle = new Agent({ keepAlive: true })
  t.teardown(() => idle.destroy())
  const ask = () =>
    new Promise<IncomingMessage>((resolve) => httpGet(`${url}/healthz`, { agent: idle }, resolve)).then(text)
  await ask()
  const socket = unreading(
    t,
    port,
    request('/api/jobs?limit=200', { cookie }).repeat(6) + request('/healthz', { connection: 'close' }),
  )
  let bytes = 0
  const reading = (async () => {
    for await (const chunk of socket) {
      bytes += chunk.length
      await sleep(3)
    }
  })()
  await reading
  t.ok(bytes > 6_000_000, `${bytes} bytes`)
  await ask()
})

t.test('sixteen lists of an account are under way, and the next is refused', async (t) => {
  const { url, person } = await listening(t)
  const [ada, bob] = [await person(), await person()]
  const list = async ({ authorization }: { authorization: string }, path = '/api/jobs') => {
    const answer = await fetch(`${url}${path}`, { headers: { authorization } })
    return { status: answer.status, retryAfter: answer.headers.get('retry-after'), body: await answer.json() }
  }
  const hold = await holdAccounts(t, await databaseUrl())
  await hold.lockTable('jobs')
  const sixteen = Array.from({ length: 16 }, () => list(ada))
  await hold.waiting(2)
  let refused: Awaited<ReturnType<typeof list>> | undefined
  await until(async () => {
    refused = await Promise.race([list(ada), sleep(500, undefined, { ref: false })])
    return refused !== undefined
  })
  t.match(refused, { status: 429, retryAfter: '1', body: { error: 'too_many_at_once' } })
  t.equal((await list(ada, '/api/wallet')).status, 200, 'small answers are served')
  t.equal((await list(bob, '/api/wallet/entries')).status, 200, 'and others: two connections of the pool wait, not all')
  t.equal((await hold.waiting(2)).length, 2)
  await hold.release()
  for (const { status } of await Promise.all(sixteen)) t.equal(status, 200)
  t.equal((await list(ada)).status, 200)
})

t.test('two hundred postings and two hundred wallets at once from one account are served', async (t) => {
  const { url, person } = await listening(t)
  const { authorization } = await person()
  const all = Array.from({ length: 400 }, (_, n) =>
    n % 2
      ? fetch(`${url}/api/wallet`, { headers: { authorization } })
      : fetch(`${url}/api/jobs`, {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/json' },
          body: '{"app":"video","action":"a","cost_estimate":0}',
        }),
  )
  const statuses = new Set((await Promise.all(all)).map(({ status }) => status))
  t.strictSame([...statuses], [200])
})
