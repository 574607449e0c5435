import { sql } from 'kysely'
import t from 'tap'
import { sweepPurchases } from '../../src/background/sweep-purchases.ts'
import type { Payments } from '../../src/payments/types.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { type App, earlier, type Person, personWith, start, startOwn, unique } from '../support/start.ts'

/** Posts a form as our own pages do. */
const form = (app: App, { cookie }: Person, url: string, fields: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url,
    payload: new URLSearchParams(fields).toString(),
    headers: { cookie, origin: app.config.publicUrl, 'content-type': 'application/x-www-form-urlencoded' },
  })
const pathOf = (url: string) => new URL(url).pathname
const openPage = (app: App, { cookie }: Person, url: string) => app.inject({ url, headers: { cookie } })

async function buy(buyer: Person, body: object = { pack: 'small' }) {
  const reply = await buyer.post('/api/purchases', body)
  if (reply.statusCode !== 201) throw new Error(reply.body)
  const { purchase, checkout_url } = reply.json()
  return { id: purchase.id as string, path: pathOf(checkout_url), purchase, checkout_url }
}

t.test('the 402 leads to a page for buying credits, after which the job succeeds', async (t) => {
  const { app } = await start(t)
  const ada = await personWith(app, 2)
  const refused = (await ada.reserve(5)).json()
  t.match(refused, { required: 5, available: 2, buy_url: `${app.config.publicUrl}/buy?missing=3` })
  t.equal(refused.topup_url, refused.buy_url)

  const page = await openPage(app, ada, refused.buy_url.slice(app.config.publicUrl.length))
  t.match(page.body, /3 credits<\/strong> more are needed/)
  t.match(page.body, /value="small" required checked/, 'the smallest pack that is enough')
  t.match(page.body, /nothing is paid/)
  const chosen = await form(app, ada, '/buy', { pack: 'small' })
  t.equal(chosen.statusCode, 303)
  const local = await openPage(app, ada, pathOf(String(chosen.headers.location)))
  t.match(local.body, /<button type="submit">Pay \$5\.00<\/button>/)
  t.equal(local.body.match(/<button/g)?.length, 1, 'one button')
  t.strictSame(await ada.balance(), { credits: 2, held: 0 }, 'nothing before it is pressed')

  const paid = await form(app, ada, pathOf(String(chosen.headers.location)))
  t.match(paid, { statusCode: 303, headers: { location: /^\/buy\?purchase=/ } })
  t.match((await openPage(app, ada, String(paid.headers.location))).body, /Paid\. 100 credits were added/)
  t.strictSame(await ada.balance(), { credits: 102, held: 0 })
  t.equal((await ada.reserve(5)).statusCode, 200)

  const { purchases } = (await ada.get('/api/purchases')).json()
  t.match(purchases, [{ pack: 'small', credits: 100, price: 500, currency: 'usd', status: 'paid', amount: 500 }])
  const { entries } = (await ada.get('/api/wallet/entries')).json()
  t.match(entries[1], { kind: 'topup', amount: 100, reference: `local:${purchases[0].id}`, reason: '100 credits' })
})

t.test('buy_url has the missing credits and the way back; the page selects a pack that is large enough', async (t) => {
  const { app } = await start(t, { ALLOWED_ORIGINS: 'https://app.example.com' })
  const ada = await personWith(app, 2)
  const from = { origin: 'https://app.example.com', referer: 'https://app.example.com/film?x=1' }
  const { buy_url } = (await ada.reserve(402, from)).json()
  t.equal(
    buy_url,
    `${app.config.publicUrl}/buy?missing=400&redirect_to=${encodeURIComponent('https://app.example.com/film?x=1')}`,
  )
  const page = await openPage(app, ada, buy_url.slice(app.config.publicUrl.length))
  t.match(page.body, /value="large" required checked/)
  t.match(page.body, /name="redirect_to" value="https:\/\/app\.example\.com\/film\?x=1"/)
  t.match((await ada.get('/api/wallet')).json(), { buy_url: `${app.config.publicUrl}/buy`, auto_topup: null })
  t.match((await openPage(app, ada, '/account')).body, /<a href="\/buy">Buy credits/)

  const { id, path } = await buy(ada, { pack: 'large', return_to: 'https://app.example.com/film?x=1' })
  t.match(await openPage(app, ada, `/buy?purchase=${id}`), { statusCode: 200, headers: { refresh: /^2; url=/ } })
  await form(app, ada, path)
  const back = await openPage(app, ada, `/buy?purchase=${id}`)
  t.match(back, { statusCode: 303, headers: { location: 'https://app.example.com/film?x=1' } })
  const stray = { pack: 'large', return_to: 'https://evil.example.com/' }
  t.match(await ada.post('/api/purchases', stray), { statusCode: 400, body: /return_to/ })
})

