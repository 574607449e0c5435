import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'

/**
 * What happens to a request: it is answered; it is cut off before the service has it, after the service has done it, or in the middle of the
 * answer; it is held until the client gives up; or something else than the service answers.
 */
export type Fate =
  | 'pass'
  | 'before'
  | 'after'
  | 'amid'
  | 'silent'
  | { status: number; headers?: Record<string, string> }

interface Seen {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
}

/** A network between a client and a service, on which answers get lost. `target` may change; every header passes as it is. */
export async function startNetwork(t: Test, target: string) {
  const seen: Seen[] = []
  const network = {
    url: '',
    target,
    requests: seen,
    fate: (_request: Seen): Fate => 'pass',
    count: (path: string) => seen.filter((request) => request.path.startsWith(path)).length,
  }
  const server = createServer(async (incoming, reply) => {
    const body = await buffer(incoming)
    const { method = 'GET', url: path = '/', headers } = incoming
    const request = { method, path, headers, body: body.toString() }
    seen.push(request)
    const fate = network.fate(request)
    if (fate === 'silent') return
    if (fate === 'before') return void incoming.socket.destroy()
    if (typeof fate === 'object') return void reply.writeHead(fate.status, fate.headers).end('<h1>not the API</h1>')
    const answer = await forward(network.target, request, body).catch(() => undefined)
    if (fate === 'after' || !answer) return void incoming.socket.destroy()
    answered(reply, answer, fate === 'amid')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  network.url = `http://localhost:${(server.address() as AddressInfo).port}`
  return network
}

interface Forwarded {
  message: IncomingMessage
  body: Buffer
}

async function forward(target: string, { method, path, headers }: Seen, body: Buffer): Promise<Forwarded> {
  const outgoing = request(new URL(path, target), { method, headers: { ...headers, host: new URL(target).host } })
  outgoing.end(body)
  const [message] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { message, body: await buffer(message) }
}

function answered(reply: ServerResponse, { message, body }: Forwarded, amid: boolean): void {
  reply.sendDate = false
  reply.writeHead(message.statusCode ?? 500, message.rawHeaders)
  if (!amid) return void reply.end(body)
  reply.write(body.subarray(0, body.length / 2))
  reply.socket?.end()
}
