import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { Failure, run } from './failure.ts'

/**
 * What is kept between two runs: one file per server with its token, and which server was logged in to last. Files
 * belong to their user alone, and are replaced as a whole.
 */

export interface Login {
  /** The origin that the token belongs to */
  server: string
  token: string
  expires_at: string
}

/** The platform's folder for configuration. */
export function configFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CONFIG_HOME: xdg, APPDATA: appData } = env
  if (xdg && isAbsolute(xdg)) return join(xdg, 'focus')
  if (process.platform === 'win32') return join(appData || join(homedir(), 'AppData', 'Roaming'), 'focus')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'focus')
  return join(homedir(), '.config', 'focus')
}

const lastFile = () => join(configFolder(), 'last-server.json')
const loginFile = (server: string) =>
  join(configFolder(), 'logins', `${server.replace('://', '_').replace(/[^a-z0-9.-]/g, '_')}.json`)

/**
 * The token that is kept for a server.
 * @param toRevoke also a token that others may have read
 * @throws {Failure} config_corrupt, config_not_private or config_unreadable
 */
export async function readLogin(server: string, { toRevoke = false } = {}): Promise<Login | undefined> {
  const file = loginFile(server)
  const login = await readPrivate(file, toRevoke)
  if (login === undefined) return undefined
  const { token, expires_at } = login
  // A token of something else, or a file that was copied from another server's, is not for this server.
  if (login.server !== server || !isToken(token) || typeof expires_at !== 'string') throw corrupt(file)
  return { server, token, expires_at }
}

/** What can stand in a header, and is no control sequence for a terminal. */
export const isToken = (token: unknown): token is string =>
  typeof token === 'string' && /^[\x21-\x7e]{1,4096}$/.test(token)

/** The server of the last login that has not been logged out. @throws {Failure} as readLogin */
export async function readLastServer(): Promise<string | undefined> {
  const last = await readPrivate(lastFile())
  if (last === undefined) return undefined
  if (typeof last.server !== 'string' || !URL.canParse(last.server)) throw corrupt(lastFile())
  return last.server
}

/** Keeps a login, and its server as the one to use from now on. */
export async function writeLogin(login: Login): Promise<void> {
  await writePrivate(loginFile(login.server), login)
  await writePrivate(lastFile(), { server: login.server })
}

/** Forgets a login, also one whose file is corrupt. */
export async function removeLogin(server: string): Promise<void> {
  await rm(loginFile(server), { force: true })
  if ((await readLastServer().catch(() => server)) === server) await rm(lastFile(), { force: true })
}

/** Makes sure that a login can be kept, before anybody is asked for one. @throws {Failure} config_unwritable */
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
      // Whatever the umask was.
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
    // The opened file, not the name: nobody can change what it stands for in between.
    const { mode, uid, size } = await handle.stat()
    if (process.getuid && uid !== process.getuid()) {
      throw new Failure('config_not_private', `${file} belongs to another user`, { hint: removeHint(file) })
    }
    if (process.platform !== 'win32' && mode & 0o077 && !anyMode) {
      const octal = (mode & 0o777).toString(8).padStart(4, '0')
      throw new Failure('config_not_private', `${file} can be read or written by others (mode ${octal})`, {
        hint: `Somebody may have read a token in it: revoke it with ${run('logout')}, then log in again.`,
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

const removeHint = (file: string) => `Remove it (rm '${file}') and log in again: ${run('login')}`

const corrupt = (file: string) => new Failure('config_corrupt', `${file} is corrupt`, { hint: removeHint(file) })

async function onDisk(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw new Failure('config_unwritable', `The login cannot be kept: ${(error as Error).message}`, {
      hint: `It belongs in ${configFolder()}; set XDG_CONFIG_HOME for another folder.`,
    })
  }
}
