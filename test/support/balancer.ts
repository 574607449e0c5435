import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/**
 * A small load balancer: in turn to those that are ready, over connections that it keeps, and to the next one where a
 * connection is refused. A connection that breaks under a request is answered 502, because the outcome is unknown.
 */
export async function startBalancer(t: Test, ports: readonly number[]) {
  const agent = new Agent({ keepAlive: true })
  const ready = new Set(ports)
  let turn = 0
  const checks = ports.map((port) => setInterval(check, 100, port))

  async function check(port: number): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) ready.add(port)
    else ready.delete(port)
  }

  async function forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await buffer(incoming)
    for (let attempt = 0; attempt < 200; attempt++) {
      const able = ports.filter((port) => ready.has(port))
      const port = (able.length ? able : ports)[turn++ % (able.length || ports.length)]
      const { method, url: path, headers } = incoming
      const sent = request({ agent, host: '127.0.0.1', port, method, path, headers })
      sent.end(body)
      try {
        const [answer] = (await once(sent, 'response')) as [IncomingMessage]
        const { connection: _ours, 'transfer-encoding': _length, ...passed } = answer.headers
        outgoing.writeHead(answer.statusCode ?? 500, passed).end(await buffer(answer))
        return
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') {
          outgoing.writeHead(502).end(JSON.stringify({ error: String(error) }))
          return
        }
        await sleep(5)
      }
    }
    outgoing.writeHead(503).end('{}')
  }

  const server = createServer((incoming, outgoing) => {
    forward(incoming, outgoing).catch((error) => outgoing.destroy(error))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const timer of checks) clearInterval(timer)
    server.closeAllConnections()
    server.close()
    agent.destroy()
  })
  return { url: `http://localhost:${(server.address() as AddressInfo).port}` }
}
