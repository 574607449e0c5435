import { isDeepStrictEqual } from 'node:util'
import { MAX_METADATA_BYTES, MAX_METADATA_VALUES } from './rules.ts'
import type { Merge } from './state.ts'

/**
 * What metadata weighs, and what a merge makes of it. Pure: the database only stores the text, so that a merge takes time of its own
 * request's share and not of a statement that a whole batch waits for.
 */

/**
 * What the database prints with more bytes than this is not read along with other jobs. Metadata within the bounds is shorter, also
 * with the spaces that the database adds. What is longer was stored when there was no bound on numbers.
 */
export const MAX_PRINTED_BYTES = 2 * MAX_METADATA_BYTES

/** SQL: the metadata of jobs; null where it is oversized. */
export const readable = (column = 'jobs.metadata', type = '') =>
  `case when octet_length(${column}::text) <= ${MAX_PRINTED_BYTES} then ${column}${type} end`

/** SQL: whether metadata is too large to be read along with that of others. */
export const oversized = `coalesce(octet_length(jobs.metadata::text) > ${MAX_PRINTED_BYTES}, false)`

/**
 * What is wrong with the size of metadata; undefined: it fits.
 * @param text the metadata as compact JSON
 */
export function excess(metadata: object, text: string): string | undefined {
  const TOO_LARGE = `must not be larger than ${MAX_METADATA_BYTES} bytes as JSON`
  let bytes = Buffer.byteLength(text)
  if (bytes > MAX_METADATA_BYTES) return TOO_LARGE
  let values = 0
  const pending: unknown[] = [metadata]
  while (pending.length > 0) {
    const value = pending.pop()
    if (typeof value === 'number') bytes += printedBytes(value) - String(value).length
    else if (typeof value === 'object' && value !== null) {
      const inner = Object.values(value)
      values += inner.length
      if (values > MAX_METADATA_VALUES) return `must not have more than ${MAX_METADATA_VALUES} values`
      pending.push(...inner)
    }
  }
  return bytes > MAX_METADATA_BYTES
    ? `${TOO_LARGE} (1e300 is stored, and counts, as a number of 301 digits)`
    : undefined
}

/** How long a number is where it is printed in digits, without an exponent, as jsonb does. */
export function printedBytes(value: number): number {
  const [mantissa = '', exponent] = String(Math.abs(value)).split('e')
  const sign = value < 0 ? 1 : 0
  if (exponent === undefined) return sign + mantissa.length
  const digits = mantissa.replace('.', '').length
  const power = Number(exponent)
  return sign + (power > 0 ? Math.max(digits, power + 1) : 1 - power + digits)
}

/**
 * Merges metadata: new keys win. Too large is what changes the job's metadata and is beyond the bounds.
 * @param old as it is stored, as text; null: none. undefined: too large to be loaded
 * @param patch a JSON object, as text
 */
export function mergeMetadata(old: string | null | undefined, patch: string): Merge {
  if (old === undefined) return { text: '', too_large: true, same: false }
  const before = JSON.parse(old ?? '{}') as Record<string, unknown>
  const wanted = JSON.parse(patch) as Record<string, unknown>
  const isThere = ([key, value]: [string, unknown]) =>
    Object.hasOwn(before, key) && isDeepStrictEqual(before[key], value)
  const same = old !== null && Object.entries(wanted).every(isThere)
  const merged = { ...before, ...wanted }
  const text = JSON.stringify(merged)
  return { text, too_large: !same && excess(merged, text) !== undefined, same }
}
