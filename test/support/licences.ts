/**
 * `npm run licenses`: every package that production installs, with its licence, from the lockfile. Exit code 1 where one
 * names none, or one that is not on the list: read it, then put it on the list or leave the package.
 */
import { readFile } from 'node:fs/promises'

/** Permissive licences that require attribution only. */
const ALLOWED = new Set([
  ...['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0'],
  ...['Apache-2.0', 'Unlicense', 'CC0-1.0', 'MIT-0'],
])

export interface Lockfile {
  packages: Record<string, { version?: string; license?: string; dev?: boolean; link?: boolean }>
}

export interface Licensed {
  name: string
  version: string
  /** As the package says it, an SPDX expression; undefined: nothing */
  license: string | undefined
  allowed: boolean
}

/** What is installed in production, by name, except our own packages. */
export function licensesOf({ packages }: Lockfile): Licensed[] {
  return Object.entries(packages)
    .filter(([path, { dev, link }]) => path.includes('node_modules/') && !dev && !link)
    .map(([path, { version = '', license }]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
      return { name, version, license, allowed: license !== undefined && isAllowed(license) }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Of licences to choose from (OR) one is enough, of those that hold together (AND) all have to be allowed. */
function isAllowed(expression: string): boolean {
  const plain = expression.replace(/[()]/g, '')
  return plain.split(' OR ').some((choice) => choice.split(' AND ').every((name) => ALLOWED.has(name.trim())))
}

if (import.meta.main) {
  const lockfile = JSON.parse(await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8')) as Lockfile
  const found = licensesOf(lockfile)
  for (const { name, version, license = 'no licence' } of found) console.log(`${name}@${version}  ${license}`)
  const refused = found.filter(({ allowed }) => !allowed)
  for (const { name, version, license = 'no licence' } of refused) {
    console.error(`Not allowed: ${name}@${version} (${license})`)
  }
  console.log(`${found.length} packages, ${refused.length} not allowed`)
  process.exitCode = refused.length ? 1 : 0
}
