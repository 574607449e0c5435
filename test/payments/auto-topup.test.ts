import { sql } from 'kysely'
import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { sweepPurchases } from '../../src/background/sweep-purchases.ts'
import { topUpDue } from '../../src/payments/auto-topup.ts'
import type { Payments } from '../../src/payments/types.ts'
import { PACK, selling, send } from '../support/selling.ts'
import { type App, earlier, type Person, personWith, start, startOwn } from '../support/start.ts'
import type { CardNumber } from '../support/stripe-stand-in.ts'

type Selling = Awaited<ReturnType<typeof selling>>

const TERMS = { pack: 'stripe-100', below: 20, monthly_cap: 1000 }
const setUp = (app: App, { cookie }: Person, terms: object = TERMS) =>
  app.inject({
    method: 'PUT',
    url: '/api/wallet/auto-topup',
    payload: terms,
    headers: { cookie, origin: app.config.publicUrl, 'sec-fetch-site': 'same-origin' },
  })
const resume = (who: Person) => who.postFromOurPage('/api/wallet/auto-topup/resume', {})
const autoOf = async (who: Person) => (await who.get('/api/wallet')).json().auto_topup
const CHARGES = /POST \/v1\/payment_intents$/

/** Somebody who has agreed, with a card saved; nobody else of this database is topped up. */
async function agreed({ app, stripe, ada, sendAll }: Selling, card: CardNumber = '4242424242424242', terms = TERMS) {
  await sql`update payers set state = 'off' where account_id <> ${ada.id}`.execute(app.db)
  const { card_url } = (await setUp(app, ada, terms)).json()
  const saved = stripe.saveCard(card_url.split('/').at(-1), card)
  await sendAll()
  return saved
}

/** As the button on /buy does. */
async function changeCard({ app, stripe, ada, sendAll }: Selling, card: CardNumber) {
  const headers = { cookie: ada.cookie, origin: app.config.publicUrl }
  const { location } = (await app.inject({ method: 'POST', url: '/buy/card', headers })).headers
  stripe.saveCard(String(location).split('/').at(-1) ?? '', card)
  await sendAll()
}

/** Waiting times are over. */
const later = (app: App, { id }: Person, interval = '30 days') =>
  sql`update payers set retry_at = ${earlier('retry_at', interval)} where account_id = ${id}`.execute(app.db)

const buyPage = async (app: App, { cookie }: Person, query = '') =>
  (await app.inject({ url: `/buy${query}`, headers: { cookie } })).body
/** What the page says of the only pack that is sold, for the person to agree to. */
const shownOffer = async (app: App, who: Person): Promise<string> =>
  /<option value="(stripe-100[^"]*)"/.exec(await buyPage(app, who))?.[1] ?? 'none'

const topUp = (app: App) => (app.payments ? topUpDue(app.payments) : 0)

t.test('below the threshold a pack is bought once, with the saved card', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe, sendAll } = all
  t.match((await setUp(app, ada)).json(), { auto_topup: { status: 'paused', reason: 'card_missing', card: null } })
  await topUp(app)
  t.equal(stripe.count(CHARGES), 0, 'nothing without a card')
  await agreed(all)
  t.match(await autoOf(ada), {
    status: 'on',
    reason: null,
    card: 'Visa …4242',
    below: 20,
    monthly_cap: 1000,
    price: 500,
  })
  await topUp(app)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  await topUp(app)
  const { job_id } = (await ada.reserve(85)).json()
  await topUp(app)
  t.equal(stripe.count(CHARGES), 1, 'what a job holds may come back')
  await ada.complete(job_id, 85)
  await topUp(app)
  t.strictSame(await ada.balance(), { credits: 115, held: 0 })
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 115, held: 0 }, 'the events say what is known')
  const { purchases } = (await ada.get('/api/purchases')).json()
  t.match(purchases, [
    { automatic: true, status: 'paid' },
    { automatic: true, status: 'paid' },
  ])
  t.match(stripe.all('payment_intent')[0], { metadata: { focus_purchase: purchases[0].id } })
})

t.test('two instances, twenty sweeps: one charge', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  const other = await startOwn(t, stripe.env)
  await agreed(all)
  await Promise.all(Array.from({ length: 20 }, (_, n) => topUp(n % 2 ? app : other.app)))
  t.equal(stripe.count(CHARGES), 1)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
})

