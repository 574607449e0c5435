import { sql } from 'kysely'
import t from 'tap'
import { JOB_READS } from '../../src/operator/all-jobs.ts'
import { ACCOUNT_READS } from '../../src/operator/find-accounts.ts'
import { SEARCHES } from '../../src/operator/search.ts'
import { DAY_SUMS } from '../../src/operator/totals.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { preparedPlan } from '../support/plan.ts'
import { type Person, personWith, start, startOwn, unique } from '../support/start.ts'

const ACCOUNTS = '/api/admin/accounts'

/** Accounts that no test has anything to do with. */
const strangers = (count: number) =>
  Array.from({ length: count }, () => ({ id: crypto.randomUUID(), clerk_id: `user_${unique('stranger')}` }))

/** Every page of a list of accounts. */
async function allAccounts(operator: Person, query: string): Promise<{ id: string; credits: number }[]> {
  const found: { id: string; credits: number }[] = []
  let cursor: string | null = ''
  do {
    const reply = await operator.get(`${ACCOUNTS}?${query}${cursor && `&cursor=${cursor}`}`)
    if (reply.statusCode !== 200) throw new Error(reply.body)
    found.push(...reply.json().accounts)
    cursor = reply.json().next_cursor
  } while (cursor !== null)
  return found
}

t.test('accounts are listed by when they were opened or closed, page by page', async (t) => {
  const { admin, db } = await startOwn(t)
  const operator = await admin()
  // At the same microsecond, which a Date does not keep.
  const made = strangers(25).map((account, n) => ({
    ...account,
    created_at: sql<Date>`timestamptz '2020-01-01 00:00:00.123456Z' + ${String(Math.floor(n / 3))}::int * interval '1 microsecond'`,
    closed_at: n % 2 ? new Date(Date.UTC(2020, 1, 1 + n)) : null,
  }))
  await db.insertInto('accounts').values(made).execute()
  const walk = async (query: string) =>
    (await allAccounts(operator, query)).map(({ id }) => id).filter((id) => made.some((account) => account.id === id))
  const byAge = made
    .map(({ id }, n) => ({ id, at: Math.floor(n / 3) }))
    .toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id)
  t.strictSame(await walk('limit=2&sort=oldest'), byAge)
  t.strictSame(await walk('limit=2'), byAge.toReversed())
  const closed = made.filter(({ closed_at }) => closed_at).map(({ id }) => id)
  t.strictSame(await walk('limit=4&closed=true&sort=oldest'), closed)
  t.strictSame(await walk('limit=4&closed=true'), closed.toReversed())
  t.strictSame(new Set(await walk('limit=4&closed=false')), new Set(byAge).difference(new Set(closed)))
  for (const query of ['sort=credits', 'plan=free', 'cursor=x', `cursor=${made[0]?.id}`, 'negative=true&sort=newest'])
    t.equal((await operator.get(`${ACCOUNTS}?${query}`)).statusCode, 400, query)
})

t.test('accounts below zero are listed, without those that are no longer below zero', async (t) => {
  const { app, admin, db } = await start(t)
  const operator = await admin()
  const people = await Promise.all(Array.from({ length: 4 }, () => personWith(app, 5)))
  for (const ada of people) await ada.complete((await ada.reserve(5)).json().job_id, 8)
  const [ada, grace] = people
  if (!ada || !grace) return
  const back = { clerk_id: grace.clerkId, amount: 3, kind: 'topup', reference: unique('payment'), reason: 'paid' }
  await operator.post('/api/admin/credits', back)
  await sql`update accounts set closed_at = now() where id = ${ada.id}`.execute(db)
  const find = async (query: string) => {
    const found = await allAccounts(operator, query)
    t.ok(found.every(({ credits }) => credits < 0))
    return people.map(({ id }) => found.some((account) => account.id === id))
  }
  t.strictSame(await find('negative=true&limit=1'), [true, false, true, true])
  t.strictSame(await find('negative=true&closed=true'), [true, false, false, false])
  t.strictSame(await find('negative=true&closed=false'), [false, false, true, true])
})

