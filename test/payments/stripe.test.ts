import { sql } from 'kysely'
import t from 'tap'
import { sweepPurchases } from '../../src/background/sweep-purchases.ts'
import type { Payments } from '../../src/payments/types.ts'
import { freshDatabase } from '../support/database.ts'
import { startProxy } from '../support/proxy.ts'
import { buy, type Stripe, selling, send } from '../support/selling.ts'
import { type App, type Person, start, startOwn, unique } from '../support/start.ts'
import { type StripeEvent, startStripe } from '../support/stripe-stand-in.ts'

const purchaseOf = async (who: Person, id: string) => (await who.get(`/api/purchases/${id}`)).json().purchase
const entriesOf = async (who: Person): Promise<string[]> =>
  (await who.get('/api/wallet/entries'))
    .json()
    .entries.map(
      ({ kind, amount, reference }: { kind: string; amount: number; reference: string }) =>
        `${kind} ${amount} ${reference}`,
    )
const paymentOf = (stripe: Stripe, session: string) => String(stripe.thing(session, 'checkout.session').payment_intent)

t.test('a purchase at Stripe is posted by the webhook, not by the return to the page', async (t) => {
  const { app, stripe, ada, sendAll, buy } = await selling(t, { STRIPE_AUTOMATIC_TAX: 'true' })
  const { id, session, checkout_url } = await buy()
  t.ok(checkout_url.startsWith(`${stripe.url}/c/pay/cs_`))
  const asked = stripe.thing(session, 'checkout.session')
  t.match(asked, {
    client_reference_id: id,
    amount_total: 500,
    currency: 'usd',
    mode: 'payment',
    automatic_tax: undefined,
  })
  t.match(stripe.pay(session), { payment_status: 'paid' })
  const back = await app.inject({ url: `/buy?purchase=${id}`, headers: { cookie: ada.cookie } })
  t.match(back.body, /Waiting for the payment/)
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  const payment = paymentOf(stripe, session)
  t.strictSame(await entriesOf(ada), [`topup 100 stripe:${payment}`])
  t.match(await purchaseOf(ada, id), { status: 'paid', amount: 500, receipt_url: `${stripe.url}/receipts/${payment}` })
  const page = await app.inject({ url: `/buy?purchase=${id}`, headers: { cookie: ada.cookie } })
  t.match(page.body, /Paid\. 100 credits were added/)
  t.match(page.body, /Receipt<\/a>/)
})

t.test(
  'events of a payment, its refunds and its dispute have the same result in every order, each sent three times',
  async (t) => {
    const { stripe, send, buy, person } = await selling(t)
    const orders = permutations(['completed', 'intent', 'refund', 'charge', 'dispute']).filter((_, n) => n % 6 === 0)
    for (const order of orders) {
      const who = await person()
      const { id, session } = await buy(who)
      stripe.events.length = 0
      stripe.pay(session)
      const payment = paymentOf(stripe, session)
      const re = stripe.refund(payment, 166)
      const lost = stripe.dispute(payment, 'needs_response', 334)
      const [completed, intent] = [of(stripe, 'checkout.session.completed'), of(stripe, 'payment_intent.succeeded')]
      const by: Record<string, StripeEvent> = {
        ...{ completed, intent, refund: of(stripe, 'refund.created'), charge: of(stripe, 'charge.refunded') },
        dispute: of(stripe, 'charge.dispute.created'),
      }
      const half = Math.floor(order.length / 2)
      for (const name of order.slice(0, half)) await send(by[name] as StripeEvent)
      stripe.closeDispute(lost.id, 'lost')
      const rest = [...order.slice(half), 'closed', ...order]
      by.closed = of(stripe, 'charge.dispute.closed')
      await Promise.all(rest.map((name) => send(by[name] as StripeEvent)))
      const said = `${order.join(', ')}`
      t.strictSame(await who.balance(), { credits: 0, held: 0 }, said)
      const sums = (await entriesOf(who)).sort()
      t.ok(sums.includes(`topup 100 stripe:${payment}`), said)
      t.ok(
        sums.some((entry) => entry.endsWith(`stripe:${re.id}`)),
        said,
      )
      t.match(await purchaseOf(who, id), { refunded_credits: 100, disputed: true }, said)
    }
  },
)

