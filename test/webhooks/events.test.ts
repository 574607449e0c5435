import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { startBackground } from '../../src/background/index.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { deliverDue, hooked } from '../support/receiver.ts'
import { type Person, start, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

const credit = (operator: Person, ada: Person, amount: number) =>
  operator.post('/api/admin/credits', {
    ...{ clerk_id: ada.clerkId, amount, kind: 'adjustment', reference: unique('ref'), reason: 'a test' },
    allow_negative: true,
  })

t.test('an app gets one signed message per event of its jobs', async (t) => {
  const { ada, app, db, reserve, received, secret, settle, types } = await hooked(t, undefined, { low_credits: 0 })
  const [done, failed, expired] = [await reserve(5), await reserve(5), await reserve(5)]
  await ada.complete(done, 3, { frames: 24 })
  await ada.complete(done, 3, { frames: 24 })
  await settle()
  await ada.fail(failed)
  await settle()
  await sql`update jobs set expires_at = now() where id = ${expired}`.execute(db)
  await sweepHolds(db, app.ledger)
  await settle()
  await ada.complete(expired, 1)
  await settle()
  t.strictSame(types(), ['job.completed', 'job.failed', 'job.failed', 'job.completed'])

  const [first, , third] = received
  if (!first || !third) throw new Error('not received')
  const message = new Webhook(secret).verify(first.body, first.headers as Record<string, string>)
  t.match(message, {
    type: 'job.completed',
    data: {
      account_id: ada.id,
      credits: 7,
      job: { id: done, status: 'completed', actual_cost: 3, metadata: { frames: 24 } },
    },
  })
  t.match(JSON.parse(third.body).data.job, { id: expired, failure_reason: 'expired' })
  t.throws(() => new Webhook(secret).verify(`${first.body} `, first.headers as Record<string, string>))
  t.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 4)
})

t.test(
  'account.low and account.recovered count held credits, so a hold that is placed and released sends none',
  async (t) => {
    const { ada, app, db, operator, received, reserve, settle, types } = await hooked(t, undefined, {
      events: ['account.low', 'account.recovered', 'account.negative'],
    })
    const heard = async () => {
      const before = types().length
      await settle()
      return types().slice(before)
    }
    const [job, other] = [await reserve(15), await reserve(1)]
    t.strictSame(await heard(), [], '20 owned, 4 of them to spend')
    await ada.fail(other)
    await sql`update jobs set expires_at = now() where id = ${await reserve(3)}`.execute(db)
    await sweepHolds(db, app.ledger)
    t.strictSame(await heard(), [], 'nor a release, nor an expiry')
    await ada.complete(job, 11)
    t.strictSame(await heard(), ['account.low'], '20 → 9')
    await ada.complete(await reserve(5), 5)
    t.strictSame(await heard(), [], '9 → 4 crosses nothing')
    await ada.complete(await reserve(4), 20)
    t.strictSame(await heard(), ['account.negative'], '4 → -16')
    await credit(operator, ada, 25)
    t.strictSame(await heard(), [], '-16 → 9')
    await credit(operator, ada, 1)
    t.strictSame(await heard(), ['account.recovered'], '9 → 10')
    await credit(operator, ada, -30)
    t.strictSame((await heard()).sort(), ['account.low', 'account.negative'], '10 → -20')
    const { seq } = await db.selectFrom('accounts').select('seq').where('id', '=', ada.id).executeTakeFirstOrThrow()
    t.strictSame(JSON.parse(received.at(-1)?.body ?? '').data, { account_id: ada.id, credits: -20, held: 0, seq })
  },
)

t.test('an app is told once per period that a budget is low or exceeded', async (t) => {
  const { ada, app, received, settle, slug, types } = await hooked(t, undefined, {
    events: ['budget.low', 'budget.exceeded'],
  })
  const limits = { budget: 10, period: 'day', apps: [slug] }
  const { id, token } = (await ada.postFromOurPage('/api/tokens', { name: 'Server', ...limits })).json()
  const reserve = async (cost_estimate: number) => {
    const payload = { app: slug, action: 'render', cost_estimate }
    const headers = { authorization: `Bearer ${token}` }
    return (await app.inject({ method: 'POST', url: '/api/jobs', payload, headers })).statusCode
  }
  t.strictSame([await reserve(7), await reserve(1), await reserve(1)], [200, 200, 200])
  t.strictSame([await reserve(2), await reserve(2)], [403, 403])
  await settle()
  t.strictSame(types().sort(), ['budget.exceeded', 'budget.low'])
  const low = received.find(({ body }) => JSON.parse(body).type === 'budget.low')
  t.match(JSON.parse(low?.body ?? '').data, {
    account_id: ada.id,
    budget: { id, amount: 10, spent: 8, period: 'day', resets_at: /T00:00:00\.000Z$/ },
  })
})

