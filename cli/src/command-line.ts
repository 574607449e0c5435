import { isAbsolute, relative } from 'node:path'

/** Command lines that hints tell a person to type. */

const PACKAGE = '@thefocus/focus-cli'

/**
 * How this command was started, to be typed again: `focus`, `npx focus`, `pnpm exec focus`, …
 * @param program the file that Node was started with, `process.argv[1]`
 */
export function startedAs(program: string, env: NodeJS.ProcessEnv, cwd: string): string {
  const file = program.replaceAll('\\', '/')
  const manager = /^(npm|pnpm|yarn|bun)\//.exec(env.npm_config_user_agent ?? '')?.[1]
  // Downloaded for this run only.
  if (file.includes('/_npx/') && file.includes('/node_modules/')) return `npx ${PACKAGE}`
  if (manager === 'pnpm' && file.includes('/dlx')) return `pnpm dlx ${PACKAGE}`
  if (manager === 'pnpm' && env.npm_lifecycle_event === 'dev') return `pnpm --filter ${PACKAGE} dev`
  const installed = file.includes('/node_modules/')
  if (!installed && file.endsWith('.js')) {
    const path = relative(cwd, program)
    return `node ${quoted(path.startsWith('..') || isAbsolute(path) ? program : path)}`
  }
  if (manager === 'pnpm' || manager === 'yarn') return `${manager} exec focus`
  if (manager === 'bun') return 'bunx focus'
  // On Windows a global focus is a file of node_modules too, but not one of .bin.
  return manager === 'npm' || file.includes('/node_modules/.bin/') ? 'npx focus' : 'focus'
}

/**
 * A word for the command line of a shell. Words that Windows' shells could read as more than a word are left out there: cmd.exe
 * and PowerShell quote differently.
 */
export function quoted(word: string, platform: NodeJS.Platform = process.platform): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  return platform === 'win32' ? '<…>' : `'${word.replaceAll("'", `'\\''`)}'`
}

/** The command line for a hint. Every word is quoted where the shell needs that. */
export const run = (...words: string[]): string =>
  [startedAs(process.argv[1] ?? '', process.env, process.cwd()), ...words.map((word) => quoted(word))].join(' ')