t.test('partial refunds round down, their sum is exact; a refund that fails is taken back', async (t) => {
  const { stripe, ada, sendAll, buy } = await selling(t)
  const { id, session } = await buy()
  stripe.pay(session)
  const payment = paymentOf(stripe, session)
  const first = stripe.refund(payment, 166)
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 67, held: 0 })
  const others = [stripe.refund(payment, 167), stripe.refund(payment, 167)]
  await sendAll(stripe.events.splice(0).reverse())
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
  t.match(await purchaseOf(ada, id), { refunded_credits: 100, status: 'paid' })
  stripe.failRefund(others[1]?.id ?? '')
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 34, held: 0 })
  t.match(await entriesOf(ada), [
    /topup_reinstated 34/,
    /topup_refund/,
    /topup_refund/,
    /topup_refund -33/,
    /topup 100/,
  ])
  t.ok((await entriesOf(ada)).includes(`topup_refund -33 stripe:${first.id}`))
})

t.test(
  'an inquiry takes no credits, a lost dispute takes all, even below zero, and one that is won later returns them',
  async (t) => {
    const { app, stripe, ada, sendAll, buy } = await selling(t)
    const { session, id } = await buy()
    stripe.pay(session)
    const payment = paymentOf(stripe, session)
    const question = stripe.dispute(payment, 'warning_needs_response')
    await sendAll()
    t.strictSame(await ada.balance(), { credits: 100, held: 0 })
    stripe.closeDispute(question.id, 'warning_closed')
    await sendAll()
    t.match(await purchaseOf(ada, id), { disputed: false })
    const real = stripe.dispute(payment)
    await sendAll()
    t.match([await ada.balance(), await purchaseOf(ada, id)], [{ credits: 100 }, { disputed: true }])
    const { job_id } = (await ada.reserve(30)).json()
    await ada.complete(job_id, 30)
    stripe.closeDispute(real.id, 'lost')
    await sendAll()
    t.strictSame(await ada.balance(), { credits: -30, held: 0 })
    t.match((await ada.reserve(0)).json(), {
      error: 'insufficient_credits',
      buy_url: `${app.config.publicUrl}/buy?missing=30`,
    })
    stripe.closeDispute(real.id, 'won')
    await sendAll()
    t.strictSame(await ada.balance(), { credits: 70, held: 0 })
    t.match(await purchaseOf(ada, id), { disputed: false, refunded_credits: 0 })
  },
)

t.test('a debit counts when the bank confirms it; after a declined card another one can be used', async (t) => {
  const { stripe, ada, sendAll, buy, person } = await selling(t)
  const debit = await buy()
  stripe.pay(debit.session, 'debit')
  await sendAll()
  t.match(await purchaseOf(ada, debit.id), { status: 'processing' })
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
  stripe.decide(debit.session, true)
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })

  const grace = await person()
  const failed = await buy(grace)
  stripe.pay(failed.session, 'debit')
  stripe.decide(failed.session, false)
  await sendAll()
  t.match(await purchaseOf(grace, failed.id), { status: 'failed', failure_reason: 'insufficient_funds' })

  const retried = await buy(grace)
  stripe.pay(retried.session, '4000000000000341')
  await sendAll()
  t.match(await purchaseOf(grace, retried.id), { status: 'open' }, 'the page is still open')
  stripe.pay(retried.session)
  await sendAll()
  t.strictSame(await grace.balance(), { credits: 100, held: 0 })
})