t.test('charges stop at the monthly cap, and continue in the next month', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  await agreed(all)
  for (let n = 0; n < 5; n++) {
    await topUp(app)
    const { credits } = await ada.balance()
    if (credits > 0) await ada.complete((await ada.reserve(credits)).json().job_id, credits)
  }
  t.equal(stripe.count(CHARGES), 2, '$10.00 are two packs')
  t.match(await autoOf(ada), { status: 'waiting', reason: 'monthly_cap', retry_at: /-01T00:00:00/ })
  await sql`update purchases set created_at = ${earlier('created_at', '32 days')} where account_id = ${ada.id}`.execute(
    app.db,
  )
  await later(app, ada, '40 days')
  await topUp(app)
  t.equal(stripe.count(CHARGES), 3)
  t.match(await autoOf(ada), { status: 'on', reason: null })
  t.match((await setUp(app, ada, { ...TERMS, monthly_cap: 499 })).json(), { field: 'monthly_cap' })
})

t.test("the cap of a month counts money of the pack's currency only", async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  await agreed(all)
  await sql`insert into purchases (account_id, id, pack_slug, pack_name, credits, price, currency, provider, origin, status)
    values (${ada.id}, ${uuidv7()}, 'yen', 'Yen', 100, 9000, 'jpy', 'stripe', 'auto', 'processing')`.execute(app.db)
  await topUp(app)
  t.equal(stripe.count(CHARGES), 1)
  t.match(await autoOf(ada), { status: 'on', reason: null })
})

t.test('charges with an unknown outcome do not delay the top-ups of other accounts', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  await agreed(all)
  // A hundred and ten whose charge is under way, and who have waited for longer.
  const stuck = Array.from({ length: 110 }, () => ({ account: uuidv7(), purchase: uuidv7() }))
  const ids = [stuck.map(({ account }) => account), stuck.map(({ purchase }) => purchase)] as const
  await sql`insert into accounts (id, clerk_id) select id, 'user_' || id from unnest(${ids[0]}::uuid[]) as id`.execute(
    app.db,
  )
  await sql`insert into purchases (account_id, id, pack_slug, pack_name, credits, price, currency, provider, origin)
    select account_id, id, 'stripe-100', 'a', 100, 500, 'usd', 'stripe', 'auto'
    from unnest(${ids[0]}::uuid[], ${ids[1]}::uuid[]) as s (account_id, id)`.execute(app.db)
  await sql`insert into payers (account_id, state, below, monthly_cap, pack_slug, credits, price, currency, consented_at, customer_id,
      payment_method_id, attempt, purchase_id, updated_at)
    select s.account_id, payers.state, below, monthly_cap, pack_slug, credits, price, currency, consented_at, 'cus_' || s.id,
      payment_method_id, 1, s.id, now() - interval '1 hour'
    from unnest(${ids[0]}::uuid[], ${ids[1]}::uuid[]) as s (account_id, id), payers where payers.account_id = ${ada.id}`.execute(
    app.db,
  )
  await topUp(app)
  t.equal(stripe.count(CHARGES), 1)
  // Their leases are over, and each attempt fails: whoever was tried last has the last turn.
  await sql`update purchases set looked_at = now() - interval '2 minutes' where account_id = any(${ids[0]})`.execute(
    app.db,
  )
  const { payments } = app
  const provider = payments && { ...payments.provider, charge: () => Promise.reject(new Error('no answer')) }
  const tried = new Set<string>()
  for (let sweep = 0; sweep < 2; sweep++) {
    if (payments && provider)
      await topUpDue({ ...payments, provider }, { onFailure: (_, { account_id }) => tried.add(account_id) })
    await sql`update purchases set looked_at = now() - interval '2 minutes' where account_id = any(${ids[0]})`.execute(
      app.db,
    )
  }
  t.equal(tried.size, 110)
})

t.test('after three declines nothing is charged until the card changes or the person resumes', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe, sendAll } = all
  await agreed(all, '4000000000000341')
  const days = async (n: number) => {
    for (let day = 0; day < n; day++) {
      await topUp(app)
      if (day === 0) t.match(await autoOf(ada), { status: 'waiting', reason: 'card_declined', retry_at: String })
      await later(app, ada)
    }
  }
  await days(1000)
  t.equal(stripe.count(CHARGES), 3)
  t.match(await autoOf(ada), { status: 'paused', reason: 'card_declined', message: /declined/ })
  const page = await app.inject({ url: '/buy', headers: { cookie: ada.cookie } })
  t.match(page.body, /Paused\.<\/strong> Your bank declined the charge/)
  t.equal(
    stripe.all('payment_intent').filter(({ status }) => status === 'canceled').length,
    3,
    'nobody can finish them',
  )
  t.equal((await resume(ada)).statusCode, 200)
  await days(20)
  t.equal(stripe.count(CHARGES), 6)
  await sendAll()
  t.equal(stripe.count(CHARGES), 6, 'events of declines change nothing')
  await changeCard(all, '5555555555554444')
  t.match(await autoOf(ada), { status: 'on', card: 'Mastercard …4444' })
  await topUp(app)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  t.equal((await ada.get('/api/purchases')).json().purchases.length, 7)
})

