import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type IPty, spawn as spawnPty } from '@lydell/node-pty'
import type { Test } from 'tap'
import { logIn } from './device.ts'
import { freePort } from './free-port.ts'
import { temporaryFolder } from './process.ts'
import { type Person, startOwn } from './start.ts'

// CommonJS without static exports, so it needs require.
const { Terminal } = createRequire(import.meta.url)('@xterm/headless') as typeof import('@xterm/headless')

const PROGRAM = fileURLToPath(new URL('../../cli/bin/focus.js', import.meta.url))
/** How hints name the command that `machine` starts. */
export const FOCUS = `node ${PROGRAM}`
// Stripping the types takes as long as the rest of a start, and many tests start it.
const COMPILED = fileURLToPath(new URL('../../node_modules/.cache/focus-cli', import.meta.url))

type Env = Record<string, string>

/** The service at an address that another process reaches. */
export async function serve(t: Test, env: Env = {}) {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const service = await startOwn(t, { PORT: String(port), PUBLIC_URL: url, ...env })
  await service.app.listen({ port, host: '127.0.0.1' })

  /** Somebody at their browser: on a busy machine, programs that start take longer than a token of theirs lives. */
  function atBrowser(person: Person): Person {
    const headers = { cookie: person.cookie, origin: url }
    const get = (path: string) => service.app.inject({ url: path, headers })
    const post = (path: string, payload: object | string) =>
      service.app.inject({ method: 'POST', url: path, payload, headers })
    return {
      ...person,
      get,
      post,
      reserve: (cost_estimate) => post('/api/jobs', { app: 'video', action: 'render', cost_estimate }),
      put: (path, payload) => service.app.inject({ method: 'PUT', url: path, payload, headers }),
      async balance() {
        const { credits, held } = (await get('/api/wallet')).json().account
        return { credits, held }
      },
    }
  }
  return {
    ...service,
    url,
    person: async () => atBrowser(await service.person()),
    admin: async () => atBrowser(await service.admin()),
  }
}

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/**
 * A person's machine on which `focus` runs: the real program, with a folder of its own for what it keeps.
 * @param env beside PATH, HOME, XDG_CONFIG_HOME and a UTF-8 locale
 * @param installed a program and the Node that runs it, instead of the repository's
 */
export async function machine(t: Test, env: Env = {}, installed = { node: process.execPath, program: PROGRAM }) {
  const { node, program } = installed
  const home = await temporaryFolder(t)
  const config = join(home, 'config', 'focus')
  const environment = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    LANG: 'C.UTF-8',
    NODE_COMPILE_CACHE: COMPILED,
    ...env,
  }

  function begin(args: string[], more: Env = {}) {
    const child = spawn(node, [program, ...args], { env: { ...environment, ...more }, cwd: home })
    t.teardown(() => child.kill('SIGKILL'))
    let shown = ''
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      shown += more
    })
    const ended: Promise<Ended> = Promise.all([once(child, 'close'), text(child.stdout)]).then(([[code], stdout]) => ({
      code,
      stdout,
      stderr: shown,
    }))
    return {
      child,
      ended,
      /** What it has said once it has said this. @throws when it ends without */
      async said(pattern: RegExp): Promise<RegExpExecArray> {
        for (;;) {
          const found = pattern.exec(shown)
          if (found) return found
          const over = await Promise.race([once(child.stderr, 'data').then(() => false), ended.then(() => true)])
          if (over && !pattern.test(shown)) throw new Error(`It never said ${pattern}:\n${shown}`)
        }
      },
    }
  }

  return {
    home,
    config,
    begin,
    focus: (args: string[], more: Env = {}): Promise<Ended> => {
      const { child, ended } = begin(args, more)
      child.stdin.end()
      return ended
    },
    /** Keeps a token as `focus login` does. */
    async keep(server: string, token: string, expires_at = new Date(Date.now() + 30 * 86_400_000).toISOString()) {
      await mkdir(join(config, 'logins'), { recursive: true, mode: 0o700 })
      const file = join(config, 'logins', `${server.replace('://', '_').replace(/[^a-z0-9.-]/g, '_')}.json`)
      await writeFile(file, JSON.stringify({ server, token, expires_at }), { mode: 0o600 })
      await writeFile(join(config, 'last-server.json'), JSON.stringify({ server }), { mode: 0o600 })
      return file
    },
    terminal: (args: string[], more: Env = {}) =>
      openTerminal(t, [node, program, ...args], { ...environment, TERM: 'xterm-256color', ...more }, home),
  }
}

