import t, { type Test } from 'tap'
import { closeAccount } from '../../src/accounts/close.ts'
import { personWith, start } from '../support/start.ts'

/** Somebody with a job that cost 8 of their 20 credits, and an administrator who gives some of it back. */
async function spent(t: Test, cost = 8) {
  const service = await start(t)
  const operator = await service.admin()
  const ada = await personWith(service.app, 20)
  const job_id: string = (await ada.reserve(8)).json().job_id
  await ada.complete(job_id, cost)
  const refund = (body: object = {}, id = job_id) =>
    operator.post(`/api/admin/jobs/${id}/refund`, { account_id: ada.id, reason: 'the render was black', ...body })
  const credits = async () => (await ada.balance()).credits
  return { ...service, operator, ada, job_id, refund, credits }
}

t.test('an administrator refunds the cost of a job once', async (t) => {
  const { ada, job_id, operator, refund, credits } = await spent(t)
  const reply = await refund()
  t.equal(reply.statusCode, 200)
  t.match(reply.json(), {
    account: { id: ada.id, credits: 20, held: 0 },
    entry: { kind: 'adjustment', amount: 8, reference: `refund:${job_id}`, job_id: null, corrects_job_id: job_id },
    refunded: 8,
  })
  for (const again of [await refund(), await refund({ amount: 8 }), await refund({ part: 1, reason: 'another' })])
    t.match([again.statusCode, again.json().entry.seq], [200, reply.json().entry.seq])
  t.match((await refund({ amount: 7 })).json(), { error: 'reference_reused', entry: { amount: 8 } })
  t.match((await refund({ part: 2 })).json(), { error: 'refund_exceeds_cost', refundable: 0 })
  t.match((await refund({ part: 2, amount: 1 })).json(), { error: 'refund_exceeds_cost', refundable: 0 })
  t.equal(await credits(), 20)
  t.ok((await operator.get('/api/admin/verify')).json().ok)
})

t.test('parts never exceed the cost, and each may be repeated', async (t) => {
  const { ada, job_id, refund, credits } = await spent(t)
  t.match((await refund({ amount: 3 })).json(), { entry: { amount: 3, reference: `refund:${job_id}` }, refunded: 3 })
  t.match((await refund({ amount: 6, part: 2 })).json(), { error: 'refund_exceeds_cost', refundable: 5 })
  t.match((await refund({ amount: 2, part: 2 })).json(), { entry: { reference: `refund:${job_id}:2` }, refunded: 5 })
  t.match((await refund({ part: 3 })).json(), { entry: { amount: 3, reference: `refund:${job_id}:3` }, refunded: 8 })
  for (const [part, amount] of [3, 2, 3].entries()) t.equal((await refund({ part: part + 1, amount })).statusCode, 200)
  t.equal((await refund({ part: 2, amount: 3 })).statusCode, 409)
  t.equal((await refund()).statusCode, 200, 'what the others have left is 3, and it was 3')
  t.equal((await refund({ amount: 8 })).statusCode, 409)
  t.equal(await credits(), 20)
  t.match((await ada.get(`/api/jobs/${job_id}`)).json().job, { actual_cost: 8, refunded: 8, status: 'completed' })
  t.equal((await ada.complete(job_id, 8)).statusCode, 200, 'the job stays what it was')
})

t.test('only an ended job of the account that cost something is refunded', async (t) => {
  const { app, ada, job_id, person, refund } = await spent(t)
  const running = (await ada.reserve(2)).json().job_id
  t.match((await refund({}, running)).json(), { error: 'job_not_ended' })
  await ada.fail(running)
  t.match((await refund({}, running)).json(), { error: 'refund_exceeds_cost', refundable: 0 })
  const kept = (await ada.reserve(2)).json().job_id
  await ada.fail(kept, false)
  t.match((await refund({}, kept)).json(), { refunded: 2 })
  const stranger = await person()
  t.match((await refund({ account_id: stranger.id })).json(), { error: 'job_not_found' })
  t.match(
    (await refund({ account_id: job_id })).json(),
    { error: 'job_not_found' },
    'nor of an account that is not there',
  )
  t.match((await refund({}, stranger.id)).json(), { error: 'job_not_found' })
  for (const [field, value] of [
    ['amount', 0],
    ['amount', -1],
    ['part', 0],
    ['part', 101],
    ['reason', ''],
    ['account_id', 'x'],
  ] as const)
    t.match((await refund({ [field]: value })).json(), { error: 'invalid_request', field })
  const refused = await ada.post(`/api/admin/jobs/${job_id}/refund`, { account_id: ada.id, reason: 'mine' })
  t.match([refused.statusCode, refused.json().error], [403, 'not_an_administrator'])
  await closeAccount(app.db, app.ledger, ada.id, ada.clerkId)
  t.match((await refund()).json(), { error: 'account_closed' })
})

t.test('references of refunds are reserved', async (t) => {
  const { ada, job_id, operator } = await spent(t)
  for (const reference of [`refund:${job_id}`, 'refund:', 'stripe:pi_3Q', 'starter_grant:x']) {
    const wish = { clerk_id: ada.clerkId, amount: 1, kind: 'adjustment', reference, reason: 'by hand' }
    const reply = await operator.post('/api/admin/credits', wish)
    t.match([reply.statusCode, reply.json().field], [400, 'reference'], reference)
  }
})

t.test('concurrent refunds of the same part move credits once', async (t) => {
  const { refund, credits } = await spent(t)
  const replies = await Promise.all(Array.from({ length: 10 }, () => refund()))
  t.ok(replies.every(({ statusCode }) => statusCode === 200))
  t.equal(await credits(), 20)
  const parts = await spent(t)
  const racing = await Promise.all(Array.from({ length: 10 }, (_, n) => parts.refund({ part: n + 1, amount: 3 })))
  t.equal(racing.filter(({ statusCode }) => statusCode === 200).length, 2)
  t.equal(await parts.credits(), 18)
})

t.test('the history shows a refund with its job', async (t) => {
  const { app, ada, job_id, refund } = await spent(t)
  await refund({ amount: 5 })
  const { entries } = (await ada.get('/api/wallet/entries')).json()
  t.match(entries[0], { kind: 'adjustment', job_id: null, corrects_job_id: job_id })
  t.match(entries[1], { kind: 'job_reserve', job_id, corrects_job_id: null })
  const csv = (await ada.get('/api/wallet/entries', { accept: 'text/csv' })).body.split('\n')
  t.match(csv[0], /,reason,corrects_job_id,app,action$/)
  t.match(csv[1], new RegExp(`,the render was black,${job_id},clips,render$`))
  const see = async (url: string) => (await app.inject({ url, headers: { cookie: ada.cookie } })).body
  t.match(
    await see('/account/entries'),
    new RegExp(`<a href="/account/jobs/${job_id}">render</a></p>\\s+<p class="number gain">\\+5`),
  )
  const page = await see(`/account/jobs/${job_id}`)
  t.match(page, /8 credits, 5 of them refunded/)
  t.match(page, /<p class="what">Refund<\/p>\s+<p class="number gain">\+5<\/p>/)
  t.match((await ada.get('/api/jobs')).json().jobs[0], { id: job_id, refunded: 5 })
})
