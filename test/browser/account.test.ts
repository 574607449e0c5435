import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import t from 'tap'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import { localClerkId } from '../../src/identity/local.ts'
import { look, openBrowser, openPage, serve, signInByForm } from '../support/browser.ts'
import { daysAgo, past, pastJobs } from '../support/history.ts'
import { unique } from '../support/start.ts'

const browser = await openBrowser(t)
const { url, app, db, person } = await serve(t, { TOPUP_URL: 'https://pay.example.com/credits' })

/** A device that this page's person has let in. */
async function logIn(page: Page, client_name: string, scope = 'account'): Promise<string> {
  const payload = { client_name, scope }
  const login = (await app.inject({ method: 'POST', url: '/api/device/start', payload })).json()
  await page.goto(login.verification_uri_complete)
  if (scope.includes('admin')) await page.getByLabel('Code on the device').fill(login.user_code)
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.getByRole('heading', { name: 'Device approved' }).waitFor()
  const { device_code } = login
  return (await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code } })).json().token
}
const works = async (token: string) =>
  (await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token}` } })).statusCode

t.test('a new account says what there is nothing of', async (t) => {
  const { page, complaints } = await openPage(t, browser)
  await signInByForm(page, url, `${unique('new')}@example.com`)
  await page.getByText('0 credits to spend').waitFor()
  await page.getByText('No jobs yet.').waitFor()
  await page.getByText('No device has access to your account.').waitFor()
  await look(t, page, 'account-new')
  await page.getByRole('link', { name: 'Credit history' }).click()
  await page.getByText('Your balance has not changed yet.').waitFor()
  t.strictSame(complaints, [])
})

t.test('the account page shows where credits went', async (t) => {
  const email = `${unique('ada')}@example.com`
  const ada = await person(email)
  const id = accountIdOf(localClerkId(email))
  const movements = [60, 29, 25, 22, 21, 14, 9, 5, 2].map((days, i) => ({
    at: daysAgo(days),
    amount: i % 3 === 2 ? -1180 : 900,
  }))
  await past(db, id, movements)
  const start = async (cost_estimate: number, metadata: object, action = 'render') =>
    (await ada.post('/api/jobs', { app: 'video', action, cost_estimate, metadata })).json().job_id
  for (let i = 1; i <= 9; i++) await ada.complete(await start(3, { description: `Clip ${i}` }), 2)
  const script = '<img src=x onerror=alert(1)>'
  await ada.fail(await start(5, { description: script, previewUrl: 'javascript:alert(1)' }))
  await ada.complete(await start(900, { previewUrl: 'https://video.example.com/final.jpg' }, 'export in 4k'), 1250)
  await start(7, { description: `A very long description. ${'It goes on. '.repeat(40)}` })

  const requested: string[] = []
  const { page, complaints } = await openPage(t, browser)
  page.on('request', (request) => requested.push(new URL(request.url()).origin))
  await signInByForm(page, url, email)
  await logIn(page, 'focus on ada-laptop')
  await logIn(page, `<script>alert(1)</script> ${'x'.repeat(70)}`, 'account oauth admin')
  await page.goto(`${url}/account`)
  await page.getByText(email).waitFor()
  await page.getByText('7 credits are held by running jobs.').waitFor()
  t.equal(await page.getByRole('img', { name: /^From [\d,]+ on .* credits today\. Highest: / }).count(), 1)
  t.equal(await page.getByRole('link', { name: 'Buy credits' }).getAttribute('href'), 'https://pay.example.com/credits')
  await page.getByText('Day by day').click()
  t.equal(await page.locator('.chart').first().locator('tbody tr').count(), 30)
  await page.getByText('Day by day').click()
  await look(t, page, 'account')

  await page.getByText(script).waitFor()
  const previews = page.getByRole('link', { name: /Preview/ })
  t.equal(await previews.count(), 1, 'a link to a script is no link')
  t.equal(await previews.getAttribute('rel'), 'noopener noreferrer')
  t.match(await previews.textContent(), 'video.example.com')
  t.strictSame([...new Set(requested)], [url], 'nothing was loaded from elsewhere')

  t.equal(await page.getByText(/^Clip/).count(), 7)
  await page.getByRole('link', { name: 'All jobs' }).click()
  await page.getByText('Clip 1', { exact: true }).waitFor()
  await page.getByText('7 credits held').waitFor()
  await page.getByText('Filter').click()
  await page.getByLabel('Status').selectOption('Running')
  await page.getByRole('button', { name: 'Show' }).click()
  await page.getByText('Clip 1', { exact: true }).waitFor({ state: 'detached' })
  await page.getByText('7 credits held').waitFor()
  await look(t, page, 'jobs')
  await page.getByRole('link', { name: 'Show all' }).click()
  await page.getByText('Clip 1', { exact: true }).waitFor()
  await page.getByRole('link', { name: 'Your account' }).click()

  await page.getByRole('link', { name: 'Credit history' }).click()
  await page.locator('.rows').getByText('Job cost more than its hold').waitFor()
  await look(t, page, 'entries')
  await page.getByText('Filter').click()
  await page.getByLabel('App').fill('video')
  await page.getByLabel('Kind').selectOption('Job cost more than its hold')
  await page.getByRole('button', { name: 'Show' }).click()
  await page.getByText('Unused credits returned', { exact: true }).first().waitFor({ state: 'hidden' })
  await look(t, page, 'entries-filtered')
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download all of these as CSV' }).click(),
  ])
  t.match(download.suggestedFilename(), /^credits-[\d-]+\.csv$/)
  t.match(
    await readFile(await download.path(), 'utf8'),
    /^\ufeffseq,[^\n]*\n\d+,[^\n]*,job_overage,-350,[^\n]*,video,export in 4k\n$/,
  )
  await page.getByRole('link', { name: 'export in 4k' }).first().click()
  await page.getByRole('heading', { name: 'export in 4k' }).waitFor()
  await page.getByText('Job cost more than its hold').waitFor()
  await look(t, page, 'job')
  t.strictSame(complaints, [])
})

t.test('the page of usage shows a period by day, app, action and token', async (t) => {
  const email = `${unique('eve')}@example.com`
  const eve = await person(email)
  const { page, complaints } = await openPage(t, browser)
  await signInByForm(page, url, email)
  await page.getByText('No jobs in the last 30 days.').waitFor()
  await logIn(page, 'focus on eve-laptop')
  const [{ id }] = (await eve.get('/api/tokens')).json().tokens
  await past(db, eve.id, [{ at: daysAgo(60), amount: 100_000 }])
  const apps = ['video', 'podcasts', 'a-very-long-name-of-an-app-that-nobody-could-say-in-one-breath']
  await pastJobs(
    db,
    eve.id,
    Array.from({ length: 60 }, (_, n) => ({
      at: daysAgo(59 - n),
      app: apps[n % 3] ?? '',
      action: n % 7 ? `render in ${n % 4}k` : `a long action ${'and on '.repeat(20)}`,
      reserved: 30 * (n % 9),
      end: n > 57 ? undefined : n % 4 ? ('completed' as const) : ('released' as const),
      cost: 20 * (n % 11) + 1,
      token_id: n % 2 ? id : null,
    })),
  )
  await page.goto(`${url}/account`)
  await page.getByRole('img', { name: /^[\d,]+ credits in 30 days, most on / }).waitFor()
  await look(t, page, 'account-usage')
  await page.getByRole('link', { name: 'Other days' }).click()
  await page.getByLabel('From').fill(daysAgo(58).toISOString().slice(0, 10))
  await page.getByRole('button', { name: 'Show' }).click()
  await page.getByRole('img', { name: /^[\d,]+ credits in 59 days, most on / }).waitFor()
  await page.getByText('focus on eve-laptop').waitFor()
  await look(t, page, 'usage')
  t.strictSame(complaints, [])
})

t.test('a device is revoked after asking once, and is out at once', async (t) => {
  const { page, complaints } = await openPage(t, browser)
  await signInByForm(page, url, `${unique('ada')}@example.com`)
  await page.waitForURL(`${url}/account`)
  const [kept, lost] = [await logIn(page, 'kept'), await logIn(page, 'lost')]
  await page.goto(`${url}/account`)
  await page.locator('summary', { hasText: 'Revoke lost' }).press('Enter')
  await look(t, page, 'account-revoke')
  t.equal(await works(lost), 200, 'opening the question revokes nothing')
  await page.getByRole('button', { name: 'Revoke it' }).press('Enter')
  await page.getByText('“lost” is revoked.').waitFor()
  t.equal(await page.evaluate('document.activeElement.id'), 'tokens', 'the focus is not lost with the button')
  t.strictSame([await works(lost), await works(kept)], [401, 200])

  await page.route('**/api/tokens/*', (route) => route.abort())
  await page.locator('summary', { hasText: 'Revoke kept' }).click()
  await page.getByRole('button', { name: 'Revoke it' }).click()
  await page.getByText('“kept” could not be revoked.').waitFor()
  await page.unroute('**/api/tokens/*')
  await page.getByRole('button', { name: 'Revoke it' }).click()
  await page.getByText('No device has access to your account.').waitFor()
  t.equal(await works(kept), 401)
  t.strictSame(complaints, [])
})

t.test('without JavaScript a device is revoked as well', async (t) => {
  const { page } = await openPage(t, browser, { javaScriptEnabled: false })
  await signInByForm(page, url, `${unique('ada')}@example.com`)
  await page.getByRole('heading', { name: 'Your account', exact: true }).waitFor()
  const token = await logIn(page, 'lost')
  await page.goto(`${url}/account`)
  await page.locator('summary', { hasText: 'Revoke lost' }).click()
  await page.getByRole('button', { name: 'Revoke it' }).click()
  await page.getByText('No device has access to your account.').waitFor()
  t.equal(await works(token), 401)
})

t.test('text twice as large cuts nothing off', async (t) => {
  const { page } = await openPage(t, browser, { viewport: { width: 640, height: 800 } })
  await signInByForm(page, url, `${unique('ada')}@example.com`)
  await page.waitForURL(`${url}/account`)
  for (const path of ['/account', '/account/entries', '/account/jobs', '/account/usage', '/device']) {
    await page.goto(url + path)
    await page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    t.equal(await page.evaluate('document.scrollingElement.scrollWidth'), 640, path)
  }
})
