import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { temporaryFolder } from './process.ts'

export const run = promisify(execFile)

/** The machine's own programs, without those that the repository brings along. */
export const PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !/node_modules/.test(folder))
  .join(delimiter)

/** The machine's own Node. */
export const machineNode =
  PATH.split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((file) => existsSync(file)) ?? ''

/** A package of a workspace, packed and installed in an empty folder. @returns the folder */
export async function install(t: Test, workspace: string): Promise<string> {
  const folder = await temporaryFolder(t)
  // npm's own variables speak of the run that started this test, tap's hooks are for this test.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_(?!config_registry)|NODE_OPTIONS|TAP)/i.test(name)),
  )
  const npm = (args: string[], cwd: string) => run('npm', args, { cwd, env: { ...env, PATH } })
  await npm(['pack', '--pack-destination', folder], fileURLToPath(new URL(`../../${workspace}`, import.meta.url)))
  const [tarball = ''] = await readdir(folder)
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  await npm(['install', '--no-audit', '--no-fund', `./${tarball}`], folder)
  return folder
}
