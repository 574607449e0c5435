import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addressOwner } from '../addresses.ts'
import { databaseUnavailable, tooManyAtOnce } from './catalogue.ts'

/**
 * Lists and exports are large. Each caller (an account, or an app by its key; without either, an address) may have a limited number of
 * them in progress, from the request until the last byte is read, and fewer of them query the database at the same time. So one caller
 * can fill neither the memory nor the connection pool.
 */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer of this route can be large */
    large?: boolean
  }
  interface FastifyRequest {
    /** Ends the turn of a large answer; undefined: it has none */
    endTurn: (() => void) | undefined
    /**
     * Takes another turn for a large answer that is read in portions while it is sent. The turn for its first portion ends when
     * its headers are sent. @throws {ApiError} 503 where the database does not answer
     */
    takeTurn: (() => Promise<void>) | undefined
  }
}

/** Large answers in progress for one caller; beyond it 429. */
const MAX_UNDER_WAY = 16
/** How many of them may query the database at the same time. */
const MAX_TURNS = 2

interface Caller {
  underWay: number
  turns: number
  queue: PromiseWithResolvers<void>[]
}

/** Registered before the routes and after the limits: the hook runs when it is known who is asking, and that they may. */
export function registerLargeAnswers(app: FastifyInstance): void {
  const callers = new Map<string, Caller>()
  app.decorateRequest('endTurn')
  app.decorateRequest('takeTurn')

  async function begin(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const key = request.account?.id ?? request.appOfKey ?? addressOwner(request.address)
    const caller = callers.get(key) ?? { underWay: 0, turns: 0, queue: [] }
    if (caller.underWay >= MAX_UNDER_WAY) throw tooManyAtOnce(MAX_UNDER_WAY)
    caller.underWay++
    callers.set(key, caller)
    let over = false
    const end = () => {
      if (over) return
      over = true
      request.endTurn?.()
      if (--caller.underWay === 0) callers.delete(key)
    }
    reply.raw.once('close', end)
    reply.raw.once('finish', end)

    request.takeTurn = async () => {
      if (caller.turns >= MAX_TURNS) {
        const turn = Promise.withResolvers<void>()
        caller.queue.push(turn)
        await turn.promise
      } else caller.turns++
      request.endTurn = () => {
        request.endTurn = undefined
        // The database does not answer: the queued requests would each wait for the same time-out.
        if (reply.statusCode === 503) for (const turn of caller.queue.splice(0)) turn.reject(databaseUnavailable())
        const next = caller.queue.shift()
        if (next) next.resolve()
        else caller.turns--
      }
      // The client has gone in the meantime.
      if (!over) return
      request.endTurn()
      throw tooManyAtOnce(MAX_UNDER_WAY)
    }
    await request.takeTurn()
  }

  app.addHook('onRoute', (route) => {
    if (!route.config?.large) return
    const hooks = [route.onRequest ?? []].flat()
    // Fastify's HEAD route reuses the hooks of its GET route.
    if (!hooks.includes(begin)) route.onRequest = [...hooks, begin]
  })
  app.addHook('onSend', (request, _reply, payload, done) => {
    request.endTurn?.()
    done(null, payload)
  })
}
