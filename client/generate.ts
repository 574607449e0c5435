/**
 * Generates src/api-types.d.ts, src/operation-table.ts and src/admin-operations.ts from openapi.snapshot.json. With `--check` it only compares, and
 * fails when they differ.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'
import type ts from 'typescript'

interface Schema {
  $ref?: string
  enum?: string[]
  properties?: Record<string, Schema>
}
interface Operation {
  operationId: string
  security?: object[]
  tags?: string[]
  parameters?: { in: string; name: string }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, { schema?: Schema; example?: unknown }> }>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

/** Called by the service's own sign-in form, by Clerk and by Stripe, but not by clients. */
const NOT_FOR_CLIENTS = ['signInLocally', 'receiveClerkWebhook', 'receiveStripeEvent']
/**
 * Operations other than GET that are idempotent, so that the library may repeat them when an answer was lost. Not in the list: operations that
 * create something each time, DELETE (the second one answers 404), and the PUT that may rotate a key.
 */
const REPEATABLE = [
  ...['createJob', 'completeJob', 'failJob', 'heartbeatJob', 'adjustCredits', 'refundJob', 'revokeAccountTokens'],
  ...['setPack', 'updateWebhookEndpoint', 'pollDeviceLogin', 'completeDeviceLogin', 'revokeOAuthToken'],
  ...['introspectToken', 'changeGrant'],
]
/** Reads the whole ledger, for up to two minutes. */
const SLOW = ['verifyLedger']

const LETTERS: Record<string, string> = { get: 'G', post: 'P', put: 'U', patch: 'A', delete: 'D' }

const at = (path: string): URL => new URL(path, import.meta.url)
const document: Document = JSON.parse(readFileSync(at('../openapi.snapshot.json'), 'utf8'))
const codes: [id: string, codes: string[]][] = []
const lines: string[] = []
const adminLines: string[] = []

for (const [path, methods] of Object.entries(document.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const { operationId, responses } = operation
    if (NOT_FOR_CLIENTS.includes(operationId)) {
      delete methods[method]
      continue
    }
    const isAdmin = operation.tags?.includes('Admin')
    const list = isAdmin ? adminLines : lines
    list.push([operationId, LETTERS[method] + flagsOf(method, operation), path].join(' '))
    const errors = Object.keys(responses).filter((status) => Number(status) >= 300)
    const found = errors.flatMap((status) => codesOf(responses[status]?.content?.['application/json']?.schema))
    codes.push([operationId, [...new Set(found)].sort()])
    // The codes replace the schemas of errors, which would be most of the types. Examples are only for readers of the document.
    for (const status of errors) delete responses[status]
    for (const { content = {} } of Object.values(responses)) {
      for (const media of Object.values(content)) delete media.example
    }
  }
}
const idsOf = (list: string[]) => list.map((line) => line.split(' ', 1)[0] ?? '')
const known = idsOf([...lines, ...adminLines])
for (const id of [...REPEATABLE, ...SLOW]) {
  if (!known.includes(id)) throw new Error(`${id} is not an operation: remove it from the lists in generate.ts.`)
}

function flagsOf(method: string, operation: Operation): string {
  const { operationId, parameters = [], requestBody, responses, security = [] } = operation
  const body = requestBody?.content
  const bodySchema = resolve(Object.values(body ?? {})[0]?.schema)
  const sendsAccount =
    bodySchema?.properties?.account_id !== undefined || parameters.some(({ name }) => name === 'account_id')
  const takesKey = security.some((scheme) => 'appKey' in scheme)
  return [
    method !== 'get' && REPEATABLE.includes(operationId) && 'r',
    takesKey && (sendsAccount ? 'ka' : 'k'),
    body && !('application/json' in body) && 'f',
    responses[200]?.content && 'text/html' in responses[200].content && 'h',
    SLOW.includes(operationId) && 's',
  ]
    .filter(Boolean)
    .join('')
}

function resolve(schema: Schema | undefined): Schema | undefined {
  const name = schema?.$ref?.split('/').at(-1)
  return name === undefined ? schema : document.components.schemas[name]
}

function codesOf(schema: Schema | undefined): string[] {
  return schema?.properties?.error?.enum ?? []
}

const nodes: ts.Node[] = await openapiTS(document as never)
const listed = codes.map(([id, list]) => `    ${id}: ${list.map((code) => `'${code}'`).join(' | ') || 'never'};`)
const banner = '/* Made of openapi.snapshot.json by `npm run openapi`. Do not edit. */\n'
const outputs = {
  'src/api-types.d.ts': `${banner}
${astToString(nodes)}
/** The error codes of each operation. */
export interface ErrorCodes {
${listed.join('\n')}
}
/** Operations of administrators. */
export type AdminOperationId = ${idsOf(adminLines)
    .map((id) => `'${id}'`)
    .join(' | ')};
`,
  'src/operation-table.ts': `${banner}
/**
 * A line for each operation: its id, its method with flags, its path. Methods: G GET, P POST, U PUT, A PATCH, D DELETE. Flags: r: may be
 * repeated; k: accepts an app's key; a: with the key, also \`account_id\`; f: sends a form; h: a page for people; s: slow.
 */
export const OPERATIONS = \`${lines.join('\n')}\`
`,
  'src/admin-operations.ts': `${banner}
/** The operations of administrators, in the format of operation-table.ts. */
export const ADMIN_OPERATIONS = \`${adminLines.join('\n')}\`
`,
}

let stale = false
for (const [file, text] of Object.entries(outputs)) {
  if (process.argv.includes('--check')) {
    if (readFileSync(at(file), 'utf8') === text) continue
    console.error(`client/${file} differs from openapi.snapshot.json: run npm run openapi`)
    stale = true
  } else writeFileSync(at(file), text)
}
if (stale) process.exit(1)
