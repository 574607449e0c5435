import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4 } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { readAddress } from '../addresses.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The client's IP address in plain form. Use it instead of `ip`, which is that of the socket: often a proxy's. */
    readonly address: string
  }
}

/**
 * Decorates requests with `address`. Fastify's own `trustProxy` keeps what a proxy wrote, such as a port that differs with
 * each connection: every limit by address would count it as another client.
 */
export function registerClientAddress(app: FastifyInstance): void {
  const trusted = blockList(app.config.trustProxy)
  app.decorateRequest('address', {
    getter() {
      return clientAddress(this.raw, trusted)
    },
  })
}

/**
 * The nearest address that is not one of our proxies. X-Forwarded-For is read from its end, for as long as the address that added an
 * entry is trusted. An entry that is not an address (`unknown`) ends the search: all clients of that proxy count as the proxy.
 */
function clientAddress({ socket, headers }: IncomingMessage, trusted: BlockList | undefined): string {
  let address = readAddress(socket.remoteAddress ?? '') ?? 'unknown'
  const forwarded = headers['x-forwarded-for']
  if (!trusted || forwarded === undefined) return address
  for (const hop of String(forwarded).split(',').toReversed()) {
    if (!trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')) break
    const before = readAddress(hop)
    if (!before) break
    address = before
  }
  return address
}

/** @param proxies addresses and CIDRs, as config.ts has checked them; undefined where there are none */
function blockList(proxies: string[]): BlockList | undefined {
  if (!proxies.length) return undefined
  const list = new BlockList()
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
