import type { Page } from 'playwright-core'
import t from 'tap'
import { topUpDue } from '../../src/payments/auto-topup.ts'
import { look, openBrowser, openPage, serve, serveElsewhere, signInByForm } from '../support/browser.ts'
import { PACK, send } from '../support/selling.ts'
import { unique } from '../support/start.ts'
import { startStripe } from '../support/stripe-stand-in.ts'
import { until } from '../support/until.ts'

const browser = await openBrowser(t)

/** An app that asks for a job of 30 credits, and offers to buy some where they are missing. */
const APP = (api: string) => `<!doctype html><title>Film</title><h1>Film</h1>
  <button>Render</button><p role="status"></p><p></p>
  <script>
    const [said, place] = document.querySelectorAll('p')
    document.querySelector('button').onclick = async () => {
      const reply = await fetch('${api}/api/jobs', {
        method: 'POST', credentials: 'include', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ app: 'film', action: 'render', cost_estimate: 30 }),
      })
      const { job_id, buy_url, message } = await reply.json()
      said.textContent = job_id ? 'Rendering' : message
      if (buy_url) place.innerHTML = '<a href="' + buy_url.replaceAll('&', '&amp;') + '">Buy credits</a>'
    }
  </script>`

/** The app in a browser where its person is signed in. */
async function openApp(page: Page, url: string, app: string) {
  await signInByForm(page, url, `${unique('ada')}@example.com`)
  await page.getByText('0 credits to spend').waitFor()
  await page.goto(`${app}/film`)
  await page.getByRole('button', { name: 'Render' }).click()
  await page.getByText('This needs 30 credits; you have 0 credits.').waitFor()
  await page.getByRole('link', { name: 'Buy credits' }).click()
  await page.getByText('30 credits more are needed').waitFor()
}

/** A browser tells another origin where a request came from, but not the page: so the way back leads to the app's first one. */
async function rendersNow(page: Page, app: string) {
  await page.getByRole('heading', { name: 'Film' }).waitFor()
  t.equal(page.url(), `${app}/`)
  await page.getByRole('button', { name: 'Render' }).click()
  await page.getByText('Rendering').waitFor()
}

t.test('out of credits in an app: buy some on the local payment page, and the job runs', async (t) => {
  let api = ''
  const elsewhere = await serveElsewhere(t, () => APP(api))
  const { url } = await serve(t, { ALLOWED_ORIGINS: elsewhere.sameSite })
  api = url
  const { page, complaints } = await openPage(t, browser)
  await openApp(page, url, elsewhere.sameSite)
  t.ok(await page.getByRole('radio', { name: /100 credits/ }).isChecked())
  await page.getByText('Set it up').click()
  await look(t, page, 'buy')
  await page.getByRole('button', { name: 'Go to payment' }).click()
  await page.getByText('You get').waitFor()
  t.equal(await page.getByRole('button').count(), 1)
  await look(t, page, 'buy-local')
  await page.getByRole('button', { name: 'Pay $5.00' }).dblclick()
  await rendersNow(page, elsewhere.sameSite)
  await page.goto(`${url}/account`)
  await page.getByText('70 credits to spend').waitFor()
  await page.getByRole('link', { name: 'Buy credits' }).click()
  await page.getByText('Paid', { exact: true }).waitFor()
  await look(t, page, 'buy-after')
  t.strictSame(complaints, [])
})

t.test('the same at Stripe: its page, its event, and back', async (t) => {
  let api = ''
  const elsewhere = await serveElsewhere(t, () => APP(api))
  let stripe: Awaited<ReturnType<typeof startStripe>> | undefined
  const service = await serve(t, async (url) => {
    stripe = await startStripe(t, { webhook: `${url}/api/webhooks/stripe` })
    return { ...stripe.env, ALLOWED_ORIGINS: elsewhere.sameSite }
  })
  const { url, admin } = service
  api = url
  await (await admin()).put('/api/admin/packs/hundred', PACK)
  const { page, complaints } = await openPage(t, browser)
  await openApp(page, url, elsewhere.sameSite)
  await page.getByRole('button', { name: 'Go to payment' }).click()
  await page.getByRole('heading', { name: 'Pay 500 usd' }).waitFor()
  await page.getByRole('link', { name: 'Back' }).click()
  await page.getByText('You have not paid. Nothing was charged.').waitFor()
  await page.getByRole('link', { name: 'Pay' }).click()
  await page.getByLabel('Card number').fill('4000000000000341')
  await page.getByRole('button', { name: 'Pay' }).click()
  await page.getByLabel('Card number').fill('4242424242424242')
  await page.getByRole('button', { name: 'Pay' }).click()
  await rendersNow(page, elsewhere.sameSite)

  await page.goto(`${url}/buy`)
  await page.getByText('Set it up').click()
  await page.getByLabel('When I have fewer credits than').fill('171')
  await page.getByRole('button', { name: 'Agree' }).click()
  t.match(page.url(), /\/buy/, 'not without consent')
  await page.getByLabel('I agree that my card').check()
  await page.getByRole('button', { name: 'Agree' }).click()
  await page.getByLabel('Card number').fill('4000002760003184')
  await page.getByRole('button', { name: 'Pay' }).click()
  await page.waitForURL(/card=saved/)
  await stripe?.delivered()
  const { payments } = service.app
  await until(async () => {
    if (payments) await topUpDue(payments)
    await page.goto(`${url}/buy`)
    return (await page.getByText('Your bank asks you to confirm').count()) > 0
  })
  await look(t, page, 'buy-paused')
  await page.getByRole('button', { name: 'Turn off' }).click()
  await page.getByText('Set it up').waitFor()
  t.strictSame(complaints, [])
})

t.test('refunded and disputed purchases are shown as that', async (t) => {
  const stripe = await startStripe(t)
  const { url, app, person, admin } = await serve(t, stripe.env)
  await (await admin()).put('/api/admin/packs/hundred', PACK)
  const email = `${unique('ada')}@example.com`
  const ada = await person(email)
  const buy = async () => {
    const { checkout_url } = (await ada.post('/api/purchases', { pack: 'hundred' })).json()
    const session = stripe.pay(checkout_url.split('/').at(-1))
    return String(session.payment_intent)
  }
  const tell = async () => {
    for (const event of stripe.events.splice(0)) t.equal((await send(app, stripe, event)).statusCode, 200)
  }
  stripe.refund(await buy(), 500)
  await tell()
  stripe.dispute(await buy())
  await tell()
  const { page } = await openPage(t, browser)
  await signInByForm(page, url, email)
  await page.goto(`${url}/buy`)
  await page.getByText('Refunded', { exact: true }).waitFor()
  await page.getByText('Disputed', { exact: true }).waitFor()
  await look(t, page, 'buy-refunded')
})
