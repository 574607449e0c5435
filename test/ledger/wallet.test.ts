import { sql } from 'kysely'
import t from 'tap'
import { type Person, start, unique } from '../support/start.ts'

const HOME = 'http://localhost:3000'
const FRIEND = 'https://friend.example.com'

type AppEntry = { slug: string; starter_credits: number; granted: boolean; granted_at: string | null }

const appsOf = async (somebody: Person): Promise<AppEntry[]> => (await somebody.get('/api/wallet')).json().apps
const entryOf = async (somebody: Person, slug: string) => (await appsOf(somebody)).find((app) => app.slug === slug)
const grantsOf = async (somebody: Person) => (await somebody.get('/api/wallet/entries')).json().entries.length

/** A registered app that gives so many starter credits. */
async function register(admin: Person, starter_credits: number, slug = unique('app')): Promise<string> {
  const reply = await admin.put(`/api/admin/apps/${slug}`, { starter_credits })
  if (reply.statusCode !== 200) throw new Error(reply.body)
  return slug
}

t.test('without an app the wallet shows the account and grants nothing', async (t) => {
  const { person, admin } = await start(t)
  const slug = await register(await admin(), 7)
  const ada = await person()
  const reply = await ada.get('/api/wallet')
  t.equal(reply.statusCode, 200)
  const { account, apps, app_grant } = reply.json()
  t.strictSame(account, { id: ada.id, clerk_id: ada.clerkId, plan: 'free', credits: 0, held: 0 })
  t.equal(app_grant, null)
  t.strictSame(
    apps.find((app: AppEntry) => app.slug === slug),
    { slug, starter_credits: 7, granted: false, granted_at: null },
  )
  t.equal(await grantsOf(ada), 0)
})

t.test('the first visit with a registered app grants its starter credits, later ones say so', async (t) => {
  const { person, admin } = await start(t)
  const slug = await register(await admin(), 20)
  const ada = await person()
  for (const visit of ['first', 'second', 'third']) {
    const { account, app_grant, apps } = (await ada.get(`/api/wallet?app=${slug}`)).json()
    t.equal(account.credits, 20, `${visit} visit`)
    t.strictSame(app_grant, { slug, starter_credits: 20, granted: true }, `${visit} visit`)
    const entry = apps.find((app: AppEntry) => app.slug === slug)
    t.ok(Math.abs(Date.parse(entry.granted_at) - Date.now()) < 60_000)
  }
  const { entries } = (await ada.get('/api/wallet/entries')).json()
  t.match(entries, [{ seq: 1, kind: 'starter_grant', amount: 20, balance_after: 20, job_id: null }])
  t.equal(entries.length, 1)
})

t.test('the account is created by the first visit, once', async (t) => {
  const { person, db } = await start(t)
  const ada = await person()
  await db.deleteFrom('accounts').where('id', '=', ada.id).execute()
  const replies = await Promise.all([1, 2, 3, 4].map(() => ada.get('/api/wallet')))
  for (const reply of replies) t.match(reply.json(), { account: { id: ada.id, clerk_id: ada.clerkId, credits: 0 } })
  const stored = await db.selectFrom('accounts').select('id').where('clerk_id', '=', ada.clerkId).execute()
  t.strictSame(stored, [{ id: ada.id }])
})

t.test('an app that is registered later grants at the next visit', async (t) => {
  const { person, admin } = await start(t)
  const slug = unique('later')
  const ada = await person()
  t.strictSame((await ada.get(`/api/wallet?app=${slug}`)).json().app_grant, {
    slug,
    starter_credits: 0,
    granted: false,
  })
  t.strictSame(await entryOf(ada, slug), { slug, starter_credits: 0, granted: false, granted_at: null })
  await register(await admin(), 12, slug)
  t.equal((await ada.get('/api/wallet')).json().account.credits, 0, 'a visit without the app is not one')
  t.match((await ada.get(`/api/wallet?app=${slug}`)).json(), { account: { credits: 12 }, app_grant: { granted: true } })
})

t.test('an app with 0 credits until now grants at the next visit', async (t) => {
  const { person, admin } = await start(t)
  const operator = await admin()
  const slug = await register(operator, 0)
  const ada = await person()
  t.match((await ada.get(`/api/wallet?app=${slug}`)).json(), {
    account: { credits: 0 },
    app_grant: { starter_credits: 0, granted: false },
  })
  await register(operator, 5, slug)
  t.match((await ada.get(`/api/wallet?app=${slug}`)).json(), {
    account: { credits: 5 },
    app_grant: { starter_credits: 5, granted: true },
  })
})

