import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { derivePat, deriveToken } from '../../src/access/tokens.ts'
import { readConfig } from '../../src/config.ts'
import * as catalogue from '../../src/http/catalogue.ts'
import type { ErrorKind } from '../../src/http/errors.ts'
import * as problems from '../../src/oauth/problems.ts'
import { start, unique } from '../support/start.ts'

/** The text below a heading, up to the next one. */
function sectionOf(markdown: string, heading: string): string {
  const begin = markdown.indexOf(`\n${heading}\n`)
  if (begin < 0) throw new Error(`no section ${heading}`)
  return markdown.slice(begin + heading.length + 2).split(/^#+ /m, 1)[0] ?? ''
}

/** The rows of the tables of one section, cells trimmed, without heads. The first cell is empty. */
const tableRows = (markdown: string, heading: string): string[][] =>
  sectionOf(markdown, heading)
    .split('\n')
    .filter((line) => /^\| (`|\d)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))

const read = (file: string) => readFile(file, 'utf8')

const configuration = tableRows(await read('docs/configuration.md'), '## Variables')
const documented = new Map(configuration.map(([, name = '', normal = '']) => [name.replaceAll('`', ''), normal]))
const ofCompose = ['POSTGRES_PASSWORD', 'API_PUBLISH']

/** Every variable that the configuration reads. */
const known = new Set<string>()
readConfig(new Proxy({}, { get: (_, name) => void known.add(String(name)) }))

t.test('docs/configuration.md and .env.example list exactly the variables that are read', async (t) => {
  const expected = [...known, ...ofCompose].sort()
  t.strictSame([...documented.keys()].sort(), expected)
  const example = (await read('.env.example')).matchAll(/^# ([A-Z_]+)=/gm)
  t.strictSame([...example].map(([, name]) => name).sort(), expected, 'in .env.example, once each')
  for (const name of ofCompose) t.match(await read('docker-compose.yml'), `\${${name}:`)
})

t.test('the defaults in docs/configuration.md are those of the service', async (t) => {
  for (const [name, normal] of documented) {
    const value = /^`([^`]+)`/.exec(normal)?.[1]
    if (ofCompose.includes(name) || value === undefined) continue
    t.strictSame(readConfig({ [name]: value }), readConfig({}), `${name}=${value}`)
  }
})

t.test('docs/ledger.md lists the invariants of verify, with what each means and what to do', async (t) => {
  const { admin } = await start(t)
  const { checks } = (await (await admin()).get('/api/admin/verify')).json() as {
    checks: { name: string; meaning: string; remedy: string }[]
  }
  const section = sectionOf(await read('docs/ledger.md'), '## The invariants')
  const listed = [...section.matchAll(/^\d+\. .+/gm)].map(([line]) => line.replaceAll('`', ''))
  t.strictSame(
    listed,
    checks.map(({ name, meaning, remedy }, i) => `${i + 1}. **${name}**. ${meaning} *What to do:* ${remedy}`),
  )
})

t.test('docs/operating.md says what to do about every alert', async (t) => {
  const { groups } = parse(await read('docs/alerts.yml')) as { groups: { rules: { alert: string }[] }[] }
  const named = tableRows(await read('docs/operating.md'), '### Alerts').map(([, name]) => name)
  for (const { alert } of groups.flatMap(({ rules }) => rules)) t.ok(named.includes(`\`${alert}\``), alert)
})

t.test('every link between the documents leads somewhere', async (t) => {
  const pages = ['README.md', 'CHANGELOG.md', ...(await readdir('docs')).map((name) => `docs/${name}`)]
  for (const page of pages.filter((name) => name.endsWith('.md'))) {
    for (const [, target = ''] of (await read(page)).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [path = '', anchor] = target.split('#')
      const file = path ? join(dirname(page), path) : page
      if (!existsSync(file)) t.fail(`${page} links to ${target}`)
      else if (anchor) t.ok(anchorsOf(await read(file)).includes(anchor), `${page}: ${target}`)
    }
  }
})

/** The anchors that GitHub gives to headings. */
const anchorsOf = (markdown: string): string[] =>
  [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )

t.test('docs/api.md lists every error of the catalogue with its status', async (t) => {
  const rows = tableRows(await read('docs/api.md'), '## Errors')
  const listed = rows.flatMap(([, status, codes = '']) =>
    [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code]) => `${status} ${code}`),
  )
  const declared = new Set(Object.values(catalogue).map(({ status, code }) => `${status} ${code}`))
  t.strictSame([...listed].sort(), [...declared].sort())
})

t.test('docs/oauth.md lists every error of the OAuth endpoints with its status', async (t) => {
  const rows = tableRows(await read('docs/oauth.md'), '## Errors')
  const listed = rows.flatMap(([, status, codes = '']) =>
    [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code]) => `${status} ${code}`),
  )
  const kinds = Object.values(problems).filter((one): one is ErrorKind<never[]> => 'example' in one)
  const declared = new Set(kinds.map(({ status, code }) => `${status} ${code}`))
  t.strictSame([...listed].sort(), [...declared].sort())
})

t.test('docs/api.md publishes patterns of our secrets, and how to check their checksum', async (t) => {
  const api = await read('docs/api.md')
  const section = sectionOf(api, '## Patterns for secret scanners')
  const patterns = [...section.matchAll(/^\|[^|]+\| `((?:[^`|]|\\\|)+)` \|/gm)].map(([, pattern = '']) =>
    pattern.replaceAll('\\|', '|'),
  )
  const code = /```js\n([^`]+)```/.exec(section)?.[1] ?? ''
  const { isFocusToken } = await import(`data:text/javascript,${encodeURIComponent(code)}`)

  const tokens = [derivePat('secret', unique('id'), 'code')]
  for (const prefix of ['focus_at_', 'focus_rt_'] as const)
    tokens.push(deriveToken(prefix, 'secret', unique('id'), 'code'))
  const { admin } = await start(t)
  const slug = unique('scanned')
  const administrator = await admin()
  const { app } = (
    await administrator.put(`/api/admin/apps/${slug}`, { starter_credits: 0, settle_key: 'rotate' })
  ).json()
  const hook = { url: 'https://hooks.example.com/focus', events: ['job.completed'] }
  const { secret } = (await administrator.post(`/api/admin/apps/${slug}/webhooks`, hook)).json()
  for (const made of [...tokens, app.settle_key, secret]) {
    t.equal(patterns.filter((pattern) => new RegExp(`^${pattern}$`).test(made)).length, 1, made.slice(0, 10))
  }
  for (const token of tokens) {
    t.ok(isFocusToken(token))
    t.notOk(isFocusToken(token.replace(/.$/, (last) => (last === '0' ? '1' : '0'))), 'a look-alike')
  }
})

t.test('README.md is short, and begins with the two commands', async (t) => {
  const readme = await read('README.md')
  t.ok(readme.split('\n').length <= 130)
  for (const line of ['npm ci && npm start', 'npm ci && npm test']) t.match(readme, `\n${line} `)
})
