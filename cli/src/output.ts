import { once } from 'node:events'
import type { WriteStream } from 'node:tty'
import pc from 'picocolors'

/**
 * Output. Everything is printed as a `Line`, which only `line` creates. It escapes the values that are interpolated, so that text from
 * anywhere cannot send control sequences to the terminal.
 */

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** Escapes control and format characters, which could hide or reorder the text around them: `\\u001b`. */
const plain = (text: string): string => text.replace(INVISIBLE, escaped)

const escaped = (character: string) =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('')

const hasColour = (stream: WriteStream): boolean =>
  stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

class Printable {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  toString(): string {
    return this.#text
  }
}
export type Line = Printable

/** The text of a template whose values are made printable: line`Signed in as ${name}.` */
export const line = (parts: TemplateStringsArray, ...values: (Value | Line)[]): Line =>
  new Printable(
    String.raw({ raw: parts }, ...values.map((value) => (value instanceof Printable ? value : shown(value)))),
  )

/** Several lines as one. */
export const lines = (all: Line[]): Line => new Printable(all.join('\n'))

/** Colours for one stream; none if it is not a terminal or NO_COLOR is set. */
export function colours(stream: WriteStream) {
  const colour = pc.createColors(hasColour(stream))
  const style = (paint: (text: string) => string) => (text: Line) => new Printable(paint(`${text}`))
  return {
    any: colour.isColorSupported,
    bold: style(colour.bold),
    cyan: style(colour.cyan),
    dim: style(colour.dim),
    inverse: style((text) => colour.bgBlack(colour.whiteBright(text))),
    red: style(colour.red),
    yellow: style(colour.yellow),
  }
}

/** Prints a value as JSON, with control characters escaped. */
export const printJson = (value: unknown): void => print(new Printable(toJson(value)))

const toJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(INVISIBLE, (character) =>
    character === '\n' ? character : escaped(character),
  )

/** Prints a value as JSON to stderr. */
export const remarkJson = (value: unknown): void => remark(new Printable(toJson(value)))

export const print = (text: Line): void => void process.stdout.write(`${text}\n`)

/**
 * Prints a text of any length as it arrives, reading no faster than it can be printed. Files and pipes get its bytes unchanged; a terminal
 * gets the text with control characters escaped.
 */
export async function printStream(body: ReadableStream<Uint8Array>): Promise<void> {
  const { stdout } = process
  // The decoder drops a byte order mark.
  const decoder = new TextDecoder()
  const readable = (text: string) => text.split(/\r?\n/).map(plain).join('\n')
  for await (const bytes of body) {
    const chunk = stdout.isTTY ? readable(decoder.decode(bytes, { stream: true })) : bytes
    if (!stdout.write(chunk)) await once(stdout, 'drain')
  }
}

/** Prints a line to stderr that is not part of the answer: a warning, or what to do next. */
export const remark = (text: Line): void => void process.stderr.write(`${text}\n`)

type Value = string | number | boolean | null | undefined
export interface Column<Row> {
  title: string
  value: (row: Row) => Value
  /** A shorter value, for a terminal that is too narrow for the table */
  short?: (row: Row) => Value
  /** Whether the text may be cut if the terminal is too narrow */
  shrinks?: boolean
}

/** Prints a table that fits the width of the terminal, if possible. Numbers are right-aligned. */
export async function printTable<Row>(columns: Column<Row>[], rows: Row[]): Promise<void> {
  const { dim } = colours(process.stdout)
  const room = process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY
  const full = rows.map((row) => columns.map(({ value }) => shown(value(row))))
  const titles = columns.map(({ title }) => plain(title).toUpperCase())
  const widthOf = await measure([...titles, ...full.flat()])
  const widthsOf = (cells: string[][]) =>
    columns.map((_, i) => Math.max(widthOf(titles[i] ?? ''), ...cells.map((row) => widthOf(row[i] ?? ''))))
  const fits = shrink(columns, widthsOf(full), room)
  const cells = fits ? full : rows.map((row) => columns.map(({ value, short = value }) => shown(short(row))))
  const widths = fits ?? widthsOf(cells)
  if (!fits) shrink(columns, widths, room)
  const numeric = columns.map(({ value }) => rows.length > 0 && rows.every((row) => typeof value(row) === 'number'))

  const row = (texts: string[]) => {
    const padded = texts.map((text, i) => {
      const cut = truncate(text, widths[i] ?? 0, widthOf)
      const gap = ' '.repeat((widths[i] ?? 0) - widthOf(cut))
      return numeric[i] ? gap + cut : cut + gap
    })
    return new Printable(padded.join('  ').trimEnd())
  }
  print(dim(row(titles)))
  for (const texts of cells) print(row(texts))
}

/** Measures the display width of texts. string-width is loaded only if there is non-ASCII text, because loading it is slow. */
async function measure(texts: string[]): Promise<(text: string) => number> {
  if (texts.every((text) => /^[ -~]*$/.test(text))) return (text) => text.length
  return (await import('string-width')).default
}

/** Narrows the widest of the columns that shrink, down to 6. @returns undefined if the table still does not fit */
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

/** Prints one name and value per line. Undefined values are left out. */
export function printFields(fields: Record<string, Value>): void {
  const { dim } = colours(process.stdout)
  const present = Object.entries(fields).filter(([, value]) => value !== undefined)
  const width = Math.max(...present.map(([name]) => name.length))
  for (const [name, value] of present) print(line`${dim(line`${name.padEnd(width)}`)}  ${value}`)
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
