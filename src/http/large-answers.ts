import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { addressOwner } from '../addresses.ts'
import { databaseUnavailable, tooManyAtOnce } from './catalogue.ts'

/**
 * Lists and exports are large: an account (or an app by its key; without either, an address) may have so many under way, from the request to the last byte
 * that is taken, and only some of them are read from the database at the same time. So one caller can fill neither the memory nor
 * the pool of connections.
 */

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer of this route can be large */
    large?: boolean
  }
  interface FastifyRequest {
    /** Ends the turn of a large answer; undefined: it is not large, or its turn is over */
    endTurn: (() => void) | undefined
  }
}

/** The most large answers under way for one caller; beyond it 429. */
const MAX_UNDER_WAY = 16
/** The most of them that are made at the same time. */
const MAX_TURNS = 2

interface Caller {
  underWay: number
  turns: number
  line: PromiseWithResolvers<void>[]
}

/** Registered before the routes and after the limits: the hook runs when it is known who is asking, and that they may. */
export function registerLargeAnswers(app: FastifyInstance): void {
  const callers = new Map<string, Caller>()
  app.decorateRequest('endTurn')

  async function takeTurn(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const key = request.account?.id ?? request.appOfKey ?? addressOwner(request.address)
    const caller = callers.get(key) ?? { underWay: 0, turns: 0, line: [] }
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

    if (caller.turns >= MAX_TURNS) {
      const turn = Promise.withResolvers<void>()
      caller.line.push(turn)
      await turn.promise
    } else caller.turns++
    request.endTurn = () => {
      request.endTurn = undefined
      // What waits behind a database that does not answer would wait for its time-out once more.
      if (reply.statusCode === 503) for (const turn of caller.line.splice(0)) turn.reject(databaseUnavailable())
      const next = caller.line.shift()
      if (next) next.resolve()
      else caller.turns--
    }
    // Whoever asked has gone meanwhile.
    if (!over) return
    request.endTurn()
    throw tooManyAtOnce(MAX_UNDER_WAY)
  }

  app.addHook('onRoute', (route) => {
    if (!route.config?.large) return
    const hooks = [route.onRequest ?? []].flat()
    // The HEAD of a GET comes with the hooks of that.
    if (!hooks.includes(takeTurn)) route.onRequest = [...hooks, takeTurn]
  })
  app.addHook('onSend', (request, _reply, payload, done) => {
    request.endTurn?.()
    done(null, payload)
  })
}
