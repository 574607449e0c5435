import { isAbsolute, relative } from 'node:path'

/** The command lines in hints. */

const PACKAGE = '@thefocus/focus-cli'

/**
 * The words that started this command: `focus`, `npx focus`, `pnpm exec focus`, …
 * @param program the script that Node runs, `process.argv[1]`
 */
export function startedAs(program: string, env: NodeJS.ProcessEnv, cwd: string): string {
  const file = program.replaceAll('\\', '/')
  const manager = /^(npm|pnpm|yarn|bun)\//.exec(env.npm_config_user_agent ?? '')?.[1]
  // npx downloaded the package for this run only.
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
  // On Windows a globally installed focus is in node_modules as well, but not in .bin.
  return manager === 'npm' || file.includes('/node_modules/.bin/') ? 'npx focus' : 'focus'
}

/**
 * A word, quoted for a shell. On Windows, cmd.exe and PowerShell quote differently, so a word with a special character of either is replaced
 * by a placeholder there.
 */
export function quoted(word: string, platform: NodeJS.Platform = process.platform): string {
  if (platform === 'win32') return /^[\w+:./-]+$/.test(word) ? word : '<…>'
  // zsh expands a word that begins with = to the path of a program.
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word)) return word
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** A command line for a hint, quoted for the shell. */
export const run = (...words: string[]): string =>
  [startedAs(process.argv[1] ?? '', process.env, process.cwd()), ...words.map((word) => quoted(word))].join(' ')
