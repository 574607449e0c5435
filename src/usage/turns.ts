import { overloaded } from '../http/catalogue.ts'

/** The most reads that this process runs at a time: half of the default connection pool. */
const MAX_RUNNING = 3
/** How long a read waits for its turn before it is refused, in ms. */
const PATIENCE_MS = 5_000

interface Waiting {
  caller: string
  start: () => void
}

/**
 * Limits reads that scan many rows to one at a time for each caller and `MAX_RUNNING` in all, so that one caller occupies one connection at
 * most. A read that waits is started in the order of arrival.
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

/** The turns of this process. */
export const inTurn = takeTurns()
