import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { fetchDocument } from '../../src/oauth/client-documents.ts'

t.test('a client document that does not arrive within 5 seconds is refused, at whatever pace it comes', async (t) => {
  const slow: Record<string, RequestListener> = {
    'no answer': () => {},
    'no end': (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).write(' '),
    'a byte at a time': (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => response.write(' '), 100)
      response.on('close', () => clearInterval(timer))
    },
  }
  const began = performance.now()
  await Promise.all(
    Object.entries(slow).map(async ([what, answer]) => {
      const server = createServer(answer)
      await once(server.listen(0, '127.0.0.1'), 'listening')
      t.teardown(() => server.close())
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/client.json`
      await t.rejects(fetchDocument(url, false), { code: 'invalid_client', message: /within 5 seconds/ }, what)
    }),
  )
  t.ok(performance.now() - began < 8_000)
})