t.test('a purchase may return to our own pages, except those that approve by a click or redirect', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  const { publicUrl } = app.config
  const pay = async (path: string) => {
    const { location } = (await form(app, ada, '/buy', { pack: 'small', redirect_to: publicUrl + path })).headers
    const paid = await form(app, ada, pathOf(String(location)))
    return (await openPage(app, ada, String(paid.headers.location))).headers.location
  }
  for (const path of ['/account', '/', '/api/docs', '/oauth/authorize?client_id=x']) {
    t.equal((await ada.post('/api/purchases', { pack: 'small', return_to: publicUrl + path })).statusCode, 201, path)
    t.equal(await pay(path), publicUrl + path)
  }
  for (const path of ['/device?user_code=BCDF-1234', '/%64evice', '/signin?redirect_to=x', '/api/jobs', '/%']) {
    const refused = await ada.post('/api/purchases', { pack: 'small', return_to: publicUrl + path })
    t.match([refused.statusCode, refused.json().field], [400, 'return_to'], path)
    t.equal(await pay(path), undefined, path)
  }
})

t.test('repeated and concurrent clicks post the credits once', async (t) => {
  const { app, person } = await start(t)
  const ada = await person()
  const { path } = await buy(ada)
  const clicks = await Promise.all(Array.from({ length: 20 }, () => form(app, ada, path)))
  t.strictSame(new Set(clicks.map(({ statusCode }) => statusCode)), new Set([303]))
  t.equal((await form(app, ada, path)).statusCode, 303)
  t.strictSame(await ada.balance(), { credits: 100, held: 0 })
  t.match((await openPage(app, ada, path)).body, /not open any more/)
})

t.test('only the buyer can see and use the payment page', async (t) => {
  const { app, person } = await start(t)
  const [ada, grace] = await Promise.all([person(), person()])
  const { id, path } = await buy(ada)
  t.equal((await openPage(app, grace, path)).statusCode, 404)
  t.equal((await form(app, grace, path)).statusCode, 404)
  t.match(await app.inject({ url: path }), { statusCode: 303, headers: { location: /\/signin\?/ } })
  const foreign = { cookie: ada.cookie, origin: 'https://evil.example.com' }
  t.equal((await app.inject({ method: 'POST', url: path, headers: foreign })).statusCode, 403)
  t.equal((await grace.get(`/api/purchases/${id}`)).statusCode, 404)
  t.match((await grace.get('/api/purchases')).json(), { purchases: [] })
  t.match((await openPage(app, grace, `/buy?purchase=${id}`)).body, /bought nothing yet/)
  t.strictSame(await ada.balance(), { credits: 0, held: 0 })
})

t.test('price and credits are taken from the pack, not from the request', async (t) => {
  const { person } = await start(t)
  const ada = await person()
  const { purchase } = await buy(ada, { pack: 'small', price: 1, credits: 1_000_000, currency: 'jpy' })
  t.match(purchase, { credits: 100, price: 500, currency: 'usd', status: 'open', checkout_url: String })
  t.equal((await ada.post('/api/purchases', { pack: 'nothing' })).json().error, 'pack_not_found')
})

t.test('the same click again leads to the same purchase; too many open ones are refused', async (t) => {
  const { app, admin, person } = await start(t)
  const ada = await person()
  const first = await buy(ada)
  t.equal((await buy(ada)).id, first.id)
  const slug = unique('pack')
  const put = (n: number) =>
    admin().then((them) =>
      them.put(`/api/admin/packs/${slug}`, { name: `n${n}`, credits: n, price: 100, currency: 'usd' }),
    )
  for (let n = 1; n < 20; n++) {
    t.equal((await put(n)).statusCode, 200)
    await buy(ada, { pack: slug })
  }
  await put(20)
  t.match(await ada.post('/api/purchases', { pack: slug }), { statusCode: 429, headers: { 'retry-after': String } })
  await form(app, ada, first.path)
  t.equal((await ada.post('/api/purchases', { pack: slug })).statusCode, 201)
  const { next_cursor, purchases } = (await ada.get('/api/purchases?limit=15')).json()
  const rest = (await ada.get(`/api/purchases?limit=15&cursor=${next_cursor}`)).json()
  t.equal(new Set([...purchases, ...rest.purchases].map(({ id }: { id: string }) => id)).size, 21)
  t.equal(rest.next_cursor, null)
})

