import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { start } from '../support/start.ts'

t.test('the documents are pages, whose links and anchors lead somewhere', async (t) => {
  const { app } = await start(t)
  const names = (await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => name.slice(0, -3))
  const pages = new Map<string, string>()
  for (const name of names) {
    const { statusCode, body } = await app.inject({ url: `/docs/${name}` })
    t.equal(statusCode, 200, name)
    pages.set(`/docs/${name}`, body)
  }
  for (const [page, body] of pages) {
    for (const [, href = ''] of body.matchAll(/<a href="([^"]+)"/g)) {
      if (!/^(#|\/docs\/)/.test(href)) continue
      const [path, anchor] = href.split('#')
      const target = pages.get(path || page)
      t.ok(target, `${page} links to ${href}`)
      if (anchor) t.ok(target?.includes(`id="${anchor}"`), `${page} links to ${href}`)
    }
    const markdown = await readFile(`.${page}.md`, 'utf8')
    const headings = [...markdown.replaceAll(/```[\s\S]*?```/g, '').matchAll(/^#+ /gm)].length
    t.equal([...body.matchAll(/<h[1-6]/g)].length - 1, headings, `${page} has all headings`)
  }
  t.equal((await app.inject({ url: '/docs/nothing', headers: { accept: 'text/html' } })).statusCode, 404)
  t.match((await app.inject('/docs')).body, /<a href="\/docs\/ledger">The ledger<\/a>/)
})
