import { readdirSync, readFileSync } from 'node:fs'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { Marked } from 'marked'
import { pageNotFound } from '../../http/catalogue.ts'
import { pathOf } from '../../http/error-handler.ts'
import { page } from './page.ts'

const DOCS = new URL('../../../docs/', import.meta.url)
/** The order of the list of pages. What is not named here is for people who have the repository before them. */
const SHOWN = [
  'client',
  'api',
  'oauth',
  'mcp',
  'payments',
  'console',
  'cli',
  'ledger',
  'operating',
  'configuration',
  'clerk',
] as const

interface Doc {
  title: string
  html: string
}

/** The documentation of this very release: docs/*.md of the repository as pages, so that other pages can lead to a paragraph. */
export const docPages: FastifyPluginAsyncTypebox = async (app) => {
  const docs = readDocs()
  const list = SHOWN.map((name) => ({ href: `/docs/${name}`, text: docs.get(name)?.title ?? name, name }))

  app.get('/docs', { schema: { hide: true } }, (_request, reply) =>
    page(reply, 'docs', { title: 'Documentation', wide: true, list }),
  )

  app.get('/docs/:name', { schema: { hide: true, params: Type.Object({ name: Type.String() }) } }, (request, reply) => {
    const { name } = request.params
    const doc = docs.get(name)
    if (!doc) throw pageNotFound(pathOf(request))
    return page(reply, 'docs', { ...doc, wide: true, list: list.filter((other) => other.name !== name) })
  })
}

/** Every document, by its name without `.md`. */
function readDocs(): Map<string, Doc> {
  const names = readdirSync(DOCS).filter((name) => name.endsWith('.md'))
  return new Map(names.map((file) => [file.slice(0, -3), readDoc(readFileSync(new URL(file, DOCS), 'utf8'))]))
}

function readDoc(markdown: string): Doc {
  let title = ''
  let tables = 0
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }) {
        // The page's own heading is the layout's.
        if (depth === 1) title = text
        return depth === 1 ? '' : `<h${depth} id="${slugOf(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`
      },
      link({ href, tokens }) {
        const text = this.parser.parseInline(tokens)
        const target = targetOf(href)
        return target === undefined ? text : `<a href="${target}">${text}</a>`
      },
      // A table that is wider than the page is scrolled by itself, also by keyboard.
      table(token) {
        const row = (cells: typeof token.header) =>
          `<tr>${cells.map(({ tokens, header }) => `<${header ? 'th scope="col"' : 'td'}>${this.parser.parseInline(tokens)}</${header ? 'th' : 'td'}>`).join('')}</tr>`
        const body = token.rows.map(row).join('\n')
        return `<div class="scrolled" tabindex="0" role="region" aria-label="Table ${++tables}"><table><thead>${row(token.header)}</thead><tbody>${body}</tbody></table></div>\n`
      },
      code: ({ text }) => `<pre tabindex="0"><code>${escaped(text)}</code></pre>\n`,
      html: ({ text }) => escaped(text),
    },
  })
  const html = marked.parse(markdown, { async: false })
  return { title, html }
}

/** Where a link of a document leads to on our pages; undefined for a file of the repository, which is not served. */
function targetOf(href: string): string | undefined {
  if (/^(https?:|#)/.test(href)) return escaped(href)
  const [, name, anchor = ''] = /^([a-z]+)\.md(#.*)?$/.exec(href) ?? []
  return name && `/docs/${name}${escaped(anchor)}`
}

/** The anchor of a heading, as GitHub makes it. */
export const slugOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
