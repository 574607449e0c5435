import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/support/free-port.ts'

/** Starts the processes that are measured, and the load. */

export interface Running {
  pid: number
  port: number
  /** From the spawn to the first 200, in ms */
  startedMs: number
  stop(): Promise<void>
}

/**
 * Starts a server on a free port and waits until a path answers 200.
 * @param script relative to this folder
 * @throws {Error} when it ends before that, or after a minute
 */
export async function startServer(script: string, env: Record<string, string>, path = '/readyz'): Promise<Running> {
  const port = await freePort()
  const begun = performance.now()
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url))], {
    env: { PATH: process.env.PATH, PORT: String(port), ...env },
    // Shows only faults.
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000)
  })
  const { pid } = child
  if (!pid) throw new Error(`${script} could not be started.`)
  while (!(await answers(port, path))) {
    if (child.exitCode !== null) throw new Error(`${script} ended:\n${said}`)
    if (performance.now() - begun > 60_000) throw new Error(`${script} did not come up:\n${said}`)
    await sleep(2)
  }
  return { pid, port, startedMs: performance.now() - begun, stop: () => stop(child) }
}

function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    }).on('error', () => resolve(false))
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

/** A process that does one task at a time and reports its result. */
export interface Worker<Task, Answer> {
  run(task: Task): Promise<Answer>
  stop(): Promise<void>
}

/**
 * Starts a worker: a script that answers each message with `{measured}` or `{fault}`.
 * @param script relative to this folder
 */
export function startWorker<Task extends object, Answer>(script: string): Worker<Task, Answer> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), { serialization: 'advanced' })
  let answered: PromiseWithResolvers<Answer> | undefined
  child.on('message', ({ measured, fault }: { measured: Answer; fault?: string }) => {
    if (fault === undefined) answered?.resolve(measured)
    else answered?.reject(new Error(fault))
  })
  child.on('exit', () => answered?.reject(new Error(`${script} ended.`)))
  return {
    run(task) {
      answered = Promise.withResolvers()
      child.send(task)
      return answered.promise
    },
    stop: () => stop(child),
  }
}
