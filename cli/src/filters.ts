import type { Command } from 'commander'
import { integer, slug, uuid } from './commands/arguments.ts'
import type { Focus } from './focus.ts'
import { line, remark } from './output.ts'

/** The options that lists share, and the hint that leads to the next page. */

/** Adds the filters by app, token and time. */
export const filtered = (command: Command, rows: string): Command =>
  command
    .option('--app <slug>', `only ${rows} of this app`, slug)
    .option('--token <id>', `only ${rows} of this token, or of what you allowed a program (its grant)`, uuid)
    .option('--from <time>', 'from this time on: a date (UTC) or a time (ISO 8601)')
    .option('--to <time>', 'until before this time')

/** Adds the options for the page of a list. */
export const paged = (command: Command): Command =>
  command
    .option('--limit <n>', 'number of rows, up to 200 (default: 50)', integer)
    .option('--cursor <cursor>', 'continue a list from here')

/** Prints the command for the next page, with the options of this run. Prints nothing on the last page. */
export function remarkOlder(focus: Focus, what: string, words: string[], query: object, cursor: string | null): void {
  if (cursor === null) return
  const options = Object.entries({ ...query, cursor }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, `${value}`],
  )
  remark(line`${what}: ${focus.hint(...words, ...options)}`)
}
