import { execFile } from 'node:child_process'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('..', import.meta.url))

/**
 * Checks out an earlier commit of this repository. It uses the packages that are installed here if its lockfile is the same; otherwise npm
 * installs its own.
 * @param folder an existing folder; the checkout is created below it
 * @returns the path of its server script, and a function that removes the checkout
 */
export async function checkOut(commit: string, folder: string) {
  const tree = join(folder, 'previous')
  await run('git', ['worktree', 'add', '--detach', tree, commit], { cwd: ROOT })
  const [own, ours] = await Promise.all([tree, ROOT].map((root) => readFile(join(root, 'package-lock.json'), 'utf8')))
  if (own === ours) await symlink(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  else await run('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: tree })
  return {
    script: join(tree, 'src', 'server.ts'),
    remove: () => run('git', ['worktree', 'remove', '--force', tree], { cwd: ROOT }),
  }
}
