import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { look, openBrowser, openPage, serve, signInByForm } from '../support/browser.ts'
import { receiver } from '../support/receiver.ts'
import { personWith, unique } from '../support/start.ts'

const browser = await openBrowser(t)
const { url, app, db, admin } = await serve(t)

/** An administrator's browser at a page of the console. */
async function atConsole(t: Test, path = '/console', options = {}) {
  const opened = await openPage(t, browser, options)
  await opened.page.goto(url + path)
  await signInByForm(opened.page, url, 'admin@example.com')
  await opened.page.waitForURL(url + path)
  return opened
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const said = (page: Page) => page.locator('p.done').textContent()
const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { level: 1, name }).waitFor()

t.test('a new installation: three steps, an app, its key and its endpoint', async (t) => {
  const { page, complaints } = await atConsole(t)
  await page.getByRole('heading', { name: 'Three steps to the first paid job' }).waitFor()
  await look(t, page, 'console-new')
  await page.getByRole('link', { name: 'Register an app' }).click()
  await look(t, page, 'console-apps')
  await page.getByLabel('Slug').fill('podcasts')
  await page.getByLabel('Name').fill('Podcasts')
  await page.getByLabel('Starter credits').fill('20')
  await page.getByLabel('Origins').fill('https://podcasts.example.com')
  await press(page, 'Go on')
  await heading(page, 'Register podcasts?')
  await page.getByText('Each person who uses podcasts for the first time gets 20 credits.').waitFor()
  await look(t, page, 'console-confirm')
  await press(page, 'Register it')
  await heading(page, 'Podcasts')
  t.equal(await said(page), 'podcasts is registered.')
  await page.reload()
  t.equal(await page.locator('p.done').count(), 0, 'it is said once')
  await look(t, page, 'console-app')

  await press(page, 'Make a key')
  await press(page, 'Make a new key')
  const key = await page.locator('.secret').textContent()
  t.match(key, /^focus_app_/)
  await look(t, page, 'console-secret')
  await page.getByRole('link', { name: 'I have copied it' }).click()
  t.notMatch(await page.content(), key)

  const hook = await receiver(t)
  await page.getByText('Add an endpoint').click()
  await page.getByLabel('URL', { exact: true }).fill(hook.url)
  await page.locator('details').getByRole('button', { name: 'Go on' }).click()
  await press(page, 'Add it')
  t.match(await page.locator('.secret').textContent(), /^whsec_/)
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Webhooks' }).click()
  await look(t, page, 'console-webhooks')
  await page.getByRole('link', { name: hook.url }).click()
  await press(page, 'Send a test')
  await press(page, 'Send it')
  t.match(await said(page), /^Sent\./)
  await look(t, page, 'console-webhook')
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Overview' }).click()
  t.strictSame(await page.locator('s').allTextContents(), ['Register an app', 'Allow its origin'])
  t.strictSame(complaints, [])
})

t.test('a person is found, given credits, and a job of theirs refunded, by keyboard alone', async (t) => {
  const ada = await personWith(app, 100)
  const { job_id } = (await ada.reserve(30)).json()
  await ada.complete(job_id, 20)
  await ada.reserve(5)
  const { page, complaints } = await atConsole(t)
  await page.getByRole('searchbox').press('Control+a')
  await page.getByRole('searchbox').fill(ada.email)
  await page.keyboard.press('Enter')
  await heading(page, ada.email)
  await look(t, page, 'console-account')
  await page.locator('summary', { hasText: 'Give or take credits' }).press('Enter')
  await page.getByLabel('Credits', { exact: true }).fill('1,000')
  await page.keyboard.press('Enter')
  await page.getByText(`${ada.email}: 75 → 1,075 credits to spend, as it stands now.`).waitFor()
  await page.getByLabel('Reason').fill('Ticket 12')
  await page.keyboard.press('Enter')
  await heading(page, ada.email)
  t.match(await said(page), /^1,000 credits were given to .*, who has 1,075 credits now\.$/)
  await page.getByText('Ticket 12').first().waitFor()

  await page.goto(`${url}/console/search?q=${job_id}`)
  await look(t, page, 'console-job')
  await page.getByLabel('Credits', { exact: true }).press('Enter')
  await page.getByLabel('Reason').fill('The render was black')
  // A double click: the second one finds the button gone or the job refunded.
  await page.getByRole('button', { name: 'Refund it' }).dblclick()
  await page.getByText('20 credits went back').waitFor()
  t.match(await ada.balance(), { credits: 1095 })
  await page
    .getByRole('link', { name: /^no\. / })
    .first()
    .click()
  await heading(page, 'Entries')
  await look(t, page, 'console-entries')
  t.strictSame(complaints, [])
})

