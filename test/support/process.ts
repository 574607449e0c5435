import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createTemplate, dropTemplate } from './database.ts'
import { freePort } from './free-port.ts'

const SERVER = fileURLToPath(new URL('../../src/server.ts', import.meta.url))

/** A folder that is gone after the test. */
export async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'focus-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/** An empty database on the test server. */
export async function emptyDatabase(t: Test): Promise<string> {
  const server = process.env.TEST_DATABASE_URL ?? ''
  const { name, url } = await createTemplate(server)
  t.teardown(() => dropTemplate([server], name))
  return url
}

/** Signs in over the wire. Returns the headers for later requests. */
export async function signIn(
  url: string,
  email = 'ada@example.com',
): Promise<{ cookie: string; authorization: string }> {
  const reply = await fetch(`${url}/signin`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email }),
  })
  const cookie = reply.headers.getSetCookie()[0]?.split(';', 1)[0] ?? ''
  const { token } = (await (await fetch(`${url}/api/sessionToken`, { headers: { cookie } })).json()) as {
    token: string
  }
  return { cookie, authorization: `Bearer ${token}` }
}

/** Resolves when the service there is ready, in 60 s at most. */
export async function ready(url: string): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(50)) {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) return
  }
  throw new Error(`${url} did not become ready.`)
}

/** Printed when the service listens. */
export const LISTENING = /is listening on/

/**
 * The service as a process, in a folder of its own and with this environment alone; it ends with the test.
 * @param nodeArgs given to node before the script
 */
export async function launch(t: Test, env: Record<string, string> = {}, nodeArgs: string[] = []) {
  const port = Number(env.PORT ?? (await freePort()))
  const child = spawn(process.execPath, [...nodeArgs, SERVER], {
    cwd: await temporaryFolder(t),
    // Nothing of the test run's own: tap puts its hooks into NODE_OPTIONS.
    env: { PATH: process.env.PATH, PORT: String(port), RATE_LIMIT_MAX: '1000000', DRAIN_SECONDS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const closed = once(child, 'close').then(([code, signal]) => ({ code, signal, output }))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await closed
  })

  return {
    pid: child.pid,
    port,
    url: `http://localhost:${port}`,
    /** What it has printed so far */
    output: () => output,
    /** When it has ended: exit code or signal, and everything it printed */
    closed,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Resolves once it has printed this. @throws when it ends without */
    async said(pattern: RegExp): Promise<void> {
      while (!pattern.test(output)) {
        const event = await Promise.race([
          once(child.stderr, 'data'),
          once(child.stdout, 'data'),
          closed.then(() => 'ended' as const),
        ])
        if (event === 'ended' && !pattern.test(output)) throw new Error(`It never said ${pattern}:\n${output}`)
      }
    },
  }
}

/** Reserves a job of cost 0 at the service there. */
export const reserveNothing = (url: string, authorization: string): Promise<Response> =>
  fetch(`${url}/api/jobs`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ app: 'video', action: 'render', cost_estimate: 0 }),
  })
