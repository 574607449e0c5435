import type { App } from './start.ts'

/** What a caller may put anywhere, and where: for test/process/hostile-input.test.ts. */

const LONG = 'x'.repeat(5_000)
const DIGITS = '9'.repeat(40)

/** For a segment of a path, as it is sent. The second is half of a surrogate pair. */
export const SEGMENTS = ['%00', '%ED%A0%80', 'zz', 'x'.repeat(90), LONG, DIGITS, '%27', '[1]']

/** For a parameter or a field of a form: one pair of name and value, or two, as they are sent. */
export const pairs = (name: string, good = 'a'): string[] => [
  ...['%00', `${encodeURIComponent(good)}%00`, '%ED%A0%80', LONG, 'zz', '', DIGITS, '-1', '1e400', '%27', '0'].map(
    (value) => `${name}=${value}`,
  ),
  `${name}=${encodeURIComponent(good)}&${name}=${encodeURIComponent(good)}`,
  `${name}[]=a`,
  `${name}[a]=b`,
  // The edges of what JavaScript, Postgres and uuids take for a time, and a cursor of everything.
  ...['0000-01-01', '0001-01-01T00:00:00%2B23:59', '9999-12-31T23:59:59-23:59', '275760-09-13'].map(
    (value) => `${name}=${value}`,
  ),
  `${name}=-99999999999999999_ffffffff-ffff-ffff-ffff-ffffffffffff_ffffffff-ffff-ffff-ffff-ffffffffffff`,
  `${name}=99999999999999999_ffffffff-ffff-ffff-ffff-ffffffffffff`,
  ...['9999999999999999', '9007199254740991', '1000000000001', '2147483648'].map((value) => `${name}=${value}`),
  `${name}=FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF`,
]

/** For a field of a JSON body, as it is sent. */
export const JSON_VALUES = [
  ...['"\\u0000"', '"\\ud800"', `"${LONG}"`, '"zz"', '""', '-1', '1e400', '9007199254740991', DIGITS, 'null'],
  ...['[]', '["\\u0000"]', `["${LONG}"]`, '{}', '{"\\u0000":1}', 'true'],
]

export interface Route {
  method: string
  /** With its parameters, such as /console/apps/:slug */
  path: string
}

/** Every route that the service has. */
export function routesOf(app: App): Route[] {
  const parents: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', segment = '', methods] = /^((?:│ {3}| {4})*)[├└]── (\S+)(?: \((.+)\))?/.exec(line) ?? []
      if (!segment) return []
      const depth = indent.length / 4
      const path = `${depth > 0 ? parents[depth - 1] : ''}${segment}`
      parents[depth] = path
      return (methods?.split(', ') ?? [])
        .filter((method) => method !== 'HEAD' && method !== 'OPTIONS')
        .map((method) => ({ method, path }))
    })
}

/** A form of a page: its address, its fields with what they hold, or with what they take. */
export interface Form {
  method: 'get' | 'post'
  action: string
  fields: [name: string, value: string][]
}

const attribute = (tag: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1]

/** @param address of the page, where a form without an action is sent to */
export function formsOf(body: string, address: string): Form[] {
  return [...body.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map(([, tag = '', inside = '']) => {
    const fields: [string, string][] = []
    const inputs = inside.matchAll(/<input\b([^>]*)>|<(textarea|select|button)\b([^>]*)>([\s\S]*?)<\/\2>/g)
    for (const [, input, kind, element = '', content = ''] of inputs) {
      const own = input ?? element
      const name = attribute(own, 'name')
      if (name === undefined || fields.some(([known]) => known === name)) continue
      const chosen =
        /<option value="([^"]*)" selected/.exec(content)?.[1] ?? /<option value="([^"]*)"/.exec(content)?.[1]
      const value = kind === 'select' ? chosen : kind === 'textarea' ? content : attribute(own, 'value')
      fields.push([name, plain(value || 'a1')])
    }
    const action = plain(attribute(tag, 'action') ?? address)
    return { method: attribute(tag, 'method') === 'post' ? 'post' : 'get', action, fields }
  })
}

export const linksOf = (body: string): string[] =>
  [...body.matchAll(/href="(\/[^"#]*)/g)].map(([, href = '']) => plain(href))

/** Text of a page as it was before it was escaped. */
export const plain = (html: string) =>
  html
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
