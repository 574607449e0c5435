import type { FastifyRequest } from 'fastify'
import { excess } from '../ledger/metadata.ts'
import { badField } from './catalogue.ts'

/** Nesting limit of a body: far beyond real use, and within the limits of JSON parsers and of Postgres. */
const MAX_DEPTH = 500

/**
 * A hook that refuses what cannot be stored unchanged, wherever it stands in a request: Postgres accepts neither NUL nor lone
 * surrogates, and a number beyond the range of a double would be read back as null.
 * @throws {ApiError} 400 naming the field
 */
export async function refuseUnstorable(request: FastifyRequest): Promise<void> {
  // An address without a route is not looked up anywhere, and its answer is always the same.
  if (!request.is404) {
    checkParameters(request.params as Parameters)
    checkParameters(request.query as Parameters)
  }
  const pending: [value: unknown, field: string, depth: number][] = [[request.body, '', 0]]
  for (let next = pending.pop(); next; next = pending.pop()) {
    const [value, field, depth] = next
    if (depth > MAX_DEPTH) throw badField(field, `must not nest deeper than ${MAX_DEPTH} levels`)
    if (typeof value === 'string') checkText(value, field || 'body')
    else if (typeof value === 'number' && !Number.isFinite(value))
      throw badField(field, 'has a number that is too large')
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        // Reports the outermost field: a path into metadata could be arbitrarily long.
        checkText(key, field || 'body')
        pending.push([inner, field || key, depth + 1])
      }
    }
  }
}

type Parameters = Record<string, string | string[]>

function checkParameters(parameters: Parameters): void {
  for (const name in parameters)
    for (const value of [parameters[name] ?? ''].flat()) checkText(value, name === '*' ? 'path' : name)
}

function checkText(text: string, field: string): void {
  if (text.includes('\0')) throw badField(field, 'must not contain a NUL character')
  if (!text.isWellFormed()) throw badField(field, 'must be well-formed Unicode (it has half a surrogate pair)')
}

type WithMetadata = Pick<FastifyRequest, 'inexact'> & { body: { metadata?: Record<string, unknown> } }

/** Serializes metadata for storage; null when absent. @throws {ApiError} 400 beyond its bounds, or where it would lose digits */
export function metadataText(request: WithMetadata): string | null {
  const { text, fault } = patchText(request)
  if (fault) throw badField('metadata', fault)
  return text
}

/** The same for metadata that is merged into a job's; `fault` is what is wrong with it, and then there is nothing to merge. */
export function patchText({ body, inexact }: WithMetadata): { text: string | null; fault?: string } {
  const { metadata } = body
  if (metadata === undefined) return { text: null }
  const text = JSON.stringify(metadata)
  const fault =
    inexact === null
      ? excess(metadata, text)
      : `has an integer that would lose digits, ${inexact.slice(0, 40)}: send it as a string`
  return fault ? { text: null, fault } : { text }
}
