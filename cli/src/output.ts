import type { WriteStream } from 'node:tty'
import pc from 'picocolors'

/** What reaches the terminal. Whatever comes from a server goes through `plain`: it must not steer the terminal. */

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** The text with every control character, and whatever else turns or hides the text around it, spelled out. */
export const plain = (text: string): string => text.replace(UNSEEN, spelledOut)

const spelledOut = (unseen: string) =>
  Array.from({ length: unseen.length }, (_, i) => `\\u${unseen.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')

const hasColour = (stream: WriteStream): boolean =>
  stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'

/** Colours for one stream: only on a terminal, and without NO_COLOR. */
export const colours = (stream: WriteStream) => pc.createColors(hasColour(stream))

/** Answers with JSON that means the same and shows no control character. */
export const printJson = (value: unknown): void => print(toJson(value))

export const toJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(UNSEEN, (unseen) => (unseen === '\n' ? unseen : spelledOut(unseen)))

export const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** Something beside the answer: a warning, or what to do next. */
export const remark = (line: string): void => void process.stderr.write(`${line}\n`)

type Value = string | number | boolean | null | undefined
export interface Column<Row> {
  title: string
  value: (row: Row) => Value
  /** May be cut where the terminal is too narrow for all */
  shrinks?: boolean
}

/** A table for people: columns as wide as their content; in a terminal no wider than it. Numbers stand at the right. */
export async function printTable<Row>(columns: Column<Row>[], rows: Row[]): Promise<void> {
  const { dim } = colours(process.stdout)
  const cells = rows.map((row) => columns.map(({ value }) => shown(value(row))))
  const widthOf = await measure(cells.flat())
  const numeric = columns.map(({ value }) => rows.length > 0 && rows.every((row) => typeof value(row) === 'number'))
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...cells.map((row) => widthOf(row[i] ?? ''))))
  shrink(columns, widths, process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY)

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

/** How many columns a text takes. Loading the tables for it takes as long as all the rest, and most tables are ASCII. */
async function measure(texts: string[]): Promise<(text: string) => number> {
  if (texts.every((text) => /^[ -~]*$/.test(text))) return (text) => text.length
  return (await import('string-width')).default
}

function shrink<Row>(columns: Column<Row>[], widths: number[], room: number): void {
  const excess = () => widths.reduce((sum, width) => sum + width, 0) + 2 * (widths.length - 1) - room
  while (excess() > 0) {
    const widest = columns.reduce(
      (best, { shrinks }, i) => (shrinks && (widths[i] ?? 0) > (widths[best] ?? 0) ? i : best),
      -1,
    )
    const width = widths[widest] ?? 0
    if (width <= 6) return
    widths[widest] = width - 1
  }
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

/** Names and values, one pair a line; what is undefined is left out. */
export function printFields(fields: Record<string, Value>): void {
  const { dim } = colours(process.stdout)
  const present = Object.entries(fields).filter(([, value]) => value !== undefined)
  const width = Math.max(...present.map(([name]) => name.length))
  for (const [name, value] of present) print(`${dim(name.padEnd(width))}  ${shown(value)}`.trimEnd())
}

const shown = (value: Value): string =>
  value === null || value === undefined ? '' : plain(typeof value === 'boolean' ? (value ? 'yes' : 'no') : `${value}`)

/** A moment of the server in the time of this machine, to the minute: `2026-11-21 13:00`. */
export function moment(text: string | null): string | null {
  const at = new Date(text ?? '')
  if (Number.isNaN(at.getTime())) return text
  const two = (n: number) => String(n).padStart(2, '0')
  const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-')
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`
}

/** The day of a moment: `2026-11-21`. */
export const day = (text: string | null): string | null => moment(text)?.slice(0, 10) ?? null