t.test("an account's parts are those that the person sees", async (t) => {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 20)
  const operator = await admin()
  await ada.complete((await ada.reserve(5)).json().job_id, 3)
  await ada.reserve(2)
  const { account } = (await operator.get(`${ACCOUNTS}/${ada.id}`)).json()
  t.match(account, { id: ada.id, clerk_id: ada.clerkId, plan: 'free', credits: 15, held: 2, closed_at: null })
  for (const [part, own] of [
    ['entries?limit=2', '/api/wallet/entries?limit=2'],
    ['jobs?status=started', '/api/jobs?status=started'],
    ['tokens', '/api/tokens'],
    ['purchases', '/api/purchases'],
  ] as const) {
    const [theirs, mine] = await Promise.all([operator.get(`${ACCOUNTS}/${ada.id}/${part}`), ada.get(own)])
    t.equal(theirs.statusCode, 200, part)
    t.strictSame(theirs.json(), mine.json(), part)
  }
  t.strictSame((await operator.get(`${ACCOUNTS}/${ada.id}/grants`)).json(), { grants: [], next_cursor: null })
  for (const part of ['', '/entries', '/jobs', '/tokens', '/grants', '/purchases']) {
    t.match((await operator.get(`${ACCOUNTS}/${crypto.randomUUID()}${part}`)).json(), { error: 'account_not_found' })
    t.equal((await ada.get(`${ACCOUNTS}/${ada.id}${part}`)).statusCode, 403)
  }
})

t.test('accounts are found by every id that an operator may have', async (t) => {
  const { app, db, admin } = await start(t)
  const operator = await admin()
  const ada = await personWith(app, 10)
  const job = (await ada.reserve(5)).json().job_id
  const reference = `stripe:pi_${unique('x').replaceAll('-', '')}`
  const [id, purchase, payment_id] = [crypto.randomUUID(), crypto.randomUUID(), `pi_${unique('y')}`]
  await sql`insert into ledger_entries (account_id, seq, kind, amount, balance_after, reference)
    select id, seq + 1, 'topup', 1, credits + 1, ${reference} from accounts where id = ${ada.id}`.execute(db)
  await sql`update accounts set credits = credits + 1, seq = seq + 1 where id = ${ada.id}`.execute(db)
  const pack = { pack_slug: 'small', pack_name: 'Small', credits: 1, price: 1, currency: 'usd' }
  await db
    .insertInto('purchases')
    .values({ account_id: ada.id, id: purchase, ...pack, provider: 'local', origin: 'checkout', payment_id })
    .execute()
  await db
    .insertInto('tokens')
    .values({
      ...{ id, account_id: ada.id, name: 'test', last_four: 'q9Zx', scopes: ['account'], token_hash: id },
      expires_at: new Date(Date.now() + 3_600_000),
    })
    .execute()
  const find = async (q: string) =>
    (await operator.get(`${ACCOUNTS}?q=${encodeURIComponent(q)}`))
      .json()
      .accounts.map((account: { id: string; found_by: string }) => [account.id, account.found_by])
  for (const [q, by] of [
    [ada.id.toUpperCase(), 'account_id'],
    [` ${ada.clerkId} `, 'clerk_id'],
    [ada.email, 'email'],
    [job, 'job_id'],
    [reference, 'reference'],
    [reference.replace('stripe:', ''), 'reference'],
    [purchase, 'purchase_id'],
    [payment_id, 'purchase_id'],
    ['q9Zx', 'token'],
  ] as const)
    t.strictSame(await find(q), [[ada.id, by]], `${by}: ${q}`)
  for (const q of [
    'nobody@example.com',
    'user_nobody',
    crypto.randomUUID(),
    'pi_none',
    '%',
    "'",
    'starter_grant:video',
  ])
    t.strictSame(await find(q), [], q)
  for (const query of ['q=', `q=a&clerk_id=${ada.clerkId}`, 'q=a&negative=true'])
    t.equal((await operator.get(`${ACCOUNTS}?${query}`)).statusCode, 400, query)
})

t.test('with Clerk, people are found by the e-mail addresses that Clerk knows', async (t) => {
  const clerk = await startClerk(t, 'https://account.example.com')
  const [boss, ada, grace] = [clerk.signIn(), clerk.signIn(), clerk.signIn()]
  for (const { sub } of [ada, grace]) clerk.emails.set(`${sub}@example.com`, sub)
  const { app } = await start(t, { ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, ADMIN_CLERK_IDS: boss.sub })
  const get = async (url: string, { sub, sid }: { sub: string; sid: string }) =>
    app.inject({ url, headers: { authorization: `Bearer ${await clerk.token({ sub, sid })}` } })
  const { account } = (await get('/api/wallet', ada)).json()
  const find = ({ sub }: { sub: string }) => get(`${ACCOUNTS}?q=${encodeURIComponent(`${sub}@example.com`)}`, boss)
  t.match((await find(ada)).json(), { accounts: [{ id: account.id, clerk_id: ada.sub, found_by: 'email' }] })
  t.strictSame((await find(grace)).json().accounts, [], 'never here')
  clerk.emails.set('lovelace@example.com', ada.sub)
  const part = () => get(`${ACCOUNTS}?q=lovel`, boss)
  t.match((await part()).json(), { accounts: [{ id: account.id, found_by: 'email' }] }, 'by a part of it')
  clerk.fail(/users/, { status: 500 })
  t.match(await find(ada), { statusCode: 503, body: /identity_provider_unavailable/ })
  t.equal((await get(`${ACCOUNTS}?q=${ada.sub}`, boss)).json().accounts.length, 1, 'all else is found without Clerk')
  t.strictSame((await part()).json().accounts, [], 'a text that may be none is not an error')
})

