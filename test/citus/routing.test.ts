import t from 'tap'
import { v7 as uuidv7 } from 'uuid'
import { accountIdOf } from '../../src/accounts/account-id.ts'
import * as ledger from '../../src/ledger/operations.ts'
import type { Payment } from '../../src/ledger/reconcile.ts'
import { earlier, personWith, start, startOwn, unique } from '../support/start.ts'

/**
 * Makes Citus refuse a statement that it would send to more than one shard. Such a statement gives the right answer, so no other test
 * notices it, but it opens connections and is planned again for each shard. Planning a statement without its values, which Postgres tries
 * once, would count.
 */
const ONE_SHARD = { PGOPTIONS: '-c citus.multi_task_query_log_level=error -c plan_cache_mode=force_custom_plan' }

const reason = 'for a test'
const nobody = { token_id: null, grant_id: null, budget_ids: [], idempotency_key: null, request_hash: null }
const asked = (cost: number) => ({
  ...{ job_id: uuidv7(), app: 'clips', action: 'render', cost, metadata: '{"a":1}', ttl_seconds: 60 },
  ...{ ttl_without_key: false, ...nobody },
})

t.test('this service refuses what goes to several shards', async (t) => {
  const { db } = await startOwn(t, ONE_SHARD)
  await t.rejects(db.selectFrom('jobs').select('id').execute(), /multi-task/)
})

t.test('every posting goes to the shard of its account', async (t) => {
  const [plain, { app, db }] = [await start(t), await startOwn(t, ONE_SHARD)]
  const operator = await plain.admin()
  await operator.put('/api/admin/apps/clips', { name: 'Clips', starter_credits: 3 })
  const ada = await plain.person()
  const owner = { id: ada.id, clerk_id: ada.clerkId }
  const by = { token_id: uuidv7(), grant_id: null }
  const claim = (job_id: string) => ({ account_id: ada.id, job_id, key_of: null })

  await ledger.visit(app.ledger, owner, 'clips')
  const given = { kind: 'admin_grant', reference: unique('given'), reason, actor: operator.id } as const
  await ledger.adjust(app.ledger, owner, { ...given, amount: 100, allow_negative: false })
  await ledger.limit(app.ledger, ada.id, by.token_id, { amount: 50, period: 'day' })
  const keyed = { ...asked(5), ...by, budget_ids: [by.token_id], idempotency_key: unique('key'), request_hash: 'same' }
  const { job_id } = await ledger.reserve(app.ledger, owner, keyed)
  t.match(await ledger.reserve(app.ledger, owner, { ...keyed, job_id: uuidv7() }), { job_id, replayed: true })
  await ledger.heartbeat(app.ledger, claim(job_id), null, 60)
  await ledger.complete(app.ledger, claim(job_id), 4, '{"b":2}')
  await ledger.refund(app.ledger, claim(job_id), { amount: 1, part: 1, reason, actor: operator.id })
  // Jobs are read, to count anew what was spent.
  await ledger.limit(app.ledger, ada.id, by.token_id, { period: 'week' })
  const failing = await ledger.reserve(app.ledger, owner, asked(5))
  await ledger.fail(app.ledger, claim(failing.job_id), true)

  const overdue = async (cost: number) => {
    const { job_id } = await ledger.reserve(app.ledger, owner, asked(cost))
    const ending = { expires_at: earlier('expires_at', '1 day') }
    await db.updateTable('jobs').set(ending).where('account_id', '=', ada.id).where('id', '=', job_id).execute()
    return job_id
  }
  t.ok(await ledger.expire(app.ledger, { account_id: ada.id, job_id: await overdue(1) }))
  await overdue(90)
  await ledger.reserve(app.ledger, owner, asked(80))
  await t.rejects(ledger.reserve(app.ledger, owner, asked(80)), { code: 'insufficient_credits' })

  const { purchase } = (await ada.post('/api/purchases', { pack: 'small' })).json()
  const { version } = await db
    .selectFrom('purchases')
    .select('version')
    .where('account_id', '=', ada.id)
    .where('id', '=', purchase.id)
    .executeTakeFirstOrThrow()
  const payment: Payment = {
    ...{ status: 'paid', failure_reason: null, checkout_id: null, payment_id: null, reference: unique('local:') },
    ...{ amount: 500, receipt_url: null, disputed: false, reversals: [] },
  }
  t.equal(await ledger.settlePurchase(app.ledger, ada.id, { purchase_id: purchase.id, version, payment }), 'posted')
  t.strictSame(await ada.balance(), { credits: 120, held: 80 })
  await ledger.close(app.ledger, ada.id, ada.clerkId)
})

t.test('so does a batch of several accounts', async (t) => {
  const { app } = await startOwn(t, ONE_SHARD)
  const clerkIds = Array.from({ length: 40 }, () => unique('user'))
  const owners = clerkIds.map((clerk_id) => ({ id: accountIdOf(clerk_id), clerk_id }))
  const all = <T>(post: (owner: (typeof owners)[number], n: number) => Promise<T>) => Promise.all(owners.map(post))
  const given = { kind: 'admin_grant', reason, actor: owners[0]?.id ?? '', amount: 100, allow_negative: false } as const
  await all((owner) => ledger.adjust(app.ledger, owner, { ...given, reference: unique('given') }))
  const jobs = await all((owner) => ledger.reserve(app.ledger, owner, asked(5)))
  const settled = await all(({ id }, n) =>
    ledger.complete(app.ledger, { account_id: id, job_id: jobs[n]?.job_id ?? '', key_of: null }, 4, '{"b":2}'),
  )
  t.strictSame(new Set(settled.map(({ movement }) => movement?.amount)), new Set([1]))
})

t.test('what a person reads of an account comes from its shard', async (t) => {
  const [plain, { app }] = [await start(t), await startOwn(t, ONE_SHARD)]
  const { authorization, ...ada } = await personWith(plain.app, 100)
  const { job_id } = (await ada.reserve(5)).json()
  await ada.complete(job_id, 3)
  await ada.post('/api/purchases', { pack: 'small' })
  const now = encodeURIComponent(new Date().toISOString())
  const today = `from=${now.slice(0, 10)}`
  for (const url of [
    ...['/api/wallet', '/api/wallet?app=clips', `/api/jobs/${job_id}`, '/api/tokens', '/api/grants', '/api/purchases'],
    ...['', 'app=clips', 'status=completed', 'app=clips&status=completed', today].map((query) => `/api/jobs?${query}`),
    ...['', 'kind=topup', 'app=clips', today, `until=${now}`].map((query) => `/api/wallet/entries?${query}`),
    ...['app', 'day', 'token', 'app,action,day'].map((by) => `/api/usage?group_by=${by}`),
  ]) {
    const reply = await app.inject({ url, headers: { authorization } })
    t.equal(reply.statusCode, 200, `${url}: ${reply.body}`)
  }
})