t.test('Back and reload: the page that asks is there again, and a secret is not', async (t) => {
  const ada = await personWith(app, 1)
  const { page, complaints } = await atConsole(t, `/console/accounts/${ada.id}`)
  await page.locator('summary', { hasText: 'Give or take credits' }).click()
  await page.getByLabel('Take them', { exact: true }).check()
  await page.getByLabel('Credits', { exact: true }).fill('7')
  await press(page, 'Go on')
  await page.getByText('Credits cannot be so many: −6 credits would be left.').waitFor()
  t.equal(await page.evaluate('document.activeElement.name'), 'amount', 'the focus is at the field')
  t.equal(await page.getByLabel('Credits', { exact: true }).inputValue(), '7')
  await look(t, page, 'console-refused')
  await page.getByLabel('Give them without payment').check()
  await press(page, 'Go on')
  await page.getByText(`${ada.email}: 1 → 8 credits to spend`).waitFor()
  await page.goBack()
  await page.getByText('Credits cannot be so many: −6 credits would be left.').waitFor()
  await page.goForward()
  await page.reload()
  await page.getByLabel('Reason').fill('A gift')
  await press(page, 'Give them')
  t.match(await said(page), /^7 credits were given to/)
  await page.goBack()
  await page.getByText('This has been done already, by this very form.').waitFor()
  await look(t, page, 'console-done')
  t.match(await ada.balance(), { credits: 8 })

  await page.goto(`${url}/console/keys`)
  await page.getByLabel('Name', { exact: true }).fill('Payment server')
  await press(page, 'Go on')
  await page.getByText('a reload does not show it again').waitFor()
  await press(page, 'Make it')
  const key = String(await page.locator('.secret').textContent())
  t.notMatch(page.url(), key)
  await page.reload()
  await page.getByText('revoke it at the page of the keys and make another one').waitFor()
  t.notMatch(await page.content(), key)
  await look(t, page, 'console-lost')
  await page.getByRole('link', { name: 'Look again' }).click()
  await heading(page, 'Service keys')
  t.equal(await page.getByText('focus_key_…').count(), 1, 'one key')
  await page.goBack()
  await page.goBack()
  await page.getByText('cannot be shown again').waitFor()
  t.strictSame(complaints, [])
})

t.test('lists, the ledger and the audit log; without JavaScript as well', async (t) => {
  const bob = await personWith(app, 10)
  await (await admin()).put('/api/admin/packs/browser', { name: 'Ten', credits: 10, price: 100, currency: 'usd' })
  await bob.post('/api/purchases', { pack: 'browser' })
  const { page, complaints } = await atConsole(t)
  const nav = page.getByRole('navigation', { name: 'Console' })
  for (const [link, title] of [
    ['Overview', 'Overview'],
    ['Accounts', 'Accounts'],
    ['Jobs', 'Jobs'],
    ['Packs', 'Packs'],
    ['Purchases', 'Purchases'],
    ['Service keys', 'Service keys'],
    ['Verify', 'Verify the ledger'],
    ['Audit log', 'Audit log'],
  ] as const) {
    await nav.getByRole('link', { name: link, exact: true }).click()
    await heading(page, title)
    await look(t, page, `console-${link.toLowerCase().replace(' ', '-')}`)
  }
  await page.goto(`${url}/console/verify`)
  await press(page, 'Check now')
  await page.getByText('Every check holds.').waitFor()
  await look(t, page, 'console-verified')
  await page.getByRole('link', { name: 'What to do when verify reports something' }).click()
  await page.getByRole('heading', { name: 'When verify reports something' }).waitFor()
  await look(t, page, 'docs')
  t.strictSame(complaints, [])

  const plain = await atConsole(t, `/console/accounts/${bob.id}`, { javaScriptEnabled: false })
  t.equal(await plain.page.getByRole('button', { name: 'Copy' }).count(), 0)
  await press(plain.page, 'Close the account')
  await plain.page.getByText('This cannot be undone here.').waitFor()
  await plain.page.getByLabel('Reason').fill('Asked by mail')
  await press(plain.page, 'Close it')
  await plain.page.getByText('This account is closed').first().waitFor()
})

t.test('a session of twelve hours ends in the middle of a form, and comes back to its page', async (t) => {
  const ada = await personWith(app, 1)
  const path = `/console/accounts/${ada.id}`
  const { page } = await atConsole(t, path)
  await db
    .updateTable('sessions')
    .set({ created_at: new Date(Date.now() - 13 * 3_600_000) })
    .execute()
  await press(page, 'Erase the person')
  await page.getByText('It asks again every 12 hours').waitFor()
  await signInByForm(page, url, 'admin@example.com')
  await page.waitForURL(url + path)
  const { page: stranger } = await openPage(t, browser)
  await stranger.goto(`${url}/console`)
  await signInByForm(stranger, url, `${unique('eve')}@example.com`)
  await stranger.getByText('There is no page at /console.').waitFor()
})
