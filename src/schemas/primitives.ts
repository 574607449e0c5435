import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { MAX_CREDITS } from '../ledger/rules.ts'

/** The building blocks of the schemas. OpenAPI 3.0.3 has `nullable` and `enum` instead of unions, hence `Type.Unsafe`. */

/** A schema that also accepts null. An enum must list null as well: `nullable` alone does not add it (OpenAPI 3.0.3). */
export const nullable = <T extends TSchema>(schema: T) =>
  Type.Unsafe<Static<T> | null>({
    ...schema,
    nullable: true,
    ...('enum' in schema && { enum: [...(schema.enum as unknown[]), null] }),
  })
export const oneOf = <T extends string>(values: readonly T[], options = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: values, ...options })

/**
 * The query of a list. Unknown filters are refused, because a list that ignored one would show too many rows. Parameters that begin with `_`
 * are ignored: some clients add them against caches.
 */
export const ListQuery = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false, patternProperties: { '^_': {} } })

/** A time in a filter; a date stands for its first moment in UTC. */
const Moment = (description: string) =>
  Type.Unsafe<string>({
    anyOf: [
      { type: 'string', format: 'date' },
      { type: 'string', format: 'date-time' },
    ],
    description,
  })
/** Filters of a list by time, half-open. */
export const periodFilter = (what: string) => ({
  from: Type.Optional(Moment(`${what} at this time or later: a date (UTC) or a time`)),
  to: Type.Optional(Moment(`${what} before this time: a date (UTC) or a time`)),
})

/** The number of rows of a page. @param rows the default */
export const PageLimit = (rows: number) => Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: rows }))
/** The cursor of the next page. */
export const NextCursor = Type.Unsafe<string | null>({
  type: 'string',
  nullable: true,
  description: 'null on the last page',
})

/** A `$ref` to a named component. */
export const ref = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })

/** A time in answers: a Date, or text that SQL has formatted with `isoTime`. */
export const Timestamp = Type.Unsafe<Date | string>({ type: 'string', format: 'date-time' })
export const NullableTimestamp = Type.Unsafe<Date | string | null>({
  type: 'string',
  format: 'date-time',
  nullable: true,
})
export const Metadata = Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true })
export const Credits = (options = {}) => Type.Integer({ minimum: 0, maximum: MAX_CREDITS, ...options })
/** A balance or a movement, which may be below zero. */
export const SignedCredits = (options = {}) => Type.Integer(options)
export const Slug = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: 'Lowercase letters, digits and hyphens',
})
// The format alone would accept urn:uuid:…, which Postgres refuses.
export const Uuid = Type.String({
  format: 'uuid',
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
})
/** An id in an answer. */
export const Id = Type.String({ format: 'uuid' })

export const EXAMPLE_ID = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'
export const EXAMPLE_TIME = '2026-11-21T12:00:00.000Z'
