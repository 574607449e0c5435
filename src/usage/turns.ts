import { overloaded } from '../http/catalogue.ts'

/** The most sums that this instance computes at a time: half of the default pool of connections. */
const MAX_RUNNING = 3
/** After so long in line, in ms, a read is refused. */
const PATIENCE_MS = 5_000

interface Waiting {
  caller: string
  start: () => void
}

/**
 * Turns for reads that scan many rows: one at a time for a caller, a few in all. So a caller who asks for sums without end has one
 * busy connection, and the others wait for at most what runs before them.
 */
export function takeTurns() {
  const running = new Set<string>()
  const line = new Set<Waiting>()

  function next(): void {
    for (const waiting of line) {
      if (running.size >= MAX_RUNNING) return
      if (running.has(waiting.caller)) continue
      line.delete(waiting)
      running.add(waiting.caller)
      waiting.start()
    }
  }

  function turn(caller: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const start = () => {
      clearTimeout(timer)
      resolve()
    }
    const waiting = { caller, start }
    const timer = setTimeout(() => {
      if (line.delete(waiting)) reject(overloaded())
    }, PATIENCE_MS)
    line.add(waiting)
    next()
    return promise
  }

  /** Runs a read when its turn comes. @throws {ApiError} 503 overloaded after 5 s in line, and what the read throws */
  return async <Result>(caller: string, read: () => Promise<Result>): Promise<Result> => {
    await turn(caller)
    try {
      return await read()
    } finally {
      running.delete(caller)
      next()
    }
  }
}

/** Of this process. */
export const inTurn = takeTurns()