t.test('forged, old, foreign and unknown events move nothing', async (t) => {
  const { app, stripe, ada, send, sendAll, buy, person } = await selling(t)
  const { session, id } = await buy()
  stripe.pay(session)
  const paid = JSON.stringify(of(stripe, 'checkout.session.completed'))
  const minutes = (n: number) => Math.floor(Date.now() / 1000) - n * 60
  const forged: [what: string, headers: Record<string, string>][] = [
    ['without a signature', { 'stripe-signature': '' }],
    ['by another secret', { 'stripe-signature': stripe.signature(paid, { secret: 'whsec_other' }) }],
    ['for another body', { 'stripe-signature': stripe.signature(`${paid} `) }],
    ['of six minutes ago', { 'stripe-signature': stripe.signature(paid, { at: minutes(6) }) }],
  ]
  for (const [what, headers] of forged)
    t.match((await send(paid, headers)).json(), { error: 'invalid_signature' }, what)
  t.match((await send(paid.replace(/"livemode":false/g, '"livemode":true'))).json(), { error: 'wrong_mode' })
  t.match((await send('not json')).json(), { error: 'invalid_signature' })
  const large = await send(' '.repeat(1_048_577))
  t.match([large.statusCode, large.json().message], [413, 'The body is larger than 1 MiB.'])
  t.match(
    (await send(JSON.stringify({ padding: 'x'.repeat(1_000_000) }))).json(),
    { handled: false },
    'up to 1 MiB is read',
  )

  // Signed, and about nothing of ours.
  const strange = structuredClone(JSON.parse(paid))
  const grace = await person()
  for (const metadata of [
    {},
    { focus_account: grace.id, focus_purchase: id },
    { focus_account: ada.id, focus_purchase: '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f' },
    { focus_account: 'x', focus_purchase: "' or 1=1" },
  ]) {
    strange.data.object.metadata = metadata
    t.match(await send(strange), { statusCode: 200, body: '{"ok":true,"handled":false}' })
  }
  for (const type of ['customer.created', 'invoice.paid'])
    t.match((await send({ ...strange, type, data: { object: { object: 'invoice', livemode: false } } })).json(), {
      handled: false,
    })
  t.strictSame(
    [await ada.balance(), await grace.balance()],
    [
      { credits: 0, held: 0 },
      { credits: 0, held: 0 },
    ],
  )

  // Ours, and naming the payment of somebody else: Stripe is asked, and its word counts.
  const other = await buy(grace)
  const lies = structuredClone(JSON.parse(paid))
  lies.data.object.id = other.session
  t.equal((await send(lies)).statusCode, 200)
  t.strictSame(await grace.balance(), { credits: 0, held: 0 }, 'not paid for')
  lies.data.object.amount_total = 1
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  t.match(await purchaseOf(ada, id), { amount: 500 })
  t.equal((await app.inject({ method: 'POST', url: '/api/webhooks/stripe', payload: 'x' })).statusCode, 415)
})

t.test(
  'live events are refused by a test key, test events by a live key; without Stripe there is no webhook',
  async (t) => {
    const stripe = await startStripe(t)
    const live = await startOwn(t, { ...stripe.env, STRIPE_SECRET_KEY: 'sk_live_1234567890' })
    const event = stripe.happens('charge.succeeded', { id: 'ch_1', object: 'charge', created: 1, livemode: false })
    t.match((await send(live.app, stripe, event)).json(), { error: 'wrong_mode' })
    const { app } = await start(t)
    t.match(await send(app, stripe, event), { statusCode: 404, body: /STRIPE_SECRET_KEY/ })
  },
)

t.test('while Stripe does not answer, an event is answered 5xx, and sent again', async (t) => {
  const lines: string[] = []
  const { stripe, ada, send, sendAll, buy } = await selling(t, {}, (line) => lines.push(line))
  const { session, id } = await buy()
  stripe.pay(session)
  const event = of(stripe, 'checkout.session.completed')
  for (const fault of [{ status: 500 }, 'cut before'] as const) {
    stripe.heal()
    stripe.fail(/GET \/v1\/checkout/, fault)
    t.match(await send(event), { statusCode: 503, headers: { 'retry-after': String } })
  }
  t.match(await purchaseOf(ada, id), { status: 'open' })
  t.match(
    await ada.post('/api/purchases', { pack: 'stripe-100', return_to: undefined }),
    { statusCode: 201 },
    'the same one',
  )
  stripe.fail(/POST \/v1\/checkout/, { status: 500 })
  await sendAll([]).catch(() => {})
  stripe.heal()
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  stripe.fail(/POST/, { status: 500 })
  t.match(await ada.post('/api/purchases', { pack: 'stripe-100' }), { statusCode: 503, body: /payments_unavailable/ })
  const secrets = [stripe.env.STRIPE_SECRET_KEY, stripe.env.STRIPE_WEBHOOK_SECRET]
  for (const secret of secrets)
    t.notOk(
      lines.some((line) => line.includes(secret)),
      'no key in the log',
    )
})

