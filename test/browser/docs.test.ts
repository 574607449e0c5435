import t from 'tap'
import { openBrowser, openPage, serve, serveElsewhere } from '../support/browser.ts'

t.test('the documentation reads itself, runs a request, and its policy has nothing to complain of', async (t) => {
  const { url } = await serve(t)
  const browser = await openBrowser(t)
  const { page, complaints } = await openPage(t, browser)
  await page.goto(`${url}/api/docs`)
  t.equal(await page.title(), 'The Focus API')
  await page.locator('.topbar img[src^="data:image/svg+xml"]').waitFor()
  t.equal(await page.getByRole('link', { name: 'sign in' }).getAttribute('href'), '/signin')
  await page.locator('.opblock-summary-path', { hasText: '/healthz' }).click()
  await page.getByRole('button', { name: 'Try it out' }).click()
  await page.getByRole('button', { name: 'Execute' }).click()
  const answer = page.locator('.live-responses-table .response .response-col_status')
  await answer.getByText('200').waitFor()
  t.match(
    await page.locator('.live-responses-table').textContent(),
    /ratelimit|x-request-id/i,
    'the answer is seen, headers too',
  )
  t.strictSame(complaints, [])
})

t.test("an allowed app's page calls the API across origins, and reads its limits", async (t) => {
  const browser = await openBrowser(t)
  const elsewhere = await serveElsewhere(t)
  const { url, person } = await serve(t, { ALLOWED_ORIGINS: elsewhere.otherSite })
  const { authorization } = await person()
  const { page, complaints } = await openPage(t, browser)
  await page.goto(elsewhere.otherSite)
  const seen = await page.evaluate(
    async ([url, authorization]) => {
      const headers = { authorization: String(authorization), 'content-type': 'application/json' }
      const wallet = await fetch(`${url}/api/wallet`, { headers, credentials: 'include' })
      const job = await fetch(`${url}/api/jobs`, {
        method: 'POST',
        headers,
        body: '{"app":"video","action":"x","cost_estimate":0}',
      })
      return {
        statuses: [wallet.status, job.status],
        left: wallet.headers.get('ratelimit-remaining'),
        id: wallet.headers.get('x-request-id'),
      }
    },
    [url, authorization],
  )
  t.match(seen, { statuses: [200, 200], left: /^\d+$/, id: /^[0-9a-f-]{36}$/ })
  t.strictSame(complaints, [])
})
