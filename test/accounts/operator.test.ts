import { sql } from 'kysely'
import t from 'tap'
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
  t.strictSame(await walk('limit=4&sort=oldest'), byAge)
  t.strictSame(await walk('limit=4'), byAge.toReversed())
  const closed = made.filter(({ closed_at }) => closed_at).map(({ id }) => id)
  t.strictSame(await walk('limit=4&closed=true&sort=oldest'), closed)
  t.strictSame(await walk('limit=4&closed=true'), closed.toReversed())
  t.strictSame(new Set(await walk('limit=4&closed=false')), new Set(byAge).difference(new Set(closed)))
  for (const query of ['sort=credits', 'plan=free', 'cursor=x', `cursor=${made[0]?.id}`, 'negative=true&sort=newest'])
    t.equal((await operator.get(`${ACCOUNTS}?${query}`)).statusCode, 400, query)
})

t.test('accounts below zero are found, those that were and are not any more are left out', async (t) => {
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