t.test(
  'packs: an administrator puts, changes and withdraws them; amounts are minor units, by Stripe’s list',
  async (t) => {
    const { app, admin, person } = await start(t)
    const them = await admin()
    const slug = unique('pack')
    const put = (more: object) =>
      them.put(`/api/admin/packs/${slug}`, { ...{ name: 'X', credits: 10, price: 500, currency: 'usd' }, ...more })
    for (const [currency, price, price_text] of [
      ['usd', 500, '$5.00'],
      ['jpy', 500, '¥500'],
      ['kwd', 5000, 'KWD 5.000'],
      ['isk', 50000, 'ISK 500'],
      ['eur', 1999, '€19.99'],
    ] as const) {
      const { pack } = (await put({ currency, price })).json()
      t.match({ ...pack, price_text: pack.price_text.replace(/\s/g, ' ') }, { currency, price, price_text })
    }
    const refused: [object, string][] = [
      [{ price: 0 }, 'price'],
      [{ price: 1.5 }, 'price'],
      [{ price: 505, currency: 'kwd' }, 'price'],
      [{ price: 550, currency: 'isk' }, 'price'],
      [{ credits: 0 }, 'credits'],
      [{ currency: 'USD' }, 'currency'],
      [{ price: undefined }, 'price'],
      [{ stripe_price_id: 'price_1' }, 'stripe_price_id'],
    ]
    for (const [more, field] of refused) t.match((await put(more)).json(), { error: 'invalid_request', field })
    t.equal((await (await person()).put(`/api/admin/packs/${slug}`, {})).statusCode, 403)
    const listed = async () =>
      (await app.inject({ url: '/api/packs' })).json().packs.map((pack: { slug: string }) => pack.slug)
    t.ok((await listed()).includes(slug))
    const remove = () =>
      app.inject({ method: 'DELETE', url: `/api/admin/packs/${slug}`, headers: { authorization: them.authorization } })
    t.equal((await remove()).statusCode, 204)
    t.equal((await remove()).statusCode, 404)
    t.notOk((await listed()).includes(slug))
  },
)

t.test('purchases keep the terms of their pack', async (t) => {
  const { app, admin, person } = await start(t)
  const [ada, them] = await Promise.all([person(), admin()])
  const slug = unique('pack')
  const pack = { name: 'Ten', credits: 10, price: 100, currency: 'usd' }
  await them.put(`/api/admin/packs/${slug}`, pack)
  const { path } = await buy(ada, { pack: slug })
  await them.put(`/api/admin/packs/${slug}`, { ...pack, credits: 1, price: 1000 })
  t.match((await openPage(app, ada, path)).body, /Pay \$1\.00/)
  await form(app, ada, path)
  t.strictSame(await ada.balance(), { credits: 10, held: 0 })
})

t.test('an unpaid purchase expires after a day', async (t) => {
  const { app, db, person } = await start(t)
  const ada = await person()
  const { id, path } = await buy(ada)
  await sweepPurchases(app.payments as Payments)
  t.match((await ada.get(`/api/purchases/${id}`)).json(), { purchase: { status: 'open' } })
  const ago = (column: string, interval: string) => sql`${sql.ref(column)} = ${earlier(column, interval)}`
  await sql`update purchases set ${ago('created_at', '25 hours')}, ${ago('looked_at', '13 hours')} where account_id = ${ada.id}`.execute(
    db,
  )
  await sweepPurchases(app.payments as Payments)
  t.match((await ada.get(`/api/purchases/${id}`)).json(), { purchase: { status: 'expired' } })
  t.match((await openPage(app, ada, path)).body, /not open any more/)
})

t.test('a closed account buys nothing', async (t) => {
  const { app, admin, person } = await start(t)
  const [ada, them] = await Promise.all([person(), admin()])
  const { path } = await buy(ada)
  await them.post('/api/admin/accounts/erase', { clerk_id: ada.clerkId })
  t.equal((await ada.post('/api/purchases', { pack: 'small' })).json().error, 'account_closed')
  t.match(await form(app, ada, path), { statusCode: 303, headers: { location: /signin/ } }, 'its session has ended')
})

t.test('with Clerk and without Stripe nothing is sold, and buy_url is TOPUP_URL or absent', async (t) => {
  const clerk = await startClerk(t)
  const body = { app: 'video', action: 'render', cost_estimate: 500 }
  for (const [TOPUP_URL, expected] of [
    ['', undefined],
    ['https://pay.example.com/', 'https://pay.example.com/'],
  ] as const) {
    const { app } = await startOwn(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, TOPUP_URL })
    const headers = { authorization: `Bearer ${await clerk.token({ ...clerk.signIn() })}` }
    t.strictSame((await app.inject({ url: '/api/packs' })).json(), { packs: [] })
    const refused = await app.inject({ method: 'POST', url: '/api/jobs', headers, payload: body })
    t.equal(refused.json().buy_url, expected)
    t.equal(refused.json().topup_url, expected)
    t.equal((await app.inject({ url: '/api/wallet', headers })).json().buy_url, expected ?? null)
    const buying = await app.inject({ method: 'POST', url: '/api/purchases', headers, payload: { pack: 'small' } })
    t.match(buying, { statusCode: 404, body: /not_selling/ })
    t.equal(app.payments, undefined)
  }
})