t.test('changing the amount later grants nothing more and takes nothing back', async (t) => {
  const { person, admin } = await start(t)
  const operator = await admin()
  const slug = await register(operator, 5)
  const ada = await person()
  await ada.get(`/api/wallet?app=${slug}`)
  for (const amount of [500, 1, 0, 6]) {
    await register(operator, amount, slug)
    const { account, app_grant } = (await ada.get(`/api/wallet?app=${slug}`)).json()
    t.equal(account.credits, 5, `with ${amount} now`)
    t.strictSame(app_grant, { slug, starter_credits: 5, granted: true })
  }
  const grace = await person()
  t.equal((await grace.get(`/api/wallet?app=${slug}`)).json().account.credits, 6, 'others get what it is now')
  t.equal(await grantsOf(ada), 1)
})

t.test('each registered app grants once, and both stand in the list by slug', async (t) => {
  const { person, admin } = await start(t)
  const operator = await admin()
  const [b, a] = [await register(operator, 3, unique('b')), await register(operator, 4, unique('a'))]
  const ada = await person()
  await ada.get(`/api/wallet?app=${a}`)
  t.equal((await ada.get(`/api/wallet?app=${b}`)).json().account.credits, 7)
  const slugs = (await appsOf(ada)).map(({ slug }) => slug)
  t.strictSame(slugs, slugs.toSorted())
  t.ok(slugs.includes(a) && slugs.includes(b))
})

t.test('a slug that nobody registered is remembered for that account alone', async (t) => {
  const { person } = await start(t)
  const slug = unique('mine')
  const [ada, grace] = await Promise.all([person(), person()])
  await ada.get(`/api/wallet?app=${slug}`)
  t.match(await entryOf(ada, slug), { slug, granted: false })
  t.equal(await entryOf(grace, slug), undefined)
  t.equal((await ada.balance()).credits, 0)
  t.equal(await grantsOf(ada), 0)
})

t.test('fifty unregistered slugs are remembered; the next is answered and not stored', async (t) => {
  const { person, admin } = await start(t)
  const ada = await person()
  const slugs = Array.from({ length: 50 }, (_, n) => `slug-${n}`)
  for (const slug of slugs) await ada.get(`/api/wallet?app=${slug}`)
  const own = async () => (await appsOf(ada)).filter(({ slug }) => slug.startsWith('slug-')).map(({ slug }) => slug)
  t.strictSame(await own(), slugs.toSorted())

  const beyond = (await ada.get('/api/wallet?app=slug-50')).json()
  t.strictSame(beyond.app_grant, { slug: 'slug-50', starter_credits: 0, granted: false })
  t.strictSame(await own(), slugs.toSorted())

  const registered = await register(await admin(), 8)
  t.match((await ada.get(`/api/wallet?app=${registered}`)).json(), { app_grant: { granted: true } })
  t.equal((await ada.balance()).credits, 8, 'registered apps are not counted')

  await register(await admin(), 0, 'slug-7')
  await ada.get('/api/wallet?app=slug-50')
  t.ok((await own()).includes('slug-50'), 'one that is registered by now makes room')
})

t.test('HEAD answers like GET and neither grants nor stores', async (t) => {
  const { app, db, person, admin } = await start(t)
  const [granting, unknown] = [await register(await admin(), 9), unique('unknown')]
  const ada = await person()
  for (const slug of [granting, unknown]) {
    const { authorization } = ada
    const reply = await app.inject({ method: 'HEAD', url: `/api/wallet?app=${slug}`, headers: { authorization } })
    t.equal(reply.statusCode, 200)
    t.equal(reply.body, '')
  }
  t.equal((await ada.balance()).credits, 0)
  t.strictSame(await db.selectFrom('app_grants').select('app_slug').where('account_id', '=', ada.id).execute(), [])

  await db.deleteFrom('accounts').where('id', '=', ada.id).execute()
  await app.inject({ method: 'HEAD', url: '/api/wallet', headers: { authorization: ada.authorization } })
  t.strictSame(await db.selectFrom('accounts').select('id').where('id', '=', ada.id).execute(), [], 'nor an account')
})