t.test('a lost answer makes no second payment page', async (t) => {
  const { stripe, buy } = await selling(t)
  stripe.fail(/POST \/v1\/checkout/, 'cut after', 1)
  stripe.fail(/POST \/v1\/customers/, 'cut after', 1)
  await buy()
  t.equal(stripe.all('checkout.session').length, 1)
  t.equal(stripe.all('customer').length, 1)
})

t.test('while the database is down an event is answered 503, and its repetition posts the credits', async (t) => {
  const stripe = await startStripe(t)
  const database = await freshDatabase()
  t.teardown(database.drop)
  const proxy = await startProxy(t, database.url)
  const { app, person, admin } = await startOwn(t, { ...stripe.env, DATABASE_URL: proxy.url })
  await (await admin()).put('/api/admin/packs/stripe-100', { name: 'x', credits: 100, price: 500, currency: 'usd' })
  const ada = await person()
  const { session } = await buy(ada)
  stripe.pay(session)
  await proxy.refuse()
  const replies = await Promise.all(stripe.events.map((event) => send(app, stripe, event)))
  t.ok(replies.some(({ statusCode }) => statusCode === 503))
  await proxy.pass()
  for (const event of stripe.events) t.equal((await send(app, stripe, event)).statusCode, 200)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
})

t.test('without any event, the sweep finds paid and expired purchases', async (t) => {
  const { app, stripe, ada, asleep, buy, person } = await selling(t)
  const { session, id } = await buy()
  stripe.pay(session)
  const asked = () => stripe.count(/GET \/v1\/checkout/)
  await sweepPurchases(app.payments as Payments)
  t.equal(asked(), 0, 'not before ten minutes')
  await asleep(id)
  t.equal(await sweepPurchases(app.payments as Payments), 1)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  await asleep(id)
  t.equal(await sweepPurchases(app.payments as Payments), 0, 'a paid one is not asked about')

  const grace = await person()
  const left = await buy(grace)
  await asleep(left.id)
  await sweepPurchases(app.payments as Payments)
  t.match(await purchaseOf(grace, left.id), { status: 'open' })
  t.equal(await sweepPurchases(app.payments as Payments), 0, 'asked now, and again when it is twice as old')
  stripe.expire(left.session)
  await asleep(left.id, '12 minutes')
  t.equal(await sweepPurchases(app.payments as Payments), 1)
  t.match(await purchaseOf(grace, left.id), { status: 'expired', checkout_url: null })

  stripe.fail(/checkout/, { status: 500 })
  const failures: unknown[] = []
  const stuck = await person()
  await buy(stuck).catch(() => {})
  const { purchases } = (await stuck.get('/api/purchases')).json()
  await asleep(purchases[0].id, '26 hours')
  await sweepPurchases(app.payments as Payments, { onFailure: (error) => failures.push(error) })
  t.match((await stuck.get('/api/purchases')).json(), { purchases: [{ status: 'expired' }] }, 'it never had a page')
  t.equal(failures.length, 0)
})

t.test('after a restart, the repetition of an unanswered event is handled', async (t) => {
  const stripe = await startStripe(t)
  const first = await startOwn(t, stripe.env)
  await (await first.admin()).put('/api/admin/packs/stripe-100', {
    name: 'x',
    credits: 100,
    price: 500,
    currency: 'usd',
  })
  const ada = await first.person()
  const { session } = await buy(ada)
  stripe.pay(session)
  const [event] = stripe.events.filter(({ type }) => type === 'checkout.session.completed') as [StripeEvent]
  const cut = send(first.app, stripe, event).catch(() => undefined)
  await first.stop()
  await cut
  const second = await startOwn(t, stripe.env)
  t.equal((await send(second.app, stripe, event)).statusCode, 200)
  const { rows } = await sql<{ credits: number }>`select credits from accounts where id = ${ada.id}`.execute(second.db)
  t.strictSame(rows, [{ credits: 100 }])
})

