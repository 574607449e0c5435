/**
 * The load generator, a separate process (started by processes.ts). It shares two cores with the service, so it does as little
 * work as possible: requests are prepared as bytes, only the status and the length of an answer are parsed, and each connection has
 * one request at a time. `fetch` or autocannon would use as much CPU as the service itself.
 */
import { once } from 'node:events'
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import { JOB_ID } from './requests.ts'
import { cpuSecondsOf, cpuSecondsOfPostgres } from './usage.ts'

export interface Load {
  /** The processes that answer, and their ports. Connections are distributed among them in turn */
  servers: { port: number; pid: number }[]
  /** The process id of their Postgres */
  postmasters: number[]
  connections: number
  /** When to stop sending; running requests are completed */
  seconds: number
  /** Whole HTTP/1.1 requests */
  requests: string[]
  /** Which request is next. random: any; once: each once, in order; own: each connection repeats one request, shared with its neighbor */
  take?: 'random' | 'once' | 'own'
  /** The request that follows on the same connection, with JOB_ID as placeholder for the job that the first one created */
  followUps?: string[]
  /** The status of every answer; any other one ends the round as a fault */
  expected: number
}

export interface Measured {
  requests: number
  /** From the first request to the last answer */
  seconds: number
  /** ms */
  p50: number
  p99: number
  max: number
  /** Answers to each connection */
  answers: number[]
  /** CPU time meanwhile, in seconds: of the processes that answer, of Postgres, and of this process */
  cpu: { server: number; postgres: number; load: number }
}

interface FollowUp {
  bytes: Buffer
  at: number
}

process.on('message', async (load: Load) => {
  try {
    process.send?.({ measured: await run(load) })
  } catch (error) {
    process.send?.({ fault: (error as Error).message })
  }
})
process.on('disconnect', () => process.exit())

async function run({ servers, postmasters, connections, seconds, expected, take, ...texts }: Load): Promise<Measured> {
  const requests = texts.requests.map((text) => Buffer.from(text))
  const followUps = texts.followUps?.map((text) => ({ bytes: Buffer.from(text), at: text.indexOf(JOB_ID) }))
  // µs
  const latencies = createHistogram({ figures: 3 })
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  failed.catch(() => {})
  let taken = 0
  const answers = Array.from({ length: connections }, () => 0)
  let deadline = Number.POSITIVE_INFINITY

  const clients = await Promise.all(answers.map((_, i) => client(i)))
  const used = usage()
  const begun = performance.now()
  deadline = begun + seconds * 1000
  try {
    await Promise.race([Promise.all(clients.map((start) => start())), failed])
  } finally {
    for (const { socket } of clients) socket.destroy()
  }
  const elapsed = (performance.now() - begun) / 1000
  const now = usage()
  return {
    requests: answers.reduce((sum, count) => sum + count, 0),
    seconds: elapsed,
    p50: latencies.percentile(50) / 1000,
    p99: latencies.percentile(99) / 1000,
    max: latencies.max / 1000,
    answers,
    cpu: { server: now.server - used.server, postgres: now.postgres - used.postgres, load: now.load - used.load },
  }

  function usage() {
    const { user, system } = process.cpuUsage()
    return {
      server: servers.reduce((sum, { pid }) => sum + cpuSecondsOf(pid), 0),
      postgres: cpuSecondsOfPostgres(postmasters),
      load: (user + system) / 1e6,
    }
  }

  function next(connection: number): number {
    if (performance.now() >= deadline) return -1
    if (take === 'once') return taken < requests.length ? taken++ : -1
    return Math.floor((take === 'own' ? connection / connections : Math.random()) * requests.length)
  }

  async function client(connection: number) {
    const { port } = servers[connection % servers.length] as { port: number }
    const { promise: done, resolve: finish } = Promise.withResolvers<void>()
    const scratch = Buffer.alloc(Math.max(0, ...(followUps ?? []).map(({ bytes }) => bytes.length)))
    let current = 0
    let first = true
    let sent = 0
    let unread = 0
    let head = Buffer.alloc(0)
    const onread: OnReadOpts = { buffer: Buffer.alloc(65_536), callback: (size, bytes) => read(bytes, size) }
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
    socket.on('error', fail).on('close', () => fail(new Error('The service closed a connection.')))
    await Promise.race([once(socket, 'connect'), failed])
    return Object.assign(ask, { socket })

    function ask(): Promise<void> {
      current = next(connection)
      const request = requests[current]
      if (request) send(request)
      else finish()
      return done
    }

    function send(bytes: Uint8Array): void {
      sent = performance.now()
      socket.write(bytes)
    }

    function read(bytes: Uint8Array, size: number): boolean {
      if (unread > 0) {
        unread -= size
        if (unread <= 0) answer(Buffer.alloc(0))
        return true
      }
      let got = Buffer.from(bytes.buffer, bytes.byteOffset, size)
      if (head.length) got = Buffer.concat([head, got])
      const end = got.indexOf('\r\n\r\n')
      if (end < 0) {
        head = Buffer.from(got)
        return true
      }
      head = Buffer.alloc(0)
      const status = (got[9] ?? 0) * 100 + (got[10] ?? 0) * 10 + (got[11] ?? 0) - 5328
      if (status !== expected) fail(new Error(got.toString('latin1', 0, end + 500)))
      const at = got.indexOf('content-length: ')
      unread = end + 4 - got.length + Number.parseInt(got.toString('latin1', at + 16, at + 26), 10)
      if (unread <= 0) answer(got.subarray(end + 4))
      return true
    }

    function answer(body: Buffer): void {
      latencies.record(Math.max(1, Math.round((performance.now() - sent) * 1000)))
      answers[connection] = (answers[connection] ?? 0) + 1
      const followUp = first && followUps?.[current]
      first = !followUp
      if (followUp) send(settling(followUp, body))
      else ask()
    }

    function settling({ bytes, at }: FollowUp, body: Buffer): Uint8Array {
      const id = body.indexOf('"job_id":"') + 10
      bytes.copy(scratch)
      body.copy(scratch, at, id, id + JOB_ID.length)
      return scratch.subarray(0, bytes.length)
    }
  }
}
