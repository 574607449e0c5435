import { amountText, exactText, movementText } from '../words.ts'

/** What the cells of a table and the lines of a list of facts are made of. views/console/cell.eta renders them. */

export interface Cell {
  text: string
  href?: string | undefined
  kind?: 'number' | 'id' | 'time' | 'state' | 'code' | 'form'
  /** Shown to who points at it: the whole id, the exact time */
  title?: string
  /** For a copy button */
  copy?: string
  /** `datetime` of a time */
  at?: string
  style?: string
  /** A second line */
  note?: string | undefined
  /** Of a form with one button, which says `text` */
  form?: { action: string; field: string; value: string; of: string }
}

export const text = (value: string | null | undefined, more: Partial<Cell> = {}): Cell => ({
  text: value || '–',
  ...more,
})

export const amount = (value: number): Cell => ({
  text: amountText(value),
  kind: 'number',
  ...(value < 0 && { style: 'fault' }),
})

/** Credits that came or went. */
export const movement = (value: number): Cell => ({
  text: movementText(value),
  kind: 'number',
  ...(value > 0 && { style: 'gain' }),
})

/** How long ago, or how soon, with the exact time for who points at it. Where the exact time matters: `exactTime`. */
export function time(value: Date | string | null | undefined, now = new Date()): Cell {
  if (!value) return text(null)
  const date = new Date(value)
  return { text: sinceText(date, now), kind: 'time', title: exactText(date), at: date.toISOString() }
}

/** The same with the exact time below it, which a phone shows too. */
export const exactTime = (value: Date | string | null | undefined): Cell => ({
  ...time(value),
  note: value ? exactText(new Date(value)) : undefined,
})

const UNITS = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'always' })

/** `just now`, `3 minutes ago`, `in 2 days` */
export function sinceText(time: Date, now = new Date()): string {
  const seconds = (time.getTime() - now.getTime()) / 1000
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  }
  return seconds > 0 ? 'in less than a minute' : 'just now'
}

/** `3 days and 5 hours`: the two largest units of a duration */
export function durationText(seconds: number): string {
  const parts: string[] = []
  let left = Math.max(seconds, 60)
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size)
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
    left -= count * size
  }
  return parts.join(' and ')
}

/** The beginning and the end of an id, which can be copied whole. UUIDv7 of one time begin alike. */
export function id(value: string | null, href?: string): Cell {
  if (!value) return text(null)
  const short = value.length > 24 ? `${value.slice(0, 8)}…${value.slice(-4)}` : value
  return { text: short, kind: 'id', title: value, copy: value, href }
}

export const state = ({ word, style }: { word: string; style: string }): Cell => ({ text: word, kind: 'state', style })

export const code = (value: string, more: Partial<Cell> = {}): Cell => ({ text: value, kind: 'code', ...more })

/** A button that leads to a confirming page. @param of what it is about, for screen readers */
export const button = (word: string, action: string, of: string, field = 'of', value = ''): Cell => ({
  text: word,
  kind: 'form',
  form: { action, field, value, of },
})

/** A line of a list of facts: what it is called, and one or more values. */
export interface Fact {
  name: string
  cells: Cell[]
}

export const fact = (name: string, ...cells: Cell[]): Fact => ({ name, cells })