t.test('times in payloads are written as in the API', async (t) => {
  const { ada, received, reserve, settle } = await hooked(t, undefined, { events: ['job.completed'] })
  const { job } = (await ada.complete(await reserve(5), 3)).json()
  await settle()
  const { timestamp, data } = JSON.parse(received[0]?.body ?? '')
  t.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.strictSame(data.job, job)
  t.match(data, { credits: 17, held: 0, seq: 3 })
})

t.test('events of an account go to every app that it has used', async (t) => {
  const { ada, app, db, operator, reserve, settle, slug, types, url } = await hooked(t, undefined, {
    events: ['job.failed'],
  })
  const subscribe = async (name: string) => {
    const other = unique(name)
    await operator.put(`/api/admin/apps/${other}`, { starter_credits: 0 })
    const events = ['account.low', 'account.recovered']
    await operator.post(`/api/admin/apps/${other}/webhooks`, { url: `${url}?${name}`, events, low_credits: 10 })
    return other
  }
  const [seen, used, stranger] = [await subscribe('seen'), await subscribe('used'), await subscribe('stranger')]
  await ada.get(`/api/wallet?app=${seen}`)
  await ada.post('/api/jobs', { app: used, action: 'a', cost_estimate: 0 })
  const told = async () => {
    const rows = await db
      .selectFrom('webhook_messages')
      .innerJoin('webhook_endpoints', 'webhook_endpoints.id', 'webhook_messages.endpoint_id')
      .select(['app_slug', 'event'])
      .where('account_id', '=', ada.id)
      .execute()
    await settle()
    return rows.map(({ app_slug, event }) => `${app_slug} ${event}`).sort()
  }
  await ada.complete(await reserve(15), 15)
  t.strictSame(await told(), [seen, used].map((name) => `${name} account.low`).sort(), 'also of a job at another app')
  await credit(operator, ada, 15)
  t.strictSame(await told(), [seen, used].map((name) => `${name} account.recovered`).sort())
  await ada.complete(await reserve(15), 15)
  await told()
  await operator.put(`/api/admin/apps/${stranger}`, { starter_credits: 9 })
  await ada.get(`/api/wallet?app=${stranger}`)
  t.strictSame(
    await told(),
    [seen, used, stranger].map((name) => `${name} account.recovered`).sort(),
    'starter credits count',
  )
  t.ok(types().length >= 7)
  t.ok(slug && app)
})

t.test('account.low and account.recovered require low_credits', async (t) => {
  const { app, endpoint, operator, slug, url } = await hooked(t, undefined, {
    events: ['job.failed'],
    low_credits: undefined,
  })
  const path = `/api/admin/apps/${slug}/webhooks`
  const change = (body: object) =>
    app.inject({
      method: 'PATCH',
      url: `/api/admin/webhooks/${endpoint.id}`,
      headers: { authorization: operator.authorization },
      payload: body,
    })
  for (const event of ['account.low', 'account.recovered']) {
    for (const refused of [await operator.post(path, { url, events: [event] }), await change({ events: [event] })])
      t.match([refused.statusCode, refused.json().field], [400, 'low_credits'], event)
    t.equal((await operator.post(path, { url, events: [event], low_credits: 0 })).statusCode, 200)
  }
  t.equal((await change({ events: ['account.low'], low_credits: 5 })).statusCode, 200)
  t.match((await change({ events: ['account.low', 'account.recovered'] })).json(), { endpoint: { low_credits: 5 } })
})

t.test('no message is written without a subscriber, or when nothing moves', async (t) => {
  const { ada, messages, operator, reserve } = await hooked(t, undefined, { events: ['job.failed'] })
  await ada.complete(await reserve(5), 5)
  await ada.complete((await ada.reserve(5)).json().job_id, 5)
  const failed = await reserve(1)
  t.equal((await ada.complete(failed, -1)).statusCode, 400)
  t.strictSame(await messages(), [])
  const gone = await operator.post('/api/admin/webhooks/replay', { endpoint_id: failed })
  t.match([gone.statusCode, gone.json().error], [404, 'endpoint_not_found'])
})

