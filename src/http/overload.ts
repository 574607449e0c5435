import type { Server, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ApiError } from './errors.ts'

/**
 * Overload: whoever would wait in vain is told so at once, and comes back later. It is not the length of a queue that
 * counts but whether it moves: a thousand requests that are served within seconds are no overload.
 */

/** Somewhere that requests wait, and how many have left it for their turn so far. */
export interface Queue {
  waiting(): number
  served(): number
}

export interface Load {
  /** Has this queue watched too: while it does not drain, new requests are refused; its length is a metric */
  watch(name: string, queue: Queue): void
  readonly queues: ReadonlyMap<string, Queue>
  /** Which queue does not drain; undefined: there is no overload */
  overloadedBy(): string | undefined
}

declare module 'fastify' {
  interface FastifyInstance {
    load: Load
  }
}

/** How often the queues are looked at, in ms. */
const EVERY_MS = 250
/** A queue is judged by what it did in this time, in ms, and not before it has been a queue for so long. */
const WINDOW_MS = 2_000
/** Whoever came now would wait longer than this, in ms: a connection of the database is waited for 5 s. */
const WAIT_MS = 4_000
/** The event loop is so late, in ms, ... */
const LATE_MS = 1_000
/** ... and has been for so long. */
const LATE_FOR_MS = 3_000

/** Refuses new requests under overload, with 503 overloaded; routes of `limit: 'none'` are served all the same. */
export function registerLoad(app: FastifyInstance): void {
  const queues = new Map<string, Queue>()
  const drains = new Map<Queue, (now: number) => boolean>()
  const requests = requestsOf(app.server)
  const requestsDrain = drainage(requests)
  let culprit: string | undefined
  let last = performance.now()
  let lateSince: number | undefined

  app.decorate('load', {
    queues,
    overloadedBy: () => culprit,
    watch(name, queue) {
      queues.set(name, queue)
      drains.set(queue, drainage(queue))
    },
  })

  const timer = setInterval(() => {
    const now = performance.now()
    const late = now - last - EVERY_MS
    last = now
    lateSince = late > LATE_MS ? (lateSince ?? now - late) : undefined
    // Asked each time: it keeps the record. A loop that is late and answers all the same is only busy.
    const moving = requestsDrain(now)
    const stuck = [...queues].filter(([, queue]) => drains.get(queue)?.(now) === false).map(([name]) => name)
    if (!moving && lateSince !== undefined && now - lateSince > LATE_FOR_MS) stuck.push('event loop')
    if (stuck[0] && !culprit)
      app.log.warn(
        { queue: stuck[0], waiting: queues.get(stuck[0])?.waiting() },
        'overloaded: new requests are refused',
      )
    if (!stuck[0] && culprit) app.log.info('no longer overloaded')
    culprit = stuck[0]
  }, EVERY_MS).unref()
  app.addHook('onClose', async () => clearInterval(timer))

  app.addHook('onRequest', (request, _reply, next) => {
    if (culprit === undefined || request.routeOptions.config.limit === 'none') return next()
    next(
      new ApiError(503, 'overloaded', 'The service is overloaded; try again in a moment.', {}, { 'retry-after': '2' }),
    )
  })
}

/** Tells at each call whether a queue drains fast enough for whoever comes now. */
function drainage({ waiting, served }: Queue): (now: number) => boolean {
  const record: { at: number; served: number }[] = []
  return (now) => {
    if (waiting() === 0) {
      record.length = 0
      return true
    }
    record.push({ at: now, served: served() })
    // The youngest that is as old as the window, and what came after it.
    while (record[1] && now - record[1].at >= WINDOW_MS) record.shift()
    const [first] = record
    if (!first || now - first.at < WINDOW_MS) return true
    const perMs = (served() - first.served) / (now - first.at)
    return waiting() <= perMs * WAIT_MS
  }
}

/** The requests that have come by the network and wait for their answer. */
function requestsOf(server: Server): Queue {
  let waiting = 0
  let served = 0
  server.on('request', (_request, response: ServerResponse) => {
    waiting++
    // Comes once, however it ends.
    response.once('close', () => {
      waiting--
      // Those that we refuse are no sign of getting on.
      if (response.statusCode !== 503) served++
    })
  })
  return { waiting: () => waiting, served: () => served }
}
