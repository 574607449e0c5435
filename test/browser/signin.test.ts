import type { Page } from 'playwright-core'
import t from 'tap'
import { look, openBrowser, openPage, serve, serveElsewhere, signInByForm } from '../support/browser.ts'
import { unique } from '../support/start.ts'

const browser = await openBrowser(t)
const app = await serveElsewhere(t)
const { url } = await serve(t, { ALLOWED_ORIGINS: `${app.sameSite},${app.otherSite}` })

/** What a page's own script gets from us: the browser decides what goes out and what comes in. */
const fetched = (page: Page, path: string, init: object = {}) =>
  page.evaluate(
    `fetch(${JSON.stringify(url + path)}, ${JSON.stringify(init)})
      .then(async (answer) => ({ status: answer.status, body: await answer.json() }), (error) => ({ failed: String(error) }))`,
  ) as Promise<{ status?: number; body?: Record<string, never>; failed?: string }>

const signinFor = (target: string) => `${url}/signin?redirect_to=${encodeURIComponent(target)}`
const tokenIn = (address: string) => new URL(address).searchParams.get('token') ?? ''
const email = () => `${unique('ada')}@example.com`

t.test('signing in leads back to an app on another port, which then speaks for the person', async (t) => {
  const { page, complaints } = await openPage(t, browser)
  await page.goto(signinFor(`${app.sameSite}/place?keep=1#part`))
  await look(t, page, 'signin-local')
  await signInByForm(page, url, email())
  await page.waitForURL(`${app.sameSite}/**`)
  const address = new URL(page.url())
  t.match(address.href, /^http:\/\/localhost:\d+\/place\?keep=1&token=ey[\w.-]+#part$/)

  const authorization = `Bearer ${tokenIn(page.url())}`
  const byToken = await fetched(page, '/api/wallet?app=video', { headers: { authorization } })
  t.match(byToken, { status: 200, body: { account: { credits: 20 } } }, 'with the token')
  const byCookie = await fetched(page, '/api/wallet', { credentials: 'include' })
  t.match(byCookie, { status: 200, body: { account: { credits: 20 } } }, 'with the cookie, which another port shares')
  t.match(await fetched(page, '/api/wallet', { credentials: 'omit' }), { status: 401 })
  const job = { app: 'video', action: 'render', cost_estimate: 3 }
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', credentials: 'include', headers, body: JSON.stringify(job) }
  t.match(await fetched(page, '/api/jobs', init), { status: 200 }, 'a preflight and a change')
  t.match(await fetched(page, '/api/sessionToken', { credentials: 'include' }), { status: 200, body: { token: /^ey/ } })

  await page.goto(signinFor(`${app.sameSite}/again`))
  t.match(page.url(), /\/again\?token=ey/, 'whoever is signed in is led straight back')
  t.strictSame(complaints, [])
})

t.test('an app on another site is not known by the cookie, and works by the token', async (t) => {
  const { page } = await openPage(t, browser)
  await page.goto(signinFor(`${app.otherSite}/`))
  await signInByForm(page, url, email())
  await page.waitForURL(`${app.otherSite}/**`)
  const authorization = `Bearer ${tokenIn(page.url())}`
  const refused = await fetched(page, '/api/wallet', { credentials: 'include' })
  t.match(refused, { status: 401, body: { signin_url: signinFor(`${app.otherSite}/`) } })
  t.match(await fetched(page, '/api/wallet', { headers: { authorization } }), { status: 200 })
})

t.test('a site that is not allowed reads nothing, signed in or not', async (t) => {
  const stranger = await serveElsewhere(t)
  const { page } = await openPage(t, browser)
  await signInByForm(page, url, email())
  await page.waitForURL(`${url}/account`)
  await page.goto(stranger.sameSite)
  t.match(await fetched(page, '/api/wallet', { credentials: 'include' }), { failed: /Failed to fetch/ })
  t.match(await fetched(page, '/api/sessionToken', { credentials: 'include' }), { failed: /Failed to fetch/ })
})

t.test('a hostile redirect_to gets a page that leads nowhere', async (t) => {
  const { page } = await openPage(t, browser)
  const { host } = new URL(app.sameSite)
  for (const target of [
    'https://evil.example/',
    `${app.sameSite}.evil.example/`,
    `http://user@${host}/`,
    `http://${host}@evil.example/`,
    `http:\\\\${host}/`,
    `${app.sameSite}\\@evil.example/`,
    `//${host}/`,
    `https://${host}/`,
    'javascript:alert(document.domain)',
    'data:text/html,<script>alert(1)</script>',
    `http://${host}/\nx`,
    `${app.sameSite}/${'x'.repeat(2048)}`,
    'http://localhost:1/"><script>alert(1)</script>',
  ]) {
    const answer = await page.goto(signinFor(target))
    t.equal(answer?.status(), 400, target.slice(0, 80))
    t.equal(new URL(page.url()).origin, url)
    const links = await page.evaluate('[...document.links].map((link) => link.href)')
    t.strictSame(links, [], 'no link')
  }
  await look(t, page, 'signin-refused')
})

t.test('whoever signs out is signed out, and stays so', async (t) => {
  const { page } = await openPage(t, browser)
  await signInByForm(page, url, email())
  await page.waitForURL(`${url}/account`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL(`${url}/signin`)
  await page.getByText('You are signed out.').waitFor()
  await look(t, page, 'signed-out')
  await page.goto(`${url}/account`)
  t.equal(page.url(), `${url}/signin`)
})

t.test('without JavaScript people sign in and out', async (t) => {
  const { page } = await openPage(t, browser, { javaScriptEnabled: false })
  await signInByForm(page, url, email())
  await page.getByRole('heading', { name: 'Your account', exact: true }).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('You are signed out.').waitFor()
})
