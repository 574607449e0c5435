import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { overloaded } from './catalogue.ts'

/**
 * Limits what a connection may hold: requests in progress, and answers that the client has not read yet. A client that sends requests
 * and does not read costs a bounded amount of memory, for a bounded time.
 */

/** Requests in progress on one connection. While more have arrived, nothing is read from its socket. */
export const MAX_PIPELINED = 16
/** With more unread bytes than this on a connection, its next request waits. */
const CONNECTION_BYTES = 1_048_576
/** Unread bytes on all connections together. */
export const UNREAD_BYTES = 64 * 1_048_576
/** With too many unread bytes in all, connections whose client has read nothing for this long, in ms, are closed. */
const SLOW_MS = 1_000
/** Answers of at least this size, in bytes, are refused when there is no room; smaller ones never are. */
const LARGE_BYTES = 16_384
/**
 * Requests that wait for their turn, on all connections together. Node parses a packet as a whole, so one connection alone can have
 * two thousand.
 */
const MAX_WAITING = 5_000

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** A request in progress and its answer. */
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
  /** How many bytes its client had read at the last look, and when that last grew */
  taken: number
  takenAt: number
}

export interface Connections {
  /** Makes the server: Fastify's own, with the bounds before the handler */
  serverFactory: (handler: Handle, options: FastifyServerOptions) => Server
  /** Counts each answer until its client has read it */
  register(app: FastifyInstance): void
  /** Closes connections whose client has read nothing of an answer for `patienceMs`. Call it every second. */
  giveUp(): void
  patienceMs: number
  /** Unread bytes on all connections */
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

  /** Since when the next answer of a connection has been waiting to be read; undefined: it has not been sent. */
  function waitsSince(connection: Connection): number | undefined {
    const [first] = connection.exchanges
    return first?.sentAt === undefined ? undefined : Math.max(first.sentAt, connection.takenAt)
  }

  /** Closes connections of slow clients, the slowest first, until there is room. @returns whether there is */
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
      // The same settings as on Fastify's own server.
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
        // A Buffer lies outside the heap, and its size in bytes is known.
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
