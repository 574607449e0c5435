import { readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'

/** The committed OpenAPI document: its operations, and whether a request or an answer is as it says. */

export interface Schema {
  $ref?: string
  type?: string
  required?: string[]
  properties?: Record<string, Schema>
  items?: Schema
  enum?: unknown[]
  nullable?: boolean
  [keyword: string]: unknown
}
export interface Media {
  schema?: Schema
  example?: unknown
  examples?: Record<string, { value: unknown }>
}
export interface Parameter {
  in: 'query' | 'path' | 'header' | 'cookie'
  name: string
  required?: boolean
  schema: Schema
}
export interface Operation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  security?: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: { required: boolean; content: Record<string, Media> }
  responses: Record<string, { description?: string; content?: Record<string, Media>; headers?: Record<string, object> }>
}
export interface Document {
  openapi: string
  servers: { url: string }[]
  tags: { name: string; description?: string }[]
  paths: Record<string, Record<string, Operation>>
  'x-webhooks': Record<string, { post: Operation }>
  components: { schemas: Record<string, Schema>; securitySchemes: Record<string, object> }
}

export const document: Document = JSON.parse(
  readFileSync(new URL('../../openapi.snapshot.json', import.meta.url), 'utf8'),
)

/** Every operation with its method (upper case), its path and both as its name. */
export const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path,
    operation,
  })),
)

// Formats and nullable as OpenAPI 3.0 has them; what else Ajv does not know, such as example, constrains nothing.
const ajv = new Ajv({ strict: false, validateFormats: true })
formats.default(ajv)
ajv.addSchema(document, 'document')
const compiled = new Map<string, ValidateFunction>()

/** Says what is wrong with a value. @param place of its schema in the document, as names from its root */
export function faultOf(value: unknown, ...place: string[]): string | undefined {
  const pointer = place.map((name) => name.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')
  const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `document#/${encodeURI(pointer)}` })
  compiled.set(pointer, validate)
  return validate(value) ? undefined : ajv.errorsText(validate.errors, { dataVar: 'body' })
}

/** Headers that an answer has wherever the document lists them. */
const ALWAYS = ['WWW-Authenticate', 'Retry-After', 'Allow']

interface Answer {
  statusCode: number
  headers: Record<string, unknown>
  body: string
}

/** Literal paths come first, as in the router: `/api/jobs/complete` is not `/api/jobs/{id}`. */
const byPath = operations
  .toSorted((a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')))
  .map((operation) => ({
    ...operation,
    pattern: new RegExp(`^${operation.path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
  }))

/**
 * How an answer differs from what the document says of its operation: the status, the media type, the body.
 * @returns undefined where it does not, or where the document has no such operation
 */
export function departure(method: string, url: string, { statusCode, headers, body }: Answer): string | undefined {
  const pathname = url.split('?', 1)[0] ?? ''
  const found = byPath.find((operation) => operation.method === method && operation.pattern.test(pathname))
  if (!found) return undefined
  const { name, path, operation } = found
  const response = operation.responses[statusCode]
  if (!response) return `${name} does not list status ${statusCode}: ${body.slice(0, 200)}`
  const absent = ALWAYS.filter((name) => response.headers?.[name] && headers[name.toLowerCase()] === undefined)
  if (absent.length) return `${name} ${statusCode} has no ${absent}`
  if (!response.content) return undefined
  const type = String(headers['content-type']).split(';', 1)[0] ?? ''
  if (!response.content[type]) return `${name} ${statusCode} does not list ${type}`
  if (type !== 'application/json') return undefined
  const place = ['paths', path, method.toLowerCase(), 'responses', String(statusCode), 'content', type, 'schema']
  const fault = faultOf(JSON.parse(body), ...place)
  return fault && `${name} ${statusCode}: ${fault}: ${body.slice(0, 200)}`
}
