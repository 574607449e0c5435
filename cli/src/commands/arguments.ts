import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import { usage } from '../failure.ts'

/** Parsers of arguments. Those for commander throw InvalidArgumentError. */

/** Whether a text is a UUID. */
export const isUuid = (given: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)

/** A whole number. */
export function integer(given: string): number {
  const number = Number(given)
  if (!/^-?\d+$/.test(given) || !Number.isSafeInteger(number))
    throw new InvalidArgumentError('It must be a whole number.')
  return number
}

/** A whole number, 0 or more. */
export function credits(given: string): number {
  const number = integer(given)
  if (number < 0) throw new InvalidArgumentError('It must not be negative.')
  return number
}

/** A cap on overages: `50` credits, or `200%` of the estimate. */
export function maxOverage(given: string): { credits: number } | { percent: number } {
  return given.endsWith('%') ? { percent: credits(given.slice(0, -1)) } : { credits: credits(given) }
}

/** The id of a token, or `current`. */
export const tokenId = (given: string): string => (given === 'current' ? given : uuid(given))

/** The id of a job or an account. */
export function uuid(given: string): string {
  if (!isUuid(given)) throw new InvalidArgumentError('It must be an id such as 0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f.')
  return given
}

/** A number of days, such as `30` or `30d`. */
export function days(given: string): number {
  const number = credits(given.replace(/d$/, ''))
  if (number < 1 || number > 365) throw new InvalidArgumentError('It must be 1 to 365 days.')
  return number
}

/** Slugs of apps. Collects the values of an option that may be repeated. */
export const slugs = (given: string, before: string[] | boolean | undefined): string[] => [
  ...(Array.isArray(before) ? before : []),
  slug(given),
]

/** The slug of an app. */
export function slug(given: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(given)) {
    throw new InvalidArgumentError('It must consist of lower case letters, digits and hyphens.')
  }
  return given
}

/**
 * Metadata given as JSON, as `@file`, or as `-` for standard input.
 * @throws {Failure} usage, if it is not a JSON object or cannot be read
 */
export async function readMetadata(given: string | undefined): Promise<Record<string, unknown> | undefined> {
  if (given === undefined) return undefined
  const json = await readText(given)
  try {
    const metadata: unknown = JSON.parse(json)
    if (typeof metadata === 'object' && metadata && !Array.isArray(metadata)) return metadata as Record<string, unknown>
  } catch {}
  throw usage('--metadata must be a JSON object, @file or - for standard input', `Example: '{"description":"a clip"}'`)
}

async function readText(given: string): Promise<string> {
  if (given === '-') return text(process.stdin)
  if (!given.startsWith('@')) return given
  try {
    return await readFile(given.slice(1), 'utf8')
  } catch (error) {
    throw usage(`--metadata cannot be read: ${(error as Error).message}`)
  }
}
