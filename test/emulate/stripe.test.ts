import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { serve } from '../support/browser.ts'
import { freePort } from '../support/free-port.ts'
import { until } from '../support/until.ts'

/**
 * `npm run test:emulate`: buying at a Stripe that nobody here wrote, as far as it goes: customers, a price, a payment page, signed events. It
 * is installed outside the project, and has no PaymentIntent behind its payment page, no refunds and no disputes.
 */
const EMULATE = 'emulate@0.12.2'

const secret = 'whsec_emulated'

async function install(): Promise<{
  createEmulator(options: object): Promise<{ url: string; close(): Promise<void> }>
}> {
  const folder = await mkdtemp(join(tmpdir(), 'focus-emulate-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--prefix', folder, EMULATE])
  return import(pathToFileURL(join(folder, 'node_modules/emulate/dist/api.js')).href)
}

t.test('a pack is bought at emulate', async (t) => {
  const { createEmulator } = await install()
  const port = await freePort()
  let emulator: { url: string; close(): Promise<void> } | undefined
  const { app, admin, person } = await serve(t, async (url) => {
    const webhooks = [{ url: `${url}/api/webhooks/stripe`, events: ['*'], secret }]
    const products = [{ name: '100 credits' }]
    const prices = [{ product_name: '100 credits', currency: 'usd', unit_amount: 500 }]
    emulator = await createEmulator({ service: 'stripe', port, seed: { stripe: { products, prices, webhooks } } })
    return {
      STRIPE_SECRET_KEY: 'sk_test_emulated',
      STRIPE_WEBHOOK_SECRET: secret,
      STRIPE_API_URL: `http://127.0.0.1:${port}`,
    }
  })
  t.teardown(() => emulator?.close())
  const listed = await fetch(`http://127.0.0.1:${port}/v1/prices`, {
    headers: { authorization: 'Bearer sk_test_emulated' },
  })
  const { data } = (await listed.json()) as { data: { id: string }[] }
  const stripe_price_id = data[0]?.id
  const pack = { name: '100 credits', credits: 100, price: 500, currency: 'usd', stripe_price_id }
  t.match((await (await admin()).put('/api/admin/packs/emulated', pack)).json(), { pack: { price_text: '$5.00' } })

  const ada = await person()
  const { purchase, checkout_url } = (await ada.post('/api/purchases', { pack: 'emulated' })).json()
  t.match(await (await fetch(checkout_url)).text(), /5\.00/, 'its page shows the price')
  const paid = await fetch(`${checkout_url}/complete`, { method: 'POST', redirect: 'manual' })
  t.match(paid.headers.get('location'), `/buy?purchase=${purchase.id}`)
  await until(async () => (await ada.balance()).credits === 100)
  t.match((await ada.get(`/api/purchases/${purchase.id}`)).json(), { purchase: { status: 'paid', amount: 500 } })
  await fetch(`${checkout_url}/complete`, { method: 'POST', redirect: 'manual' })
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  t.equal(app.payments?.provider.kind, 'stripe')
})
