import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { overloaded } from './catalogue.ts'

/**
 * What a connection may hold: requests that are under way, and answers that their reader has not taken yet. A client that sends and
 * does not read costs a bounded amount of memory, for a bounded time.
 */

/** The most requests of one connection that are under way. While more have arrived, the connection is not read. */
export const MAX_PIPELINED = 16
/** With more unread bytes than this on a connection, its next request is not begun. */
const CONNECTION_BYTES = 1_048_576
/** The most bytes that wait for their readers, on all connections together. */
export const UNREAD_BYTES = 64 * 1_048_576
/** A reader that has taken nothing for so long, in ms, makes room for others where there are too many unread bytes. */
const SLOW_MS = 1_000
/** Answers from this size on, in bytes, are refused where there is no room; smaller ones never are. */
const LARGE_BYTES = 16_384
/**
 * The most requests that wait for their turn, on all connections together. What a connection has sent in one packet is parsed as a
 * whole, so one can have two thousand.
 */
const MAX_WAITING = 5_000

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** A request that is under way. */
interface Exchange {
  connection: Connection
  /** Bytes of the answer; 0 until it is sent */
  bytes: number
  /** When the answer was sent, in ms; undefined: not yet */
  sentAt: number | undefined
}

interface Connection {
  socket: Socket
  /** In the order of their requests, which is that of the answers */
  exchanges: Set<Exchange>
  waiting: [IncomingMessage, ServerResponse][]
  unread: number
  /** How many bytes its reader had taken, and when that was last more than before */
  taken: number
  takenAt: number
}

export interface Connections {
  /** Makes the server: Fastify's own, with the bounds before the handler */
  serverFactory: (handler: Handle, options: FastifyServerOptions) => Server
  /** Counts each answer until its reader has taken it */
  register(app: FastifyInstance): void
  /** Closes connections whose reader has taken nothing of an answer for `patienceMs`; to be called every second */
  giveUp(): void
  patienceMs: number
  /** Bytes that wait for their readers */
  unread(): number
}

declare module 'fastify' {
  interface FastifyInstance {
    connections: Connections
  }
}

/** @param http options of the HTTP servers that are made */
export function boundConnections(http: ServerOptions): Connections {
  const bySocket = new WeakMap<Socket, Connection>()
  const byResponse = new WeakMap<ServerResponse, Exchange>()
  /** Those with requests under way */
  const busy = new Set<Connection>()
  let unread = 0
  let waiting = 0

  function open(socket: Socket): void {
    const connection: Connection = {
      ...{ socket, exchanges: new Set<Exchange>(), waiting: [], unread: 0 },
      ...{ taken: 0, takenAt: performance.now() },
    }
    bySocket.set(socket, connection)
    // Node resumes the socket where a request has been answered; here it may still have to wait.
    socket.on('resume', () => {
      if (connection.waiting.length > 0) socket.pause()
    })
    socket.once('close', () => {
      waiting -= connection.waiting.length
      connection.waiting = []
      for (const exchange of connection.exchanges) end(exchange)
    })
  }

  const isFull = ({ exchanges, unread }: Connection) => exchanges.size >= MAX_PIPELINED || unread > CONNECTION_BYTES

  function arrive(handle: Handle, request: IncomingMessage, response: ServerResponse): void {
    const connection = bySocket.get(request.socket)
    if (!connection) handle(request, response)
    else if (connection.waiting.length === 0 && !isFull(connection)) begin(connection, handle, request, response)
    else if (waiting >= MAX_WAITING) connection.socket.destroy()
    else {
      waiting++
      connection.waiting.push([request, response])
      connection.socket.pause()
    }
  }

  function begin(connection: Connection, handle: Handle, request: IncomingMessage, response: ServerResponse): void {
    const exchange: Exchange = { connection, bytes: 0, sentAt: undefined }
    connection.exchanges.add(exchange)
    busy.add(connection)
    byResponse.set(response, exchange)
    response.once('close', () => {
      end(exchange)
      while (connection.waiting.length > 0 && !isFull(connection)) {
        const [next, answer] = connection.waiting.shift() as [IncomingMessage, ServerResponse]
        waiting--
        begin(connection, handle, next, answer)
        if (connection.waiting.length === 0) connection.socket.resume()
      }
    })
    handle(request, response)
  }

  function end(exchange: Exchange): void {
    const { connection, bytes } = exchange
    if (!connection.exchanges.delete(exchange)) return
    connection.unread -= bytes
    unread -= bytes
    connection.takenAt = performance.now()
    if (connection.exchanges.size === 0) busy.delete(connection)
  }

  /** Since when the next answer of a connection has waited for its reader; undefined: it has not been sent. */
  function waitsSince(connection: Connection): number | undefined {
    const [first] = connection.exchanges
    return first?.sentAt === undefined ? undefined : Math.max(first.sentAt, connection.takenAt)
  }

  /** Closes connections whose readers are slow, the slowest first, until there is room. @returns whether there is */
  function makeRoom(): boolean {
    const now = performance.now()
    const slow = [...busy]
      .map((connection) => ({ connection, since: waitsSince(connection) ?? now }))
      .filter(({ since }) => now - since > SLOW_MS)
      .sort((one, other) => one.since - other.since)
    for (const { connection } of slow) {
      if (unread <= UNREAD_BYTES) break
      connection.socket.destroy()
      for (const exchange of connection.exchanges) end(exchange)
    }
    return unread <= UNREAD_BYTES
  }

  const connections: Connections = {
    patienceMs: 30_000,
    unread: () => unread,
    serverFactory(handler, options) {
      const server = createServer(http, (request, response) => arrive(handler, request, response))
      // As Fastify sets up a server of its own.
      server.keepAliveTimeout = options.keepAliveTimeout ?? 72_000
      server.requestTimeout = options.requestTimeout ?? 0
      server.setTimeout(options.connectionTimeout ?? 0)
      server.on('connection', open)
      return server
    },
    register(app) {
      app.decorate('connections', connections)
      app.addHook('onSend', (_request, reply, payload, done) => {
        const exchange = byResponse.get(reply.raw)
        if (!exchange) return done(null, payload)
        exchange.sentAt = performance.now()
        // A large text is better kept outside of the heap, where its size is known, too.
        const sent = typeof payload === 'string' && payload.length >= LARGE_BYTES ? Buffer.from(payload) : payload
        const bytes = typeof sent === 'string' || Buffer.isBuffer(sent) ? sent.length : 0
        const more = bytes - exchange.bytes
        exchange.bytes = bytes
        exchange.connection.unread += more
        unread += more
        if (unread > UNREAD_BYTES && bytes >= LARGE_BYTES && !makeRoom()) return done(overloaded())
        done(null, sent)
      })
    },
    giveUp() {
      const now = performance.now()
      for (const connection of busy) {
        const { socket } = connection
        const taken = socket.bytesWritten - socket.writableLength
        if (taken > connection.taken) Object.assign(connection, { taken, takenAt: now })
        if (now - (waitsSince(connection) ?? now) > connections.patienceMs) socket.destroy()
      }
    },
  }
  return connections
}