t.test('after a process dies, another delivers its message', async (t) => {
  const { ada, db, messages, received, reserve, settle } = await hooked(t, undefined, { events: ['job.completed'] })
  await ada.complete(await reserve(5), 5)
  // The state after a dispatcher crashed.
  await sql`update webhook_messages set attempts = 7, next_attempt_at = now() - interval '1 second'
    where account_id = ${ada.id}`.execute(db)
  await settle()
  t.equal(received.length, 1)
  t.strictSame(await messages(), [])
})

t.test('concurrent dispatchers deliver a message once', async (t) => {
  const { ada, db, received, reserve, settle } = await hooked(t, undefined, { events: ['job.completed'] })
  const jobs = await Promise.all(Array.from({ length: 20 }, () => reserve(1)))
  await Promise.all(jobs.map((job) => ada.complete(job, 1)))
  await Promise.all(Array.from({ length: 4 }, () => deliverDue(db)))
  await settle()
  t.equal(received.length, 20)
})

t.test('only an administrator manages endpoints, and the secret is shown once', async (t) => {
  const { ada, endpoint, operator, secret, slug, url } = await hooked(t)
  t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.match(endpoint, { app_slug: slug, url, low_credits: 10 })
  const listed = await operator.get(`/api/admin/apps/${slug}/webhooks`)
  t.strictSame(listed.json(), { endpoints: [endpoint], next_cursor: null })
  t.notMatch(listed.body, secret)

  const path = `/api/admin/apps/${slug}/webhooks`
  for (const answer of [
    await ada.post(path, { url, events: ['job.failed'] }),
    await ada.get(path),
    await ada.get('/api/admin/webhooks/dead'),
    await ada.post('/api/admin/webhooks/replay', { endpoint_id: endpoint.id }),
  ]) {
    t.match([answer.statusCode, answer.json().error], [403, 'not_an_administrator'])
  }
  for (const [field, body] of [
    ['url', { url: 'ftp://example.com', events: ['job.failed'] }],
    ['url', { url: 'https://user:pass@example.com', events: ['job.failed'] }],
    ['url', { url: 'hooks', events: ['job.failed'] }],
    ['events', { url, events: [] }],
    ['events.0', { url, events: ['job.started'] }],
  ] as const) {
    const refused = await operator.post(path, body)
    t.match([refused.statusCode, refused.json().field], [400, field])
  }
  const unknown = await operator.post('/api/admin/apps/nobody-has-this/webhooks', { url, events: ['job.failed'] })
  t.match([unknown.statusCode, unknown.json().error], [404, 'app_not_found'])
  t.equal((await operator.get('/api/admin/apps/nobody-has-this/webhooks')).statusCode, 404)
})

t.test('an endpoint that is removed receives nothing more', async (t) => {
  const { app, ada, db, endpoint, messages, operator, received, reserve } = await hooked(t, undefined, {
    events: ['job.completed'],
  })
  const { authorization } = operator
  const remove = () =>
    app.inject({ method: 'DELETE', url: `/api/admin/webhooks/${endpoint.id}`, headers: { authorization } })
  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload, next_attempt_at)
    select ${ada.id}, ${endpoint.id}, 'job.completed', '{}', now() + interval '1 hour' from generate_series(1, 1200)`.execute(
    db,
  )
  t.equal((await remove()).statusCode, 204)
  t.equal((await remove()).statusCode, 404)
  t.strictSame(await messages(), [])
  await ada.complete(await reserve(5), 5)
  t.strictSame(await messages(), [])
  t.equal(received.length, 0)
})

t.test('an endpoint registered at one instance is known to the others within seconds', async (t) => {
  const { ada, slug, received } = await hooked(t, undefined, { events: ['job.completed'] })
  const other = await start(t)
  t.teardown(startBackground(other.app))
  await until(async () => {
    const headers = { authorization: ada.authorization }
    const post = (url: string, payload: object) => other.app.inject({ method: 'POST', url, headers, payload })
    const { job_id } = (await post('/api/jobs', { app: slug, action: 'render', cost_estimate: 0 })).json()
    await post('/api/jobs/complete', { job_id, actual_cost: 0 })
    return received.length > 0
  })
  t.ok(received.length > 0)
})