t.test('after a decline nothing is charged before the retry is due', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  await agreed(all, '4000000000009995')
  for (let n = 0; n < 5; n++) await topUp(app)
  t.equal(stripe.count(CHARGES), 1)
  await later(app, ada, '61 minutes')
  for (let n = 0; n < 5; n++) await topUp(app)
  t.equal(stripe.count(CHARGES), 2)
  await later(app, ada, '23 hours')
  await topUp(app)
  t.equal(stripe.count(CHARGES), 2)
  await later(app, ada, '2 hours')
  await topUp(app)
  t.equal(stripe.count(CHARGES), 3)
})

t.test('a card that is refused for good, and one that needs confirmation, are tried once', async (t) => {
  for (const [card, reason] of [
    ['4000000000009987', 'card_refused'],
    ['4000002760003184', 'authentication_required'],
  ] as const) {
    const all = await selling(t)
    const { app, ada, stripe, sendAll } = all
    await agreed(all, card)
    for (let n = 0; n < 10; n++) {
      await topUp(app)
      await later(app, ada)
    }
    await sendAll()
    t.equal(stripe.count(CHARGES), 1)
    t.match(await autoOf(ada), { status: 'paused', reason })
    t.match((await ada.get('/api/purchases')).json(), { purchases: [{ status: 'failed', automatic: true }] })
  }
})

t.test('a charge with a lost answer is made once, whether Stripe has received it or not', async (t) => {
  for (const fault of ['cut after', 'cut before'] as const) {
    const all = await selling(t)
    const { app, ada, stripe } = all
    await agreed(all)
    stripe.fail(CHARGES, fault)
    await t.rejects(async () => topUp(app), { code: 'payments_unavailable' })
    stripe.heal()
    const begun = () => stripe.all('payment_intent').length
    t.equal(begun(), fault === 'cut after' ? 1 : 0)
    await topUp(app)
    t.equal((await ada.balance()).credits, 0, 'a minute belongs to whoever has begun')
    await sql`update purchases set looked_at = ${earlier('looked_at', '2 minutes')} where account_id = ${ada.id}`.execute(
      app.db,
    )
    await topUp(app)
    t.equal(begun(), 1)
    t.strictSame(await ada.balance(), { credits: 100, held: 0 })
    t.match(await autoOf(ada), { status: 'on' })
  }
})

t.test('the sweep finds a charge with a lost answer even after top-ups were turned off', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  await agreed(all)
  stripe.fail(CHARGES, 'cut after')
  await t.rejects(async () => topUp(app), { code: 'payments_unavailable' })
  stripe.heal()
  await app.inject({
    method: 'DELETE',
    url: '/api/wallet/auto-topup',
    headers: { cookie: ada.cookie, origin: app.config.publicUrl },
  })
  await topUp(app)
  const [{ id }] = (await ada.get('/api/purchases')).json().purchases
  await all.asleep(id, '11 minutes')
  await sweepPurchases(app.payments as Payments)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  t.match((await ada.get('/api/purchases')).json(), { purchases: [{ status: 'paid' }] })
})

t.test('a charge that Stripe does not know after a day counts as failed', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe } = all
  await agreed(all)
  stripe.fail(CHARGES, { status: 500 })
  await t.rejects(async () => topUp(app), { code: 'payments_unavailable' })
  const [{ id }] = (await ada.get('/api/purchases')).json().purchases
  await all.asleep(id, '25 hours')
  await topUp(app)
  t.match((await ada.get('/api/purchases')).json(), { purchases: [{ status: 'failed', failure_reason: 'no_answer' }] })
  t.match(await autoOf(ada), { status: 'waiting', reason: 'card_declined' })
})

t.test('after its terms have changed a pack is not bought until the person consents again', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe, them } = all
  await agreed(all)
  await them.put('/api/admin/packs/stripe-100', { ...PACK, price: 501 })
  await topUp(app)
  t.equal(stripe.count(CHARGES), 0)
  t.match(await autoOf(ada), { status: 'paused', reason: 'pack_changed' })
  t.match((await setUp(app, ada, { ...TERMS, monthly_cap: 2000 })).json(), {
    card_url: null,
    auto_topup: { status: 'on' },
  })
  await topUp(app)
  t.equal(stripe.count(CHARGES), 1)
})

