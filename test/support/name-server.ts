import { createSocket } from 'node:dgram'
import { getServers, setServers } from 'node:dns'
import { once } from 'node:events'
import ipaddr from 'ipaddr.js'
import type { Test } from 'tap'

const TYPES: Record<number, 'A' | 'AAAA'> = { 1: 'A', 28: 'AAAA' }
const NO_SUCH_NAME = 3

/**
 * Makes a name server of our own the process's, until the test ends.
 * @param answer the addresses of a name; undefined: there is no such name; null: the server does not answer
 */
export async function startNameServer(
  t: Test,
  answer: (name: string, type: 'A' | 'AAAA') => string[] | undefined | null,
): Promise<void> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const { name, end } = readName(query)
    const type = TYPES[query.readUInt16BE(end)]
    const addresses = type && answer(name, type)
    if (addresses === null) return
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180 | (addresses ? 0 : NO_SUCH_NAME), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(addresses?.length ?? 0, 6)
    const answers = (addresses ?? []).map((text) => {
      const bytes = Buffer.from(ipaddr.parse(text).toByteArray())
      const record = Buffer.alloc(12)
      // The name of the question, its type, class IN, a time to live of 0.
      record.writeUInt16BE(0xc00c, 0)
      query.copy(record, 2, end, end + 4)
      record.writeUInt16BE(bytes.length, 10)
      return Buffer.concat([record, bytes])
    })
    socket.send(Buffer.concat([header, query.subarray(12, end + 4), ...answers]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const before = getServers()
  setServers([`127.0.0.1:${socket.address().port}`])
  t.teardown(() => {
    setServers(before)
    socket.close()
  })
}

/** The name of a query's question, and where it ends. */
function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), end: at + 1 }
}
