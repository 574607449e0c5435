import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import type { Test } from 'tap'
import { temporaryFolder } from './process.ts'

const account = { id: '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f', clerk_id: 'user_2abc', plan: 'free', credits: 1, held: 0 }

/** What `focus whoami` asks for. */
const answerWhoami: http.RequestListener = (request, response) => {
  const body = request.url === '/api/tokens' ? { tokens: [] } : { account, apps: [] }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A server that is reached only by way of a proxy: its host name is no name of DNS, and no authority signed its certificate. */
export async function behindProxy(t: Test) {
  const host = 'focus.test'
  const { cert, private: key } = await generate([{ name: 'commonName', value: host }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: host }] }],
  })
  const ca = join(await temporaryFolder(t), 'ca.pem')
  await writeFile(ca, cert)
  const server = https.createServer({ cert, key }, answerWhoami)
  const asked: string[] = []
  const proxy = http.createServer().on('connect', ({ url = '' }, socket) => {
    asked.push(url)
    const onward = connect((server.address() as AddressInfo).port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    for (const end of [socket, onward]) end.on('error', () => socket.destroy())
  })
  for (const listener of [server, proxy]) {
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      listener.closeAllConnections()
      listener.close()
    })
  }
  return {
    url: `https://${host}`,
    /** The certificate, for NODE_EXTRA_CA_CERTS */
    ca,
    proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    /** Every host and port that the proxy was asked for */
    asked,
  }
}
