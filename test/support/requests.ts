import fc from 'fast-check'
import { document, faultOf, type Operation, type Parameter, type Schema } from './document.ts'

/** Requests that the OpenAPI document allows, and requests that differ from those by one thing that it forbids. */

/** Values that exist on the server, by the name of the field or parameter. */
export interface Known {
  values: Record<string, unknown[]>
  /** Whether a field of these names always has one of them, and what else is optional is absent; otherwise half of the time */
  always: boolean
}

export interface Drawn {
  path: Record<string, string>
  query: Record<string, string>
  headers: Record<string, string>
  type?: string
  /** undefined: the request has no body */
  body?: unknown
}

const TIME = { min: new Date('2000-01-01T00:00:00Z'), max: new Date('2099-12-31T00:00:00Z'), noInvalidDate: true }

export const dereferenced = (schema: Schema): Schema =>
  schema.$ref ? (document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? schema) : schema

/** What Postgres stores, and a form or an address carries unchanged. */
const text = (minLength: number, maxLength: number) =>
  fc
    .string({ unit: 'grapheme', minLength, maxLength })
    .filter((value) => !value.includes('\0') && value.length <= maxLength)

function strings(schema: Schema): fc.Arbitrary<string> {
  const {
    pattern,
    format,
    minLength = 0,
    maxLength = 100,
  } = schema as {
    pattern?: string
    format?: string
    minLength?: number
    maxLength?: number
  }
  if (format === 'uuid') return fc.uuid()
  if (format === 'date') return fc.date(TIME).map((date) => date.toISOString().slice(0, 10))
  if (format === 'date-time') return fc.date(TIME).map((date) => date.toISOString())
  if (format === 'uri') {
    const addresses = fc.domain().chain((host) => fc.constantFrom(`https://${host}`, `https://${host}/callback`))
    return addresses.filter((url) => pattern === undefined || new RegExp(pattern).test(url))
  }
  if (pattern !== undefined) {
    const expression = new RegExp(pattern)
    const fits = (value: string) => expression.test(value) && value.length >= minLength && value.length <= maxLength
    return fc.stringMatching(expression, { size: 'small' }).filter(fits)
  }
  return text(minLength, Math.min(maxLength, 100))
}

/** Values that a schema allows. @param name of the field, which may be one of the known */
export function allowed(given: Schema, known: Known, name = ''): fc.Arbitrary<unknown> {
  const schema = dereferenced(given)
  const existing = known.values[name]
  const fresh = unknownTo(schema, known)
  const values = existing?.length ? fc.constantFrom(...existing) : fresh
  const value = known.always ? values : fc.oneof(values, fresh)
  return schema.nullable && !schema.enum ? fc.option(value, { freq: 5 }) : value
}

function unknownTo(schema: Schema, known: Known): fc.Arbitrary<unknown> {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...(schema.anyOf as Schema[]).map((one) => unknownTo(one, known)))
  if (schema.type === 'string') return strings(schema)
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'integer') {
    const {
      minimum: min = -1_000_000,
      maximum: max = 1_000_000,
      not,
    } = schema as {
      minimum?: number
      maximum?: number
      not?: { enum: unknown[] }
    }
    // Small numbers too: the largest pass every balance.
    return fc
      .oneof(fc.integer({ min: Math.max(min, -100), max: Math.min(max, 100) }), fc.maxSafeInteger())
      .filter((value) => value >= min && value <= max && !not?.enum.includes(value))
  }
  if (schema.type === 'array') {
    const {
      minItems: minLength = 0,
      maxItems = 3,
      items = {},
    } = schema as { minItems?: number; maxItems?: number; items?: Schema }
    const lengths = { minLength, maxLength: Math.min(maxItems, 3) }
    return schema.uniqueItems
      ? fc.uniqueArray(allowed(items, known), lengths)
      : fc.array(allowed(items, known), lengths)
  }
  if (schema.type === 'object' && schema.properties) {
    const { properties, required = [] } = schema
    const fields = present(Object.keys(properties), required, known)
      .map((name) => [name, properties[name] ?? {}] as const)
      .map(([name, inner]) => [name, allowed(inner, known, name)])
    return fc.record(Object.fromEntries(fields) as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: required })
  }
  return fc.dictionary(text(1, 20), fc.jsonValue({ noUnicodeString: true }), { maxKeys: 4 })
}

const present = (names: string[], required: string[], { values, always }: Known) =>
  names.filter((name) => !always || required.includes(name) || values[name])

/** A request that the document allows. */
export function allowedRequest({ parameters = [], requestBody }: Operation, known: Known): fc.Arbitrary<Drawn> {
  const group = (place: Parameter['in']) => {
    const all = parameters.filter((parameter) => parameter.in === place)
    const required = all.filter((parameter) => parameter.required || place === 'path').map(({ name }) => name)
    const names = present(
      all.map(({ name }) => name),
      required,
      known,
    )
    const values = all
      .filter(({ name }) => names.includes(name))
      .map(({ name, schema }) => [name, parameterText(place, allowed(schema, known, name))])
    return fc.record(Object.fromEntries(values), { requiredKeys: required }) as fc.Arbitrary<Record<string, string>>
  }
  const types = Object.entries(requestBody?.content ?? {})
  const body = types.map(([type, { schema = {} }]) =>
    fc.record({
      type: fc.constant(type),
      body: type.startsWith('application/json') ? allowed(schema, known) : forms(schema, known),
    }),
  )
  const none = fc.constant({})
  const withBody = body.length ? fc.oneof(...body, ...(requestBody?.required === false ? [none] : [])) : none
  return fc
    .tuple(group('path'), group('query'), group('header'), withBody)
    .map(([path, query, headers, content]) => ({ path, query, headers, ...content }))
}