t.test('a dispute, removing the card and turning top-ups off stop the charges', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe, sendAll } = all
  const card = await agreed(all)
  stripe.removeCard(card.id)
  await sendAll()
  t.match(await autoOf(ada), { status: 'paused', reason: 'card_missing', card: null })
  t.match((await resume(ada)).json(), { auto_topup: { status: 'paused', reason: 'card_missing' } })
  await changeCard(all, '4242424242424242')
  t.match(await autoOf(ada), { status: 'on' })
  await topUp(app)
  stripe.dispute(String(stripe.all('payment_intent')[0]?.id))
  await sendAll()
  t.match(await autoOf(ada), { status: 'paused', reason: 'disputed' })
  const off = () =>
    app.inject({ method: 'DELETE', url: '/api/wallet/auto-topup', headers: { authorization: ada.authorization } })
  t.equal((await off()).statusCode, 204)
  t.equal((await off()).statusCode, 204)
  t.equal(await autoOf(ada), null)
  t.equal((await resume(ada)).json().error, 'auto_topup_off')
  await topUp(app)
  t.equal(stripe.count(CHARGES), 1)
})

t.test('only the session of our own page can consent, not a token of an app or another page', async (t) => {
  const { app, ada, stripe } = await selling(t)
  const put = (headers: Record<string, string>) =>
    app.inject({ method: 'PUT', url: '/api/wallet/auto-topup', payload: TERMS, headers })
  t.equal((await put({ authorization: ada.authorization })).statusCode, 401)
  t.equal((await put({ cookie: ada.cookie, origin: 'https://evil.example.com' })).statusCode, 403)
  t.equal((await ada.post('/api/wallet/auto-topup/resume', {})).statusCode, 401)
  const offer = await shownOffer(app, ada)
  const form = (fields: Record<string, string>) =>
    app.inject({
      method: 'POST',
      url: '/buy/auto-topup',
      payload: new URLSearchParams({ offer, below: '20', times: '2', ...fields }).toString(),
      headers: {
        cookie: ada.cookie,
        origin: app.config.publicUrl,
        'content-type': 'application/x-www-form-urlencoded',
      },
    })
  t.equal((await form({})).statusCode, 400, 'without consent')
  t.equal(await autoOf(ada), null)
  t.match(await form({ agree: 'yes' }), { statusCode: 303, headers: { location: new RegExp(`^${stripe.url}/c/pay/`) } })
  t.match(await autoOf(ada), { status: 'paused', reason: 'card_missing', monthly_cap: 1000 })
})

t.test('consent holds only for the terms that the page has shown', async (t) => {
  const { app, ada, them, stripe } = await selling(t)
  const form = (offer: string) =>
    app.inject({
      method: 'POST',
      url: '/buy/auto-topup',
      payload: new URLSearchParams({ offer, below: '20', times: '2', agree: 'yes' }).toString(),
      headers: {
        cookie: ada.cookie,
        origin: app.config.publicUrl,
        'content-type': 'application/x-www-form-urlencoded',
      },
    })
  for (const change of [{ price: 501 }, { credits: 99 }, { currency: 'eur' }]) {
    const offer = await shownOffer(app, ada)
    await them.put('/api/admin/packs/stripe-100', { ...PACK, ...change })
    for (const said of [offer, 'stripe-100', '']) {
      const refused = await form(said)
      t.match(refused, { statusCode: 303, headers: { location: '/buy?changed=terms#auto' } })
    }
    t.equal(await autoOf(ada), null)
  }
  t.match(await buyPage(app, ada, '?changed=terms'), /The pack has changed since.*Nothing was agreed/)
  t.match(await form(await shownOffer(app, ada)), { headers: { location: new RegExp(`^${stripe.url}/c/pay/`) } })
})

t.test('when the process dies after a charge, the webhook alone posts the credits', async (t) => {
  const all = await selling(t)
  const { app, ada, stripe, sendAll } = all
  await agreed(all)
  stripe.fail(/GET \/v1\/payment_intents/, { status: 500 })
  await t.rejects(async () => topUp(app), { code: 'payments_unavailable' })
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
  stripe.heal()
  await sendAll()
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  const { rows } = await sql<{
    purchase_id: string | null
  }>`select purchase_id from payers where account_id = ${ada.id}`.execute(app.db)
  t.strictSame(rows, [{ purchase_id: null }], 'and the next one may begin')
})

t.test('without Stripe, automatic top-ups can be tried out without a card', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 30)
  await sql`update payers set state = 'off'`.execute(app.db)
  t.match((await setUp(app, ada, TERMS)).json(), { card_url: null, auto_topup: { status: 'on' } })
  await ada.complete((await ada.reserve(15)).json().job_id, 15)
  await topUp(app)
  t.strictSame(await ada.balance(), { credits: 115, held: 0 })
  t.equal((await send(app, { signature: () => '' } as never, {})).statusCode, 404)
})
