import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

/**
 * Serves `GET /metrics` on a separate port, which must not be public. Call it before the app listens; it closes with the app.
 * @param port 0: any free port
 * @returns the port that it listens on
 * @throws {Error} with a system error code such as EADDRINUSE
 */
export async function listenForMetrics(app: FastifyInstance, port: number): Promise<number> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, async (request, response) => {
    response.setHeader('connection', 'close')
    if (request.method !== 'GET' || request.url?.split('?', 1)[0] !== '/metrics') return response.writeHead(404).end()
    try {
      const answer = await app.metrics.read?.()
      if (!answer) return response.writeHead(404).end()
      response.setHeader('content-type', answer.type).end(answer.text)
    } catch (error) {
      app.log.error({ err: error }, 'could not collect the metrics')
      response.writeHead(500).end()
    }
  })
  app.addHook('onClose', async () => void server.close())
  server.listen(port, app.config.host)
  // Rejects when the server emits 'error'.
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
