import type { WriteStream } from 'node:tty'
import pc from 'picocolors'

/** Output. Text from a server goes through `plain`, so that it cannot send control sequences to the terminal. */

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** Escapes control and format characters, which could hide or reorder the text around them: `\\u001b`. */
export const plain = (text: string): string => text.replace(INVISIBLE, escaped)

const escaped = (character: string) =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('')

const hasColour = (stream: WriteStream): boolean =>
  stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

/** Colours for one stream; none where it is no terminal or NO_COLOR is set. */
export const colours = (stream: WriteStream) => pc.createColors(hasColour(stream))

/** Prints a value as JSON, with control characters escaped. */
export const printJson = (value: unknown): void => print(toJson(value))

export const toJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(INVISIBLE, (character) =>
    character === '\n' ? character : escaped(character),
  )

export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** Prints a line to stderr that is no part of the answer: a warning, or what to do next. */
export const remark = (line: string): void => void process.stderr.write(`${line}\n`)

type Value = string | number | boolean | null | undefined
export interface Column<Row> {
  title: string
  value: (row: Row) => Value
  /** A shorter value, for a terminal that is too narrow for the table */
  short?: (row: Row) => Value
  /** The text may be cut where the terminal is too narrow */
  shrinks?: boolean
}

/** Prints a table, in a terminal no wider than it where that is possible. Numbers are right-aligned. */
export async function printTable<Row>(columns: Column<Row>[], rows: Row[]): Promise<void> {
  const { dim } = colours(process.stdout)
  const room = process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY
  const full = rows.map((row) => columns.map(({ value }) => shown(value(row))))
  const widthOf = await measure(full.flat())
  const widthsOf = (cells: string[][]) =>
    columns.map(({ title }, i) => Math.max(title.length, ...cells.map((row) => widthOf(row[i] ?? ''))))
  const fits = shrink(columns, widthsOf(full), room)
  const cells = fits ? full : rows.map((row) => columns.map(({ value, short = value }) => shown(short(row))))
  const widths = fits ?? widthsOf(cells)
  if (!fits) shrink(columns, widths, room)
  const numeric = columns.map(({ value }) => rows.length > 0 && rows.every((row) => typeof value(row) === 'number'))

  const line = (texts: string[]) => {
    const padded = texts.map((text, i) => {
      const cut = truncate(text, widths[i] ?? 0, widthOf)
      const gap = ' '.repeat((widths[i] ?? 0) - widthOf(cut))
      return numeric[i] ? gap + cut : cut + gap
    })
    return padded.join('  ').trimEnd()
  }
  print(dim(line(columns.map(({ title }) => title.toUpperCase()))))
  for (const row of cells) print(line(row))
}

/** The display width of texts. string-width is loaded for other than ASCII text only, because loading it is slow. */
async function measure(texts: string[]): Promise<(text: string) => number> {
  if (texts.every((text) => /^[ -~]*$/.test(text))) return (text) => text.length
  return (await import('string-width')).default
}

/** Narrows the widest of the columns that shrink, to 6 at least. @returns undefined where they still do not fit */
function shrink<Row>(columns: Column<Row>[], widths: number[], room: number): number[] | undefined {
  const excess = () => widths.reduce((sum, width) => sum + width, 0) + 2 * (widths.length - 1) - room
  while (excess() > 0) {
    const widest = columns.reduce(
      (best, { shrinks }, i) => (shrinks && (widths[i] ?? 0) > (widths[best] ?? 0) ? i : best),
      -1,
    )
    const width = widths[widest] ?? 0
    if (width <= 6) return undefined
    widths[widest] = width - 1
  }
  return widths
}

function truncate(text: string, width: number, widthOf: (text: string) => number): string {
  if (widthOf(text) <= width) return text
  let cut = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (widthOf(cut + segment) > width - 1) break
    cut += segment
  }
  return `${cut}…`
}

/** Prints one name and value per line, without the undefined ones. */
export function printFields(fields: Record<string, Value>): void {
  const { dim } = colours(process.stdout)
  const present = Object.entries(fields).filter(([, value]) => value !== undefined)
  const width = Math.max(...present.map(([name]) => name.length))
  for (const [name, value] of present) print(`${dim(name.padEnd(width))}  ${shown(value)}`.trimEnd())
}

const shown = (value: Value): string =>
  value === null || value === undefined ? '' : plain(typeof value === 'boolean' ? (value ? 'yes' : 'no') : `${value}`)

/** A time in this machine's time zone, to the minute, with its offset from UTC: `2026-11-21 13:00 +01:00`. */
export function moment(text: string | null): string | null {
  const at = new Date(text ?? '')
  if (Number.isNaN(at.getTime())) return text
  const two = (n: number) => String(n).padStart(2, '0')
  const clock = (hours: number, minutes: number) => `${two(hours)}:${two(minutes)}`
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-')
  const east = -at.getTimezoneOffset()
  const offset = `${east < 0 ? '-' : '+'}${clock(Math.trunc(Math.abs(east) / 60), Math.abs(east) % 60)}`
  return `${day} ${clock(at.getHours(), at.getMinutes())} ${east === 0 ? 'UTC' : offset}`
}

/** The date of a time, in this machine's time zone: `2026-11-21`. */
export const day = (text: string | null): string | null => moment(text)?.slice(0, 10) ?? null

/** `1 credit`, `5 credits` */
export const creditsText = (amount: number): string => `${amount} ${Math.abs(amount) === 1 ? 'credit' : 'credits'}`
