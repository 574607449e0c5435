import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t from 'tap'
import { openBrowser, openPage, serve, serveElsewhere, signInByForm } from '../support/browser.ts'

const entryPoints = [fileURLToPath(new URL('../../client/src/index.ts', import.meta.url))]
const bundle = {
  entryPoints,
  bundle: true,
  minify: true,
  format: 'iife',
  globalName: 'focusClient',
  write: false,
} as const

/** What a page does with the library. Written as text, so that it runs on the page as it is. */
const USE = `async (options) => {
  const { createFocus } = focusClient
  const focus = createFocus(options)
  const { account } = await focus.getWallet({ app: 'video' })
  const value = await focus.withHold({ app: 'video', action: 'render', estimate: 5 }, async (job) => {
    job.cost(3)
    job.metadata({ done: true })
    return job.accountId
  })
  const short = await focus.withHold({ app: 'video', action: 'render', estimate: 500 }, () => 'free').catch((error) => error)
  const jobs = []
  for await (const job of focus.jobs({ limit: 1 })) jobs.push([job.status, job.actual_cost])
  const server = await fetch(options.url + '/healthz')
  return { id: account.id, value, short: [short.name, short.code, short.buyUrl], jobs, date: server.headers.get('date') }
}`

t.test('the bundled library works on a page, with the cookie and with a token, and keeps no secrets', async (t) => {
  const { outputFiles } = await build(bundle)
  const script = outputFiles[0]?.text ?? ''
  const browser = await openBrowser(t)
  const elsewhere = await serveElsewhere(t)
  const service = await serve(t, { ALLOWED_ORIGINS: `${elsewhere.sameSite},${elsewhere.otherSite}` })
  const { url } = service
  await (await service.admin()).put('/api/admin/apps/video', { starter_credits: 20 })
  const { page, complaints } = await openPage(t, browser)

  await signInByForm(page, url, 'ada@example.com')
  await page.getByText('ada@example.com').first().waitFor()
  await page.goto(elsewhere.sameSite)
  await page.addScriptTag({ content: script })
  const withCookie = await page.evaluate(`(${USE})(${JSON.stringify({ url })})`)
  t.match(withCookie, {
    id: /^[0-9a-f-]{36}$/,
    short: ['FocusError', 'insufficient_credits', /\/buy\?/],
    jobs: [['completed', 3]],
    date: /GMT$/,
  })

  await page.goto(elsewhere.otherSite)
  await page.addScriptTag({ content: script })
  const { id, token } = await service.person()
  const withToken = await page.evaluate(`(${USE})(${JSON.stringify({ url, token })})`)
  t.match(withToken, { id, value: id, jobs: [['completed', 3]] })

  for (const secret of [{ appKey: 'focus_app_video_0' }, { token: 'focus_pat_0' }]) {
    const create = `focusClient.createFocus(${JSON.stringify({ url, ...secret })})`
    const onPage = `(() => { try { ${create} } catch (error) { return error.code } })()`
    t.equal(await page.evaluate(onPage), 'secret_in_browser')
    const inWorker = `new Promise((resolve) => {
      const source = ${JSON.stringify(`${script}; try { ${create} } catch (error) { postMessage(error.code) }`)}
      new Worker(URL.createObjectURL(new Blob([source]))).onmessage = (event) => resolve(event.data)
    })`
    t.equal(await page.evaluate(inWorker), 'secret_in_browser', 'in a worker')
  }
  t.strictSame(complaints, [])
})
