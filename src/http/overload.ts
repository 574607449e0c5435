import type { Server, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { overloaded } from './catalogue.ts'

/**
 * Overload protection: requests that would time out while queued are refused at once, with Retry-After. What counts is how
 * fast a queue drains, not its length: a thousand requests that are served within seconds are no overload.
 */

/** A place where requests wait. */
export interface Queue {
  /** How many wait now */
  waiting(): number
  /** How many have been served so far */
  served(): number
}

export interface Load {
  /** Adds a queue: while it does not drain, new requests are refused. Its length is a metric. */
  watch(name: string, queue: Queue): void
  readonly queues: ReadonlyMap<string, Queue>
  /** The name of a queue that does not drain; undefined: no overload */
  overloadedBy(): string | undefined
  /** Updates the state of every queue. Call it every `LOOK_EVERY_MS`. */
  look(): void
}

declare module 'fastify' {
  interface FastifyInstance {
    load: Load
  }
}

/** How often the queues are looked at, in ms. */
export const LOOK_EVERY_MS = 250
/** The window over which the rate of a queue is measured, in ms. A younger queue is not judged. */
const WINDOW_MS = 2_000
/** New requests are refused when the expected wait is longer, in ms. Waiting for a database connection times out after 5 s. */
const WAIT_MS = 4_000
/** From this delay on the event loop counts as late, in ms. */
const LATE_MS = 1_000
/** The event loop counts as stuck after being late for this long without answering a request, in ms. */
const LATE_FOR_MS = 3_000

/** Decorates the app with `load`. */
export function registerLoad(app: FastifyInstance): void {
  const queues = new Map<string, Queue>()
  const drains = new Map<Queue, (now: number) => boolean>()
  const requestsDrain = drainage(requestsOf(app.server))
  let overloadedQueue: string | undefined
  let last: number | undefined
  let lateSince: number | undefined

  app.decorate('load', {
    queues,
    overloadedBy: () => overloadedQueue,
    watch(name, queue) {
      queues.set(name, queue)
      drains.set(queue, drainage(queue))
    },
    look() {
      const now = performance.now()
      const late = now - (last ?? now) - LOOK_EVERY_MS
      last = now
      lateSince = late > LATE_MS ? (lateSince ?? now - late) : undefined
      // Ask every queue each time, because asking records its rate. An event loop that is late but answers is busy, not stuck.
      const moving = requestsDrain(now)
      const stuck = [...queues].filter(([, queue]) => drains.get(queue)?.(now) === false).map(([name]) => name)
      if (!moving && lateSince !== undefined && now - lateSince > LATE_FOR_MS) stuck.push('event loop')
      if (stuck[0] && !overloadedQueue)
        app.log.warn(
          { queue: stuck[0], waiting: queues.get(stuck[0])?.waiting() },
          'overloaded: new requests are refused',
        )
      if (!stuck[0] && overloadedQueue) app.log.info('no longer overloaded')
      overloadedQueue = stuck[0]
    },
  })
}

/** Refuses new requests under overload with 503 `overloaded`. Routes with `limit: 'none'` are served all the same. */
export function refuseUnderOverload(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, next) => {
    if (app.load.overloadedBy() === undefined || request.routeOptions.config.limit === 'none') return next()
    next(overloaded())
  })
}

/** @returns whether the queue drains fast enough for a request that arrives now; to be called at each look */
function drainage({ waiting, served }: Queue): (now: number) => boolean {
  const record: { at: number; served: number }[] = []
  return (now) => {
    if (waiting() === 0) {
      record.length = 0
      return true
    }
    record.push({ at: now, served: served() })
    // Keep one record that is as old as the window, and all younger ones.
    while (record[1] && now - record[1].at >= WINDOW_MS) record.shift()
    const [first] = record
    if (!first || now - first.at < WINDOW_MS) return true
    const perMs = (served() - first.served) / (now - first.at)
    return waiting() <= perMs * WAIT_MS
  }
}

/** The requests on the network that have not been answered. */
function requestsOf(server: Server): Queue {
  let waiting = 0
  let served = 0
  server.on('request', (_request, response: ServerResponse) => {
    waiting++
    response.once('close', () => {
      waiting--
      // 503 answers do not count as served.
      if (response.statusCode !== 503) served++
    })
  })
  return { waiting: () => waiting, served: () => served }
}
