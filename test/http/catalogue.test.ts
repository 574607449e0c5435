import { readFile } from 'node:fs/promises'
import t from 'tap'
import * as catalogue from '../../src/http/catalogue.ts'
import type { ErrorKind } from '../../src/http/errors.ts'

const kinds: [name: string, kind: ErrorKind][] = Object.entries(catalogue)

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

t.test('the document lists the errors of the catalogue, all of them and no others', async (t) => {
  const codes = new Set(kinds.map(([, { status, code }]) => `${status} ${code}`))
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
  t.strictSame([...codes].filter((code) => !listed.has(code)).sort(), unlisted.sort())
})

type Responses = Record<
  string,
  { content?: Record<string, { examples?: Record<string, { value: { error: string } }> }> }
>
