import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'

/** What a gate does with a request instead of passing it on; undefined: it passes. */
export type Rule = (request: Seen, reply: ServerResponse, pass: () => Promise<Response>) => Promise<boolean> | boolean

export interface Seen {
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
  /** When it arrived and when it was answered, in ms */
  from: number
  to: number
}

/**
 * A recording proxy between a command line and the service. `rule` may replace an answer.
 * Logins through it are told to poll every second.
 * @param target the service; absent: everything is answered by `rule`
 */
export async function openGate(t: Test, target: string | undefined, rule: Rule = () => false) {
  const requests: Seen[] = []
  const server = createServer(async (incoming, reply) => {
    const body = await buffer(incoming)
    const { method = 'GET', url = '/', headers } = incoming
    const seen: Seen = { method, path: url, headers, body: body.toString(), from: Date.now(), to: 0 }
    requests.push(seen)
    reply.on('close', () => {
      seen.to = Date.now()
    })
    const pass = () => {
      const { host, connection, 'content-length': length, ...passed } = headers
      return fetch(`${target}${url}`, {
        method,
        headers: passed as Record<string, string>,
        redirect: 'manual',
        ...(body.length && { body }),
      })
    }
    if (await rule(seen, reply, pass)) return
    const answer = await pass()
    const type = answer.headers.get('content-type') ?? ''
    const said = await answer.text()
    reply.writeHead(answer.status, {
      'content-type': type,
      ...(answer.headers.get('retry-after') && { 'retry-after': answer.headers.get('retry-after') ?? '' }),
    })
    reply.end(isLogin(url) ? said.replace(/"interval":\d+/, '"interval":1') : said)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://localhost:${port}`,
    requests,
    polls: () => requests.filter(isPoll),
  }
}

const isLogin = (url: string) => url.startsWith('/api/device/') || url.startsWith('/oauth/device_authorization')

/** A device asks for its token, by the standard endpoint or an older server's. */
export const isPoll = ({ path }: Pick<Seen, 'path'>): boolean => path === '/oauth/token' || path === '/api/device/poll'

/** Answers with JSON. */
export function answer(
  reply: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): true {
  reply.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  return true
}