/** The fields of a form are text. */
const forms = (schema: Schema, known: Known) =>
  allowed(schema, known).map((value) =>
    Object.fromEntries(Object.entries(value as object).map(([name, field]) => [name, String(field)])),
  )

function parameterText(place: Parameter['in'], values: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const asText = values.map(String)
  // A header carries visible ASCII; a segment of a path is neither empty nor a step to another folder.
  if (place === 'header') return asText.filter((value) => /^[\x21-\x7e]+$/.test(value))
  if (place === 'path') return asText.filter((value) => !/^\.{0,2}$/.test(value) && value.isWellFormed())
  return asText
}

/** Of each type, values of other types. */
const OTHER_TYPES: Record<string, unknown[]> = {
  string: [5, null],
  integer: ['5', 1.5, null],
  boolean: ['true', 1],
  array: ['x', {}, [5], ['x']],
  object: ['x', []],
}

/** Values that a schema may not allow: of another type, and beyond each of its constraints. */
function suspects(schema: Schema): unknown[] {
  const { type = '', pattern, format, enum: choices } = schema
  const { minimum, maximum, minLength, maxLength, maxItems } = schema as Record<string, number | undefined>
  const wrong = [...(OTHER_TYPES[type] ?? [])]
  if (minimum !== undefined) wrong.push(minimum - 1)
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) wrong.push(maximum + 1)
  if (minLength !== undefined) wrong.push('')
  if (maxLength !== undefined) wrong.push('a'.repeat(maxLength + 1))
  if (maxItems !== undefined) wrong.push(Array.from({ length: maxItems + 1 }, () => 'https://a.example.com'))
  if (pattern !== undefined || format !== undefined || choices !== undefined) wrong.push('no such thing!')
  return wrong
}

/** In an address every value is text; one that reads as a number is one, and so are `true` and `false`. */
function readAs({ type }: Schema, sent: string): unknown {
  if (type === 'integer' && sent.trim() !== '' && !Number.isNaN(Number(sent))) return Number(sent)
  return type === 'boolean' && ['true', 'false'].includes(sent) ? sent === 'true' : sent
}

/**
 * The request with one thing that the document forbids, as a list: each parameter and field of the body missing where it is
 * required, and wrong.
 * @param place of the operation in the document
 */
export function forbiddenRequests(
  operation: Operation,
  drawn: Drawn,
  place: string[],
): { what: string; request: Drawn }[] {
  const { parameters = [], requestBody } = operation
  const found: { what: string; request: Drawn }[] = []
  for (const [i, { in: group, name, required, schema }] of parameters.entries()) {
    const where = group === 'header' ? 'headers' : (group as 'path' | 'query')
    const { [name]: _, ...others } = drawn[where]
    if (required && group === 'query') found.push({ what: `no ${name}`, request: { ...drawn, [where]: others } })
    for (const value of suspects(schema).filter((value) => typeof value === 'string' || typeof value === 'number')) {
      const sent = String(value)
      if (group === 'header' && !/^[\x21-\x7e]+$/.test(sent)) continue
      if (group === 'path' && /^\.{0,2}$/.test(sent)) continue
      if (!faultOf(readAs(schema, sent), ...place, 'parameters', String(i), 'schema')) continue
      found.push({ what: `${name}=${sent.slice(0, 40)}`, request: { ...drawn, [where]: { ...others, [name]: sent } } })
    }
  }
  const { type = '', body } = drawn
  const isJson = type === 'application/json'
  const schema = requestBody?.content[type]?.schema
  if (!schema || body === undefined) return found
  const schemaPlace = [...place, 'requestBody', 'content', type, 'schema']
  const bodies: { what: string; body: unknown }[] = isJson
    ? ['x', [], null].map((body) => ({ what: 'body', body }))
    : []
  const { properties = {}, required = [] } = dereferenced(schema)
  for (const [name, inner] of Object.entries(properties)) {
    const { [name]: _, ...others } = (body ?? {}) as Record<string, unknown>
    if (required.includes(name)) bodies.push({ what: `no ${name}`, body: others })
    for (const value of suspects(dereferenced(inner))) {
      if (!isJson && typeof value !== 'string') continue
      bodies.push({ what: `${name}: ${JSON.stringify(value).slice(0, 40)}`, body: { ...others, [name]: value } })
    }
  }
  for (const { what, body } of bodies) {
    if (faultOf(body, ...schemaPlace)) found.push({ what, request: { ...drawn, body } })
  }
  return found
}