t.test('a cookie that another site sends along neither grants nor stores', async (t) => {
  const { app, db, person, admin } = await start(t, { ALLOWED_ORIGINS: FRIEND })
  const [granting, unknown] = [await register(await admin(), 9), unique('unknown')]
  const ada = await person()
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'something new' },
    { origin: 'https://evil.example.com' },
    { origin: 'https://evil.example.com', 'sec-fetch-site': 'cross-site' },
    { origin: 'null', 'sec-fetch-site': 'cross-site' },
    { origin: 'null', 'sec-fetch-site': 'same-origin' },
    { origin: 'http://localhost:4000', 'sec-fetch-site': 'same-site' },
    { origin: `${FRIEND}:444` },
    { origin: `${FRIEND}.evil.example` },
  ]
  for (const headers of foreign) {
    for (const slug of [granting, unknown]) {
      const reply = await app.inject({ url: `/api/wallet?app=${slug}`, headers: { cookie: ada.cookie, ...headers } })
      t.equal(reply.statusCode, 200, JSON.stringify(headers))
      t.match(reply.json(), { account: { id: ada.id, credits: 0 }, app_grant: { slug, granted: false } })
    }
  }
  t.strictSame(await db.selectFrom('app_grants').select('app_slug').where('account_id', '=', ada.id).execute(), [])
})

t.test('a cookie from our own pages, an allowed origin, or without a browser does', async (t) => {
  const { app, person, admin } = await start(t, { ALLOWED_ORIGINS: FRIEND })
  const slug = await register(await admin(), 9)
  const homely: Record<string, string>[] = [
    {},
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-origin' },
    { origin: HOME, 'sec-fetch-site': 'same-origin' },
    { origin: FRIEND, 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of homely) {
    const { cookie } = await person()
    const reply = await app.inject({ url: `/api/wallet?app=${slug}`, headers: { cookie, ...headers } })
    t.match(reply.json(), { account: { credits: 9 }, app_grant: { granted: true } }, JSON.stringify(headers))
  }
})

t.test('a bearer token grants wherever the page is: no browser sends it by itself', async (t) => {
  const { person, admin } = await start(t)
  const slug = await register(await admin(), 9)
  const ada = await person()
  const headers = { origin: 'https://evil.example.com', 'sec-fetch-site': 'cross-site' }
  t.match((await ada.get(`/api/wallet?app=${slug}`, headers)).json(), { app_grant: { granted: true } })
})

t.test('malformed slugs are refused and not stored', async (t) => {
  const { db, person } = await start(t)
  const ada = await person()
  const malformed = [
    '',
    '-',
    '-a',
    'A',
    'Video',
    'a_b',
    'a b',
    'a.b',
    'a/b',
    'ä',
    '🎬',
    'a\n',
    'a\0',
    '\0',
    "a'--",
    `a${'b'.repeat(63)}`,
    'x'.repeat(5_000),
    '%',
  ]
  for (const slug of malformed) {
    const reply = await ada.get(`/api/wallet?app=${encodeURIComponent(slug)}`)
    t.equal(reply.statusCode, 400, JSON.stringify(slug.slice(0, 70)))
    t.match(reply.json(), { error: 'invalid_request', field: 'app' })
  }
  t.equal((await ada.get('/api/wallet?app=a&app=b')).statusCode, 400, 'two at once')
  t.strictSame(await db.selectFrom('app_grants').select('app_slug').where('account_id', '=', ada.id).execute(), [])

  for (const slug of ['a', '0', 'a-', 'a--b', '9lives', `a${'b'.repeat(62)}`]) {
    t.equal((await ada.get(`/api/wallet?app=${slug}`)).statusCode, 200, slug)
  }
})

t.test('a closed account is shown, and granted nothing', async (t) => {
  const { db, person, admin } = await start(t)
  const slug = await register(await admin(), 9)
  const ada = await person()
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const reply = await ada.get(`/api/wallet?app=${slug}`)
  t.equal(reply.statusCode, 200)
  t.match(reply.json(), { account: { credits: 0 }, app_grant: { slug, granted: false } })
  t.equal(await grantsOf(ada), 0)
})

t.test('a grant that would pass the largest number is not made, and the wallet still opens', async (t) => {
  const { person, admin } = await start(t)
  const operator = await admin()
  const slug = await register(operator, Number.MAX_SAFE_INTEGER)
  const ada = await person()
  t.equal((await ada.get(`/api/wallet?app=${slug}`)).json().account.credits, Number.MAX_SAFE_INTEGER)
  const one = await register(operator, 1)
  t.match((await ada.get(`/api/wallet?app=${one}`)).json(), { app_grant: { slug: one, granted: false } })
  t.strictSame(await ada.balance(), { credits: Number.MAX_SAFE_INTEGER, held: 0 })
  t.equal(await grantsOf(ada), 1)
})

t.test('without a token there is no wallet', async (t) => {
  const { app } = await start(t)
  const reply = await app.inject({ url: '/api/wallet?app=video' })
  t.equal(reply.statusCode, 401)
  t.match(reply.json(), { error: 'not_signed_in', signin_url: /\/signin/ })
})