t.test('jobs of all accounts are listed newest first, holds by their expiry', async (t) => {
  const { app, admin, db } = await startOwn(t)
  const operator = await admin()
  const people = await Promise.all([personWith(app, 100), personWith(app, 100)])
  const slug = unique('listed')
  const made: { id: string; account_id: string }[] = []
  for (let n = 0; n < 8; n++) {
    const ada = people[n % 2] as Person
    const job = { app: slug, action: 'a', cost_estimate: 1, ttl_seconds: 600 - n }
    made.push({ account_id: ada.id, id: (await ada.post('/api/jobs', job)).json().job_id })
  }
  const ids = made.map(({ id }) => id)
  const [first, second, third = '', ...running] = ids
  const settle = (n: number) => people[n % 2] as Person
  await settle(0).complete(first ?? '', 1)
  await settle(1).complete(second ?? '', 1)
  await settle(2).fail(third)
  const walk = async (query: string) => {
    const found: { id: string; account_id: string }[] = []
    let cursor: string | null = ''
    do {
      const reply = await operator.get(`/api/admin/jobs?${query}${cursor && `&cursor=${cursor}`}`)
      if (reply.statusCode !== 200) throw new Error(reply.body)
      found.push(...reply.json().jobs)
      cursor = reply.json().next_cursor
    } while (cursor !== null)
    return found.filter(({ id }) => ids.includes(id)).map(({ id }) => id)
  }
  t.strictSame(await walk('limit=3'), ids.toReversed())
  t.strictSame(await walk(`limit=3&app=${slug}`), ids.toReversed())
  t.strictSame(await walk('limit=1&status=completed'), [second, first])
  t.strictSame(await walk(`status=failed&app=${slug}`), [third])
  t.strictSame(await walk(`limit=2&status=started&app=${slug}`), running.toReversed(), 'the earliest expiry first')
  t.strictSame(await walk(`account=${people[0]?.id}&limit=2`), ids.filter((_, n) => n % 2 === 0).toReversed())
  t.strictSame(await walk('overdue=true'), [])
  const late = running.slice(0, 3)
  // At the same microsecond.
  await sql`update jobs set expires_at = timestamptz '2026-01-01 00:00:00.123456Z' where id = any(${late})`.execute(db)
  t.strictSame(new Set(await walk('limit=1&overdue=true')), new Set(late))
  t.strictSame((await walk('limit=1&status=started')).slice(0, 3).toSorted(), late.toSorted())
  t.strictSame(await walk(`overdue=true&account=${people[1]?.id}`), [running[2], running[0]])
  for (const query of ['status=failed&overdue=true', `status=started&cursor=${first}`, 'cursor=1_2', 'kind=x'])
    t.equal((await operator.get(`/api/admin/jobs?${query}`)).statusCode, 400, query)
})

t.test('a job and its refunds lead to each other', async (t) => {
  const { app, admin } = await start(t)
  const operator = await admin()
  const ada = await personWith(app, 10)
  const id = (await ada.reserve(5)).json().job_id
  await ada.complete(id, 5)
  for (const part of [1, 2])
    await operator.post(`/api/admin/jobs/${id}/refund`, { account_id: ada.id, amount: part, part, reason: 'black' })
  const { job, refunds } = (await operator.get(`/api/admin/jobs/${id}`)).json()
  t.match(job, { id, account_id: ada.id, actual_cost: 5, refunded: 3 })
  t.match(refunds, [
    { amount: 1, corrects_job_id: id },
    { amount: 2, corrects_job_id: id },
  ])
  t.match((await operator.get(`/api/admin/jobs/${crypto.randomUUID()}`)).json(), { error: 'job_not_found' })
})

t.test('every read across accounts follows an index', async (t) => {
  const { db } = await start(t)
  for (const { sql: text } of [...ACCOUNT_READS, ...SEARCHES, ...JOB_READS, ...DAY_SUMS]) {
    const plan = await preparedPlan(db, text)
    t.notMatch(plan, /Seq Scan/, `${text}\n${plan}`)
  }
})
