import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { delimiter, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import axe, { type AxeResults } from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { freePort } from './free-port.ts'
import { startOwn } from './start.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']
const PLACES = ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome']
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** @throws with install instructions */
function chromiumPath(): string {
  const given = process.env.CHROMIUM_PATH
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = given
    ? [given]
    : [...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))), ...PLACES]
  const found = candidates.find((path) => existsSync(path))
  if (found) return found
  throw new Error(
    `${given ? `There is no ${given}` : 'There is no Chromium here'}. On Debian: apt-get update && apt-get install -y chromium; ` +
      'elsewhere install Chromium or Chrome, and set CHROMIUM_PATH to its program where it is not on the PATH.',
  )
}

/**
 * A Chromium that ends with the test and reaches this machine alone.
 * @param hosts names that stand for a port here, such as `{ 'clerk.focus.test': 4011 }`
 */
export async function openBrowser(t: Test, hosts: Record<string, number> = {}): Promise<Browser> {
  const mapped = Object.entries(hosts).map(([name, port]) => `MAP ${name} 127.0.0.1:${port}`)
  const rules = [...mapped, 'MAP * ~NOTFOUND', 'EXCLUDE localhost', 'EXCLUDE 127.0.0.1']
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: [...QUIET, `--host-resolver-rules=${rules.join(',')}`],
  })
  t.teardown(() => browser.close())
  return browser
}

/** A page in a profile of its own, with its script and CSP errors. */
export async function openPage(t: Test, browser: Browser, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const complaints: string[] = []
  page.on('console', (message) => {
    if (/Content Security Policy|Content-Security-Policy/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return { page, complaints }
}

/**
 * The service at an address that a browser can reach.
 * @param env configuration, for those who need to know the address as a function of it
 */
export async function serve(t: Test, env: Env | ((url: string) => Promise<Env>) = {}) {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const given = typeof env === 'function' ? await env(url) : env
  const service = await startOwn(t, { PORT: String(port), PUBLIC_URL: url, ...given })
  await service.app.listen({ port, host: '127.0.0.1' })
  return { ...service, url, host: `localhost:${port}` }
}

type Env = Record<string, string>

/** Somebody else's web server: `respond` gives its pages by path. It has two origins, which are two sites. */
export async function serveElsewhere(t: Test, respond: (path: string) => string = () => '<title>App</title>App') {
  const posted: string[] = []
  const server = createServer(async (request, response) => {
    posted.push((await buffer(request)).toString())
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(respond(request.url ?? '/'))
  })
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { sameSite: `http://localhost:${port}`, otherSite: `http://127.0.0.1:${port}`, posted }
}

/** Signs in with the local identity, by the form. */
export async function signInByForm(page: Page, url: string, email: string): Promise<void> {
  if (!page.url().includes('/signin')) await page.goto(`${url}/signin`)
  await page.getByLabel('E-mail address').fill(email)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/**
 * Checks a page at several widths, light and dark: axe finds no violation, and nothing is cut off at 320 px.
 * With SCREENSHOTS=<folder> there is a picture of each to look at.
 * @param scope a CSS selector of the part of the page that is ours; absent: the whole page
 */
export async function look(t: Test, page: Page, name: string, scope?: string): Promise<void> {
  const size = page.viewportSize()
  await page.evaluate(axe.source)
  for (const width of [320, 360, 1280]) {
    await page.setViewportSize({ width, height: 800 })
    const wide = (await page.evaluate('document.scrollingElement.scrollWidth')) as number
    t.ok(wide <= width, `${name} fits into ${width} px`, { wide })
    if (width === 320) continue
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate('document.getAnimations().forEach((one) => one.finish())')
      await photograph(page, `${name}-${width}-${colorScheme}`)
      const options = { resultTypes: ['violations'] }
      const script = `axe.run(${scope ? JSON.stringify(scope) : 'document'}, ${JSON.stringify(options)})`
      const { violations } = (await page.evaluate(script)) as AxeResults
      const found = violations.map(({ id, nodes }) => ({
        id,
        nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]),
      }))
      t.strictSame(found, [], `axe finds nothing: ${name}, ${width} px, ${colorScheme}`)
    }
  }
  if (size) await page.setViewportSize(size)
  await page.emulateMedia({ colorScheme: 'light' })
}

async function photograph(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}
