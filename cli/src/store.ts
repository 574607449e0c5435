import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { quoted, run } from './command-line.ts'
import { Failure } from './failure.ts'

/**
 * The files in the configuration folder: one for each server with its token, and one with the server of the last login. Only
 * their owner can read them, and they are replaced atomically.
 */

export interface Login {
  /** The origin that issued the token */
  server: string
  token: string
  expires_at: string
  /** The server's name for the person, such as an e-mail address; absent if it has none */
  name?: string
}

/** The configuration folder of the platform. */
function configFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CONFIG_HOME: xdg, APPDATA: appData } = env
  if (xdg && isAbsolute(xdg)) return join(xdg, 'focus')
  if (process.platform === 'win32') return join(appData || join(homedir(), 'AppData', 'Roaming'), 'focus')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'focus')
  return join(homedir(), '.config', 'focus')
}

const lastFile = () => join(configFolder(), 'last-server.json')
/** The file of the login to a server. */
export const loginFile = (server: string): string =>
  join(configFolder(), 'logins', `${server.replace('://', '_').replace(/[^a-z0-9.-]/g, '_')}.json`)

/**
 * The stored login of a server.
 * @param toRevoke also reads a file that other users can read or write
 * @throws {Failure} config_corrupt, config_not_private or config_unreadable
 */
export async function readLogin(server: string, { toRevoke = false } = {}): Promise<Login | undefined> {
  const file = loginFile(server)
  const login = await readPrivate(file, toRevoke)
  if (login === undefined) return undefined
  const { token, expires_at, name } = login
  // The file may be a copy of another server's.
  if (login.server !== server || !isToken(token) || typeof expires_at !== 'string') throw corrupt(file)
  return { server, token, expires_at, ...(typeof name === 'string' && { name }) }
}

/** Printable ASCII: safe in a header and on a terminal. */
export const isToken = (token: unknown): token is string =>
  typeof token === 'string' && /^[\x21-\x7e]{1,4096}$/.test(token)

/** The server of the last login, also after a logout from it. @throws {Failure} as readLogin */
export async function readLastServer(): Promise<string | undefined> {
  const last = await readPrivate(lastFile())
  if (last === undefined) return undefined
  if (typeof last.server !== 'string' || !URL.canParse(last.server)) throw corrupt(lastFile())
  return last.server
}

/** Stores a login, and its server as the default for later commands. */
export async function writeLogin(login: Login): Promise<void> {
  await writePrivate(loginFile(login.server), login)
  await writePrivate(lastFile(), { server: login.server })
}

/** Deletes a login, also if its file is corrupt. Later commands still use its server. */
export async function removeLogin(server: string): Promise<void> {
  await rm(loginFile(server), { force: true })
  await readLastServer().catch(() => rm(lastFile(), { force: true }))
}

/** Checks that a login can be stored; call it before the person approves one. @throws {Failure} config_unwritable */
export async function prepareFolder(): Promise<void> {
  const probe = join(configFolder(), 'logins', `${randomUUID()}.tmp`)
  await makeFolder()
  await onDisk(async () => {
    await (await open(probe, 'wx', 0o600)).close()
    await rm(probe)
  })
}

const makeFolder = () =>
  onDisk(async () => {
    for (const folder of [configFolder(), join(configFolder(), 'logins')]) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
    }
  })

async function writePrivate(file: string, content: object): Promise<void> {
  await makeFolder()
  const part = `${file}.${randomUUID()}.tmp`
  await onDisk(async () => {
    try {
      const handle = await open(part, 'wx', 0o600)
      try {
        await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`)
        await handle.sync()
      } finally {
        await handle.close()
      }
      // The umask may have removed bits of the mode.
      await chmod(part, 0o600)
      await rename(part, file)
    } catch (error) {
      await rm(part, { force: true })
      throw error
    }
  })
}

async function readPrivate(file: string, anyMode = false): Promise<Record<string, unknown> | undefined> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new Failure('config_unreadable', `${file} cannot be read: ${error.message}`)
  })
  if (!handle) return undefined
  try {
    // Checks the open file, not its name, which could be replaced between the check and the read.
    const { mode, uid, size } = await handle.stat()
    if (process.getuid && uid !== process.getuid()) {
      throw new Failure('config_not_private', `${file} belongs to another user (uid ${uid})`, {
        hint:
          `You are uid ${process.getuid()}. Run the command as that user (in a container with --user ${uid}), ` +
          'set XDG_CONFIG_HOME to a folder of your own, or set FOCUS_TOKEN_FILE to a file with a token.',
      })
    }
    if (process.platform !== 'win32' && mode & 0o077 && !anyMode) {
      const octal = (mode & 0o777).toString(8).padStart(4, '0')
      throw new Failure('config_not_private', `${file} can be read or written by others (mode ${octal})`, {
        hint: `Someone may have read the token in it. Revoke it with ${run('logout')}, then log in again.`,
      })
    }
    if (size > 65_536) throw corrupt(file)
    const content: unknown = JSON.parse(await handle.readFile('utf8'))
    if (typeof content !== 'object' || content === null) throw corrupt(file)
    return content as Record<string, unknown>
  } catch (error) {
    throw error instanceof SyntaxError ? corrupt(file) : error
  } finally {
    await handle.close()
  }
}

const removeHint = (file: string) => `Remove it (rm ${quoted(file)}) and log in again: ${run('login')}`

const corrupt = (file: string) => new Failure('config_corrupt', `${file} is corrupt`, { hint: removeHint(file) })

async function onDisk(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw new Failure('config_unwritable', `The login cannot be stored: ${(error as Error).message}`, {
      hint: `The folder is ${configFolder()}. Set XDG_CONFIG_HOME to use another one.`,
    })
  }
}
