import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { look, openBrowser, openPage, serve, signInByForm } from '../support/browser.ts'
import { freePort } from '../support/free-port.ts'
import { earlier, unique } from '../support/start.ts'

const SERVE = fileURLToPath(new URL('../../examples/browser-app/serve.ts', import.meta.url))

const browser = await openBrowser(t)
const { url, app, db } = await serve(t)
const port = await freePort()
const child = spawn(process.execPath, [SERVE], {
  env: { PATH: process.env.PATH, FOCUS_URL: url, PORT: String(port) },
  stdio: ['ignore', 'pipe', 'inherit'],
})
t.teardown(() => child.kill())
// It has said both addresses.
const lines = createInterface(child.stdout)
await once(lines, 'line')

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).click()

/** From signing in to the second film, bought in between. `arrive` goes from the sign-in back to the app. */
async function story(t: Test, origin: string, name: string, arrive: (page: Page) => Promise<unknown> = async () => {}) {
  const { page, complaints } = await openPage(t, browser)
  await page.goto(origin)
  await page.getByText('You are not signed in.').waitFor()
  await look(t, page, `${name}-signed-out`)
  await press(page, 'Sign in')
  await page.waitForURL(`${url}/**`)
  await signInByForm(page, url, `${unique('ada')}@example.com`)
  await arrive(page)
  await page.waitForURL(`${origin}/`)

  await page.getByText('20 credits').waitFor()
  await press(page, /clip/)
  await page.getByText('Metropolis is ready: 240 frames.').waitFor()
  await page.getByText('17 credits').waitFor()
  t.match(await page.getByRole('row').allInnerTexts(), [/Title/, /Metropolis\s+completed\s+3/])
  await look(t, page, `${name}-rendered`)

  await press(page, /film/)
  await page.getByText('This needs 90 credits; you have 17 credits.').waitFor()
  await look(t, page, `${name}-too-few`)
  await page.getByRole('link', { name: 'Buy credits' }).click()
  await page.waitForURL(`${url}/buy?**`)
  await page.getByText('73 credits more are needed').waitFor()
  await press(page, 'Go to payment')
  await press(page, /^Pay/)
  await page.waitForURL(`${origin}/`)
  await page.getByText('117 credits').waitFor()
  return { page, complaints }
}

t.test('on the same site the cookie says who it is', async (t) => {
  const { page, complaints } = await story(t, `http://localhost:${port}`, 'example-same-site')
  await press(page, /film/)
  await page.getByText('114 credits').waitFor()
  await press(page, 'Sign out')
  await page.getByText('You are not signed in.').waitFor()
  await page.reload()
  await page.getByText('You are not signed in.').waitFor()
  t.strictSame(complaints, [])
})

t.test('on another site it is OAuth, and the token is renewed when it has ended', async (t) => {
  const approve = (page: Page) => press(page, 'Approve')
  const { page, complaints } = await story(t, `http://127.0.0.1:${port}`, 'example-other-site', approve)
  const stored = () => page.evaluate("sessionStorage.getItem('tokens')") as Promise<string>
  const before = await stored()
  const { account_id } = await db.selectFrom('tokens').select('account_id').executeTakeFirstOrThrow()
  await app.pats.revoking(account_id, () =>
    db
      .updateTable('tokens')
      .set({ expires_at: earlier('expires_at', '2 hours') })
      .execute(),
  )
  await press(page, /film/)
  await page.getByText('114 credits').waitFor()
  const after = await stored()
  t.not(after, before)
  await page.reload()
  await page.getByText('114 credits').waitFor()
  await press(page, 'Sign out')
  await page.getByText('You are not signed in.').waitFor()
  const authorization = `Bearer ${JSON.parse(after).access_token}`
  t.equal((await fetch(`${url}/api/wallet`, { headers: { authorization } })).status, 401, 'its tokens are revoked')
  t.strictSame(complaints, [])
})
