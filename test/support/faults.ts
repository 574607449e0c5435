import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { nodeUrls, query } from './database.ts'

/**
 * Where a connection breaks: before the statement reaches the server; when the server has run it and has not been told
 * to commit; when it has committed and its answer is on the way.
 */
export type Point = 'before' | 'between' | 'after'
export const POINTS: Point[] = ['before', 'between', 'after']

/** Whether these bytes send a statement of this name; on a cluster it may have a form of its own. */
const sends = (bytes: Buffer, name: string): boolean =>
  bytes.includes(`${name}\0`) || bytes.includes(`${name}_in_shard\0`)

/** Where the message of Postgres' protocol that commits begins: the first that names the statement. */
function commitIn(bytes: Buffer): number {
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1))
    if (bytes.subarray(at, at + 1 + bytes.readInt32BE(at + 1)).includes('commit\0')) return at
  throw new Error('These statements do not commit.')
}

/** A network between the service and a Postgres server that breaks the connection at a chosen statement. */
export async function startFaults(t: Test, target: string) {
  const { hostname, port } = new URL(target)
  let armed = { markers: [] as string[], point: 'before' as Point }
  let cuts = 0
  const listener = createServer((client) => {
    const server = connect(Number(port), hostname)
    client.on('error', () => {}).on('close', () => server.destroy())
    server.on('error', () => {}).on('close', () => client.destroy())
    server.on('data', (bytes) => client.write(bytes))
    client.on('data', (bytes: Buffer) => {
      const [marker] = armed.markers
      if (marker === undefined || !sends(bytes, marker)) return server.write(bytes)
      armed.markers.shift()
      cuts++
      breakAt(armed.point, bytes, client, server).catch((error) => t.fail(error))
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => listener.close())

  async function breakAt(point: Point, bytes: Buffer, client: Socket, server: Socket): Promise<void> {
    server.removeAllListeners('data')
    if (point === 'between') {
      server.write(bytes.subarray(0, commitIn(bytes)))
      await hasWritten()
    }
    if (point === 'after') {
      server.write(bytes)
      await once(server, 'data')
    }
    client.destroy()
  }

  /** Waits until the statement has run in a transaction that is still open. */
  async function hasWritten(): Promise<void> {
    // On a cluster it is a node that writes, for the coordinator.
    const open = `select from pg_stat_activity where datname = current_database() and backend_xid is not null
      and (application_name = 'focus-api' or application_name like 'citus\\_internal%')`
    for (let i = 0; i < 500; i++) {
      for (const database of nodeUrls(target)) if ((await query(database, open)).length > 0) return
      await sleep(5)
    }
    throw new Error('The statement wrote nothing.')
  }

  const url = new URL(target)
  url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`
  return {
    url: url.href,
    /** Breaks the connection when statements of these names are sent, one after the other, each once */
    arm(statements: string[], point: Point): void {
      armed = { markers: [...statements], point }
      cuts = 0
    },
    /** How many times it did */
    cuts: () => cuts,
  }
}
