import { readFile } from 'node:fs/promises'
import t from 'tap'
import * as catalogue from '../../src/http/catalogue.ts'
import type { ErrorKind } from '../../src/http/errors.ts'
import * as problems from '../../src/oauth/problems.ts'

const kinds: [name: string, kind: ErrorKind][] = Object.entries(catalogue)
/** Those of OAuth have the names of their RFCs, also where the catalogue has another status for them. */
const ofOAuth = Object.entries(problems).filter((entry): entry is [string, ErrorKind<never[]>] => 'example' in entry[1])

t.test('every error has a stable code with one status, and a sentence', async (t) => {
  const statuses = Map.groupBy(kinds, ([, { code }]) => code)
  for (const [name, { code, status, example, fields }] of kinds) {
    t.match(code, /^[a-z]+(_[a-z]+)*$/, name)
    const [first] = statuses.get(code) ?? []
    t.equal(first?.[1].status, status, `${name}: ${code} always has the same status`)
    t.match([example.statusCode, example.code], [status, code], name)
    if (code !== 'invalid_request') t.match(example.message, /^[A-Z].*\.$/, name)
    t.strictSame(Object.keys(example.details), Object.keys(fields), `${name} describes the fields that it sends`)
  }
})

t.test('a description of OAuth has only the characters that RFC 6749 allows', async (t) => {
  t.ok(ofOAuth.length > 15)
  for (const [name, { example }] of ofOAuth) t.match(example.message, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+\.$/, name)
})

t.test('the document lists the errors of the catalogue, all of them and no others', async (t) => {
  const namesOf = (all: [string, ErrorKind<never[]>][]) => all.map(([, { status, code }]) => `${status} ${code}`)
  const codes = new Set([...namesOf(kinds), ...namesOf(ofOAuth)])
  const snapshot = JSON.parse(await readFile(new URL('../../openapi.snapshot.json', import.meta.url), 'utf8'))
  const listed = new Set<string>()
  for (const [path, operations] of Object.entries<Record<string, { responses: Responses }>>(snapshot.paths)) {
    for (const [method, { responses }] of Object.entries(operations)) {
      for (const [status, { content = {} }] of Object.entries(responses)) {
        for (const [code, { value }] of Object.entries(content['application/json']?.examples ?? {})) {
          if (Number(status) < 400) continue
          listed.add(`${status} ${code}`)
          t.equal(value.error, code, `${method} ${path} ${status} ${code}`)
        }
      }
    }
  }
  t.strictSame(
    [...listed].filter((code) => !codes.has(code)),
    [],
  )
  // Sent for requests that reach no route of the document.
  const unlisted = ['405 method_not_allowed', '408 request_timeout', '431 headers_too_large', '400 bad_request']
  // Sent to the client in a redirect, shown on a page, or answered to a GET that is none of the operations.
  const elsewhere = ['unsupported_response_type', 'request_not_supported', 'request_uri_not_supported']
  unlisted.push(...elsewhere.map((code) => `400 ${code}`), '403 access_denied', '405 invalid_request')
  t.strictSame([...codes].filter((code) => !listed.has(code)).sort(), unlisted.sort())
})

type Responses = Record<
  string,
  { content?: Record<string, { examples?: Record<string, { value: { error: string } }> }> }
>
