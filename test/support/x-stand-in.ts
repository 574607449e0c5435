import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export const me = { data: { id: '2244994945', name: 'X Dev', username: 'TwitterDev' } }

/** A stand-in for X's API on a port of its own: it records requests and answers by the handler. */
export async function startX(t: Test) {
  const requests: { method: string | undefined; url: string | undefined; headers: IncomingHttpHeaders }[] = []
  const asUsual: RequestListener = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(me))
  }
  let answer = asUsual
  const server = createServer((request, response) => {
    const { method, url, headers } = request
    requests.push({ method, url, headers })
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  t.teardown(stop)
  return {
    url,
    requests,
    stop,
    /** Sets the handler. */
    answers(next: RequestListener = asUsual) {
      answer = next
    },
  }
}
