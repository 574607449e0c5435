import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

/**
 * Answers `GET /metrics` on a port of its own, which is not published where the service is; it closes with the app, which
 * is not listening yet.
 * @param port 0: any
 * @returns the port
 * @throws when nobody may listen there
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
      app.log.error({ err: error }, 'the metrics could not be read')
      response.writeHead(500).end()
    }
  })
  app.addHook('onClose', async () => void server.close())
  server.listen(port, app.config.host)
  // Rejects where the port is taken.
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