t.test('two instances handle the same events concurrently', async (t) => {
  const { app, stripe, ada, buy } = await selling(t)
  const other = await startOwn(t, stripe.env)
  const { session } = await buy()
  stripe.pay(session)
  stripe.refund(paymentOf(stripe, session), 250)
  const both = [app, other.app].flatMap((each) =>
    stripe.events.flatMap((event) => [event, event].map((e) => send(each, stripe, e))),
  )
  for (const { statusCode } of await Promise.all(both)) t.equal(statusCode, 200)
  t.strictSame(await ada.balance(), { credits: 50, held: 0 })
})

t.test('a payment for a closed account is reported to the operator once', async (t) => {
  const lines: string[] = []
  const { stripe, ada, them, buy, send } = await selling(t, {}, (line) => lines.push(line))
  const { session } = await buy()
  await them.post('/api/admin/accounts/erase', { clerk_id: ada.clerkId })
  stripe.pay(session)
  t.equal((await send(of(stripe, 'checkout.session.completed'))).statusCode, 200)
  t.ok(lines.some((line) => /a closed account has paid: refund it/.test(line)))
})

t.test('a pack with a Stripe price must have that price, and the payment page uses it', async (t) => {
  const { stripe, ada, them, sendAll } = await selling(t)
  const price = stripe.price({ unit_amount: 700, currency: 'eur' })
  const slug = unique('pack')
  const put = (more: object) =>
    them.put(`/api/admin/packs/${slug}`, { name: 'x', credits: 70, price: 700, currency: 'eur', ...more })
  t.match((await put({ stripe_price_id: price.id })).json(), {
    pack: { price: 700, currency: 'eur', price_text: '€7.00' },
  })
  t.match((await put({ stripe_price_id: price.id, price: 1 })).json(), { field: 'price' })
  t.match((await put({ stripe_price_id: price.id, currency: 'usd' })).json(), { field: 'currency' })
  t.match((await put({ stripe_price_id: 'price_none' })).json(), { field: 'stripe_price_id' })
  const monthly = stripe.price({ unit_amount: 700, type: 'recurring' })
  t.match((await put({ stripe_price_id: monthly.id })).json(), { field: 'stripe_price_id' })
  const { checkout_url } = (await ada.post('/api/purchases', { pack: slug })).json()
  const session = checkout_url.split('/').at(-1)
  t.match(stripe.thing(session, 'checkout.session'), { amount_total: 700, currency: 'eur' })
  stripe.pay(session)
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 70, held: 0 })
})

t.test('the form of /buy may redirect only to the payment page', async (t) => {
  const { app, ada, stripe } = await selling(t)
  const headers = {
    cookie: ada.cookie,
    origin: app.config.publicUrl,
    'content-type': 'application/x-www-form-urlencoded',
  }
  const policy = async (which: App) =>
    String((await which.inject({ url: '/buy', headers: { cookie: ada.cookie } })).headers['content-security-policy'])
  t.match(await policy(app), `form-action 'self' ${stripe.url}`)
  const { STRIPE_API_URL, ...env } = stripe.env
  t.match(await policy((await startOwn(t, env)).app), /form-action 'self' https:\/\/checkout\.stripe\.com(;|$)/)
  const posted = await app.inject({ method: 'POST', url: '/buy', headers, payload: 'pack=stripe-100&redirect_to=' })
  t.match(posted, { statusCode: 303, headers: { location: new RegExp(`^${stripe.url}/c/pay/`) } })
})

function of(stripe: Stripe, type: string): StripeEvent {
  const event = stripe.events.findLast((each) => each.type === type)
  if (!event) throw new Error(`nothing of ${type} has happened`)
  return event
}

const permutations = <T>(items: T[]): T[][] =>
  items.length < 2
    ? [items]
    : items.flatMap((item, n) => permutations(items.toSpliced(n, 1)).map((rest) => [item, ...rest]))
