import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A network that can fail, between the service and a Postgres server.
 * @param target a `postgres://` URL; the same URL through the proxy is in `url`
 */
export async function startProxy(t: Test, target: string) {
  const { hostname, port } = new URL(target)
  let silent = false
  const clients = new Set<Socket>()
  const links = new Set<{ client: Socket; server: Socket }>()
  const listener = createServer(accept)
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port: ownPort } = listener.address() as AddressInfo
  const url = new URL(target)
  url.host = `127.0.0.1:${ownPort}`
  t.teardown(refuse)

  function accept(client: Socket): void {
    clients.add(client)
    client.on('error', () => {}).on('close', () => clients.delete(client))
    if (silent) return void client.resume()
    const server = connect(Number(port), hostname)
    const link = { client, server }
    links.add(link)
    server.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => {
      links.delete(link)
      server.destroy()
    })
    client.pipe(server).pipe(client)
  }

  function cut(): void {
    for (const client of clients) client.destroy()
  }

  async function refuse(): Promise<void> {
    const closed = listener.listening && once(listener, 'close')
    listener.close()
    cut()
    await closed
  }

  return {
    url: url.href,
    /** How many connections are open through it */
    connections: () => links.size,
    /** Lets new connections through. Silenced connections stay dead. */
    async pass(): Promise<void> {
      silent = false
      if (listener.listening) return
      listener.listen(ownPort, '127.0.0.1')
      await once(listener, 'listening')
    },
    /** Breaks every connection; new ones come through */
    cut,
    /** Breaks every connection and takes no new one */
    refuse,
    /** A dropped network: connections stay open, new ones too, and no byte arrives anywhere, for ever */
    silence(): void {
      silent = true
      for (const { client, server } of links) {
        client.unpipe(server).resume()
        server.unpipe(client).resume()
      }
    },
  }
}