export type Service = Awaited<ReturnType<typeof serve>>

/** A machine on which somebody is signed in, with what `focus` answers there: as it is, and with --json parsed. */
export async function signedIn(t: Test, service: Service, scope = 'account') {
  const person = scope.includes('admin') ? await service.admin() : await service.person()
  const token = await logIn(service.app, person, { client_name: 'ada-laptop', scope })
  const computer = await machine(t, { FOCUS_SERVER: service.url, FOCUS_TOKEN: token })
  const { focus } = computer
  return {
    ...computer,
    person,
    token,
    async done(...args: string[]): Promise<string> {
      const { code, stdout, stderr } = await focus(args)
      t.equal(code, 0, `focus ${args.join(' ')}\n${stderr}`)
      return stdout
    },
    async json(...args: string[]) {
      const { code, stdout, stderr } = await focus([...args, '--json'])
      t.equal(code, 0, `focus ${args.join(' ')}\n${stderr}`)
      return JSON.parse(stdout)
    },
  }
}

/** The code on the screen of `focus login`, as a person would type it. */
export const CODE = /│ +((?:[A-Z] ){4}- (?:\d ?){4}) +│/

const COLUMNS = 80
const ROWS = 30

/** The program in a pseudo-terminal of 80 columns, and what a person sees there. */
function openTerminal(t: Test, [file = '', ...args]: string[], env: Env, cwd: string) {
  const screen = new Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true })
  const pty: IPty = spawnPty(file, args, {
    cols: COLUMNS,
    rows: ROWS,
    env,
    cwd,
    name: env.TERM ?? '',
  })
  let raw = ''
  let drawn: Promise<void> = Promise.resolve()
  const listeners = new Set<() => void>()
  pty.onData((bytes) => {
    raw += bytes
    drawn = new Promise((resolve) => screen.write(bytes, resolve))
    drawn.then(() => {
      for (const listener of listeners) listener()
    })
  })
  const ended = new Promise<number>((resolve) => {
    pty.onExit(({ exitCode, signal }) => resolve(signal ? 128 + signal : exitCode))
  })
  t.teardown(() => {
    try {
      pty.kill('SIGKILL')
    } catch {} // it has ended
    screen.dispose()
  })

  const lines = () =>
    Array.from({ length: screen.buffer.active.length }, (_, row) =>
      (screen.buffer.active.getLine(row)?.translateToString(true) ?? '').trimEnd(),
    )
  const seen = () => lines().join('\n').trimEnd()

  return {
    type: (keys: string) => pty.write(keys),
    /** Every byte that was written to the terminal */
    raw: () => raw,
    seen,
    /** Resolves once the screen shows this. @throws when the program ends without */
    async shows(pattern: RegExp): Promise<RegExpExecArray> {
      for (;;) {
        const found = pattern.exec(seen())
        if (found) return found
        const { promise, resolve } = Promise.withResolvers<void>()
        listeners.add(resolve)
        const over = await Promise.race([promise.then(() => false), ended.then(() => true)])
        listeners.delete(resolve)
        await drawn
        if (over && !pattern.test(seen())) throw new Error(`It never showed ${pattern}:\n${seen()}`)
      }
    },
    /** The exit code, once everything is drawn */
    ended: ended.then(async (code) => {
      await drawn
      return code
    }),
  }
}
