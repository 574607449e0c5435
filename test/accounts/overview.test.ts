import { sql } from 'kysely'
import t from 'tap'
import { firstJobId } from '../../src/ledger/job-ids.ts'
import { gatherDueTotals, gatherTotals } from '../../src/operator/totals.ts'
import { type App, earlier, type Person, personWith, startOwn, unique } from '../support/start.ts'

const DAY_MS = 86_400_000
const dayAgo = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10)

async function overviewOf({ db }: App, operator: Person) {
  await gatherTotals(db)
  return (await operator.get('/api/admin/overview')).json().overview
}

t.test('the overview sums up accounts, jobs and purchases, and what needs attention', async (t) => {
  const { app, db, admin } = await startOwn(t)
  const operator = await admin()
  const before = await overviewOf(app, operator)
  t.equal(before.days.length, 30)
  t.strictSame([before.days.at(-1).day, before.days[0].day], [dayAgo(0), dayAgo(29)])
  const ada = await personWith(app, 100)
  const ids = []
  for (let n = 0; n < 5; n++) ids.push((await ada.reserve(10)).json().job_id)
  const [done, failed, overdue, old] = ids
  await ada.complete(done, 4)
  await ada.fail(failed)
  await sql`update jobs set expires_at = ${earlier('created_at', '1 hour')} where id = ${overdue}`.execute(db)
  await ada.complete(old, 9)
  // The id says the time, as the database does.
  const then = new Date(Date.now() - 3 * DAY_MS)
  await sql`update jobs set id = ${firstJobId(then)}, created_at = ${then} where id = ${old}`.execute(db)
  await sql`alter table ledger_entries disable trigger ledger_entries_append_only`.execute(db)
  await sql`update ledger_entries set job_id = ${firstJobId(then)} where job_id = ${old}`.execute(db)
  await sql`alter table ledger_entries enable trigger ledger_entries_append_only`.execute(db)
  const take = { clerk_id: ada.clerkId, amount: -200, kind: 'adjustment', reference: unique('r'), reason: 'a test' }
  await operator.post('/api/admin/credits', { ...take, allow_negative: true })
  await operator.post(`/api/admin/jobs/${done}/refund`, { account_id: ada.id, amount: 3, reason: 'It was black' })
  const topup = { clerk_id: ada.clerkId, amount: 30, kind: 'topup', reference: unique('pi'), reason: 'a test' }
  await operator.post('/api/admin/credits', topup)
  const paid = { status: 'paid' as const, reference: unique('paid'), amount: 500, paid_at: new Date() }
  const pack = { pack_slug: 'small', pack_name: 'Small', credits: 50, price: 500, currency: 'chf' }
  const purchase = {
    account_id: ada.id,
    id: crypto.randomUUID(),
    provider: 'local' as const,
    origin: 'checkout' as const,
  }
  await db
    .insertInto('purchases')
    .values({ ...purchase, ...pack, ...paid })
    .execute()
  const dead = { account_id: ada.id, endpoint_id: crypto.randomUUID(), event: 'job.failed', payload: '{}' }
  await db
    .insertInto('webhook_messages')
    .values({ ...dead, status: 'dead' })
    .execute()

  // Days before yesterday are gathered again once a day.
  await db.updateTable('daily_totals').set({ gathered_at: then }).execute()
  const now = await overviewOf(app, operator)
  const grown = (field: string) => now[field] - before[field]
  t.equal(grown('accounts'), 1)
  t.equal(grown('credits'), 0, 'nobody spends what others owe')
  t.equal(grown('owed'), 200 + 20 + 4 + 9 - 100 - 3 - 30)
  t.equal(grown('held'), 20)
  t.equal(grown('negative_accounts'), 1)
  t.equal(grown('overdue_holds'), 1)
  t.ok(now.overdue_seconds > 3_500)
  t.equal(now.webhooks.dead - before.webhooks.dead, 1)
  t.strictSame(now.purchases, [{ currency: 'chf', count: 1, credits: 50, amount: 500 }])
  const change = (field: string, at = -1) => now.days.at(at)[field] - before.days.at(at)[field]
  t.strictSame(
    ['bought', 'refunded'].map((name) => change(name)),
    [30, 3],
    'a refund of a job is no gift',
  )
  const names = ['granted', 'taken', 'held', 'spent', 'started', 'completed', 'failed', 'expired', 'purchases'] as const
  t.strictSame(
    names.map((name) => change(name)),
    [100, 200, 40, 4, 2, 1, 1, 0, 1],
  )
  t.strictSame(
    names.map((name) => change(name, -4)),
    [0, 0, 10, 9, 0, 1, 0, 0, 0],
    'a job counts on its day',
  )

  t.equal((await ada.get('/api/admin/overview')).statusCode, 403)
  // What this test made by hand does not verify.
  const posted = { kind: 'topup', actor: 'payments', amount: 50, reference: paid.reference }
  await sql`insert into ledger_entries (account_id, seq, kind, actor, amount, balance_after, reference)
    select id, seq + 1, ${posted.kind}, ${posted.actor}, ${posted.amount}, credits + ${posted.amount}, ${posted.reference}
    from accounts where id = ${ada.id}`.execute(db)
  await sql`update accounts set credits = credits + 50, seq = seq + 1 where id = ${ada.id}`.execute(db)
  t.equal((await operator.get('/api/admin/verify')).json().ok, true)
  const { last_verify } = (await operator.get('/api/admin/overview')).json().overview
  t.match(last_verify, { ok: true, broken: [] })
})

t.test('sums that are beyond what a number holds exactly are answered as the largest one', async (t) => {
  const { app, admin } = await startOwn(t)
  const operator = await admin()
  const most = Number.MAX_SAFE_INTEGER
  const people = [await personWith(app, 1), await personWith(app, 1)]
  for (const { clerkId: clerk_id } of people) {
    const take = { clerk_id, amount: -most, kind: 'adjustment', reference: unique('r'), reason: 'a test' }
    t.equal((await operator.post('/api/admin/credits', { ...take, allow_negative: true })).statusCode, 200)
  }
  t.match(await overviewOf(app, operator), { owed: most })
  const reason = 'a test'
  for (const { clerkId: clerk_id } of people) await operator.post('/api/admin/accounts/close', { clerk_id, reason })
  t.match(await overviewOf(app, operator), { closed_credits: -most })
})

t.test('totals are gathered in the background, and less often where that takes long', async (t) => {
  const { db, admin } = await startOwn(t)
  const gatheredAt = async () => (await (await admin()).get('/api/admin/overview')).json().overview.gathered_at
  const tookFor = (took: number, age: string) =>
    sql`update statistics set value = jsonb_set(value, '{took}', to_jsonb(${took}::int)), gathered_at = now() - ${age}::interval
      where name = 'totals'`.execute(db)
  await gatherDueTotals(db, 60_000)
  await tookFor(5_000, '2 minutes')
  const first = await gatheredAt()
  t.equal(await gatheredAt(), first, 'nobody waits for what takes long')
  await gatherDueTotals(db, 60_000)
  t.equal(await gatheredAt(), first, 'five seconds of work rest for four minutes')
  await tookFor(5_000, '5 minutes')
  await gatherDueTotals(db, 60_000)
  t.not(await gatheredAt(), first)
})
