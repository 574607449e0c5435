import { EventEmitter } from 'node:events'
import { fileURLToPath } from 'node:url'
import { compileFunction } from 'node:vm'
import { build } from 'esbuild'
import type { Test } from 'tap'
import { createFocus, type FocusOptions } from '../../client/src/index.ts'
import { startNetwork } from './network.ts'
import { personWith, start } from './start.ts'

/** The service, which listens; the tests of a file share one. */
export async function listening(t: Test, env: Record<string, string> = {}) {
  const service = await start(t, env)
  const { server } = service.app
  if (!server.listening) await service.app.listen({ port: 0, host: '127.0.0.1' })
  const address = server.address()
  return { ...service, url: `http://localhost:${typeof address === 'object' ? address?.port : ''}` }
}

/** Somebody with credits, whose client reaches the service over a network that may fail. */
export async function ready(t: Test, options: Partial<FocusOptions> = {}, amount = 100) {
  const service = await listening(t)
  const network = await startNetwork(t, service.url)
  const person = await personWith(service.app, amount)
  const focus = createFocus({ url: network.url, token: person.token, ...options })
  return { service, network, person, focus, job: async (id: string) => (await focus.getJob({ id })).job }
}

/** The error of what must fail. */
export const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  )

export interface World {
  /** How many times faster its timers and its monotonic clock run */
  speed?: number
  /** How far its wall clock is off, in ms */
  clockOff?: number
  userAgent?: string
  process?: object
}

let bundle: Promise<string> | undefined
async function bundled(): Promise<string> {
  const entryPoints = [fileURLToPath(new URL('../../client/src/index.ts', import.meta.url))]
  const built = await build({ entryPoints, bundle: true, format: 'iife', globalName: 'client', write: false })
  return built.outputFiles[0]?.text ?? ''
}

/** The library in a world of its own: with other clocks, another process, or in a browser, as far as it can see. */
export async function clientIn({ speed = 1, clockOff = 0, userAgent = 'Node.js/26', process }: World) {
  bundle ??= bundled()
  class WrongDate extends Date {
    static override now = () => Date.now() + clockOff
  }
  const world = {
    setTimeout: (run: () => void, ms: number) => setTimeout(run, ms / speed),
    performance: { now: () => performance.now() * speed },
    Date: WrongDate,
    // Defined, not assigned: an assignment would reach the setters of the real one.
    globalThis: Object.create(globalThis, { process: { value: process }, navigator: { value: { userAgent } } }),
  }
  const load = compileFunction(`${await bundle}; return client`, Object.keys(world))
  return load(...Object.values(world)) as typeof import('../../client/src/index.ts')
}

/** A process that gets signals, and notes how it is ended. */
export class FakeProcess extends EventEmitter {
  readonly pid = 1
  readonly killed: string[] = []
  kill(_pid: number, signal: string): void {
    this.killed.push(signal)
  }
}
