import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { deliverWebhooks } from '../../src/background/deliver-webhooks.ts'
import { startBackground } from '../../src/background/index.ts'
import { sweepHolds } from '../../src/background/sweep-holds.ts'
import { deliver, isPublic } from '../../src/webhooks/delivery.ts'
import { type Person, personWith, start, unique } from '../support/start.ts'
import { until } from '../support/until.ts'

interface Received {
  headers: IncomingHttpHeaders
  body: string
}

/** Somebody's server: it keeps what it receives, and answers as it is told. */
async function receiver(t: Test, status: () => number = () => 204) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ headers: request.headers, body })
    response.writeHead(status(), { location: '/elsewhere' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks` }
}

/** An app that listens to everything, and somebody with 20 credits. */
async function setUp(t: Test, status?: () => number, endpoint: object = {}) {
  const { app, db, admin } = await start(t)
  const operator = await admin()
  const slug = unique('hooked')
  await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 0 })
  const { received, url } = await receiver(t, status)
  const events = ['job.completed', 'job.failed', 'account.negative', 'account.low']
  const made = await operator.post(`/api/admin/apps/${slug}/webhooks`, { url, events, low_credits: 10, ...endpoint })
  const { secret, endpoint: registered } = made.json()
  const ada = await personWith(app, 20)
  const reserve = async (cost_estimate: number): Promise<string> =>
    (await ada.post('/api/jobs', { app: slug, action: 'render', cost_estimate })).json().job_id
  const types = () => received.map(({ body }) => JSON.parse(body).type)
  const messages = () =>
    db.selectFrom('webhook_messages').selectAll().where('account_id', '=', ada.id).orderBy('created_at').execute()
  /** Delivers, or waits until the service's own dispatcher has done so */
  const settle = async () => {
    await until(async () => {
      await deliverWebhooks(db, { publicOnly: false })
      return (await messages()).length === 0
    })
  }
  return { app, db, operator, slug, received, secret, endpoint: registered, ada, reserve, types, messages, settle, url }
}

const credit = (operator: Person, ada: Person, amount: number) =>
  operator.post('/api/admin/credits', {
    ...{ clerk_id: ada.clerkId, amount, kind: 'adjustment', reference: unique('ref'), reason: 'a test' },
    allow_negative: true,
  })

t.test('an app hears of its jobs, signed, once per event', async (t) => {
  const { ada, app, db, reserve, received, secret, settle, types } = await setUp(t, undefined, { low_credits: 0 })
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
    timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$/,
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

t.test('account.low and account.negative are said when the credits cross the line, by whatever they do', async (t) => {
  const { ada, operator, reserve, settle, types } = await setUp(t, undefined, {
    events: ['account.low', 'account.negative'],
  })
  const job = await reserve(11)
  await settle()
  t.strictSame(types(), ['account.low'], '20 → 9')
  await reserve(1)
  await settle()
  t.equal(types().length, 1, '9 → 8 crosses nothing')
  await ada.complete(job, 40)
  await settle()
  t.strictSame(types(), ['account.low', 'account.negative'], '8 → -21')
  await credit(operator, ada, 100)
  await settle()
  t.equal(types().length, 2)
})

t.test('an adjustment tells the apps that the account has used', async (t) => {
  const { ada, operator, slug, settle, types } = await setUp(t)
  await credit(operator, ada, -15)
  await settle()
  t.strictSame(types(), [], 'it has used none')
  await ada.get(`/api/wallet?app=${slug}`)
  await credit(operator, ada, 15)
  await credit(operator, ada, -30)
  await settle()
  t.strictSame(types().sort(), ['account.low', 'account.negative'])
})

t.test('nothing is written where nobody listens, nor for what moves nothing', async (t) => {
  const { ada, messages, operator, reserve } = await setUp(t, undefined, { events: ['job.failed'] })
  await ada.complete(await reserve(5), 5)
  await ada.complete((await ada.reserve(5)).json().job_id, 5)
  const failed = await reserve(1)
  t.equal((await ada.complete(failed, -1)).statusCode, 400)
  t.strictSame(await messages(), [])
  const gone = await operator.post('/api/admin/webhooks/replay', { endpoint_id: failed })
  t.match([gone.statusCode, gone.json().error], [404, 'endpoint_not_found'])
})

t.test(
  'what is not taken is tried again, later and later, under the same id, and is dead after three days',
  async (t) => {
    let status = 500
    const { ada, db, endpoint, messages, operator, received, reserve, settle } = await setUp(t, () => status, {
      events: ['job.completed'],
    })
    const attempt = async (n: number) => {
      await sql`update webhook_messages set next_attempt_at = now() where account_id = ${ada.id}`.execute(db)
      await until(async () => {
        await deliverWebhooks(db, { publicOnly: false })
        return ((await messages())[0]?.attempts ?? 0) >= n
      })
      await until(async () => Boolean((await messages())[0]?.last_error))
    }
    await ada.complete(await reserve(5), 5)
    await attempt(1)
    const delays: number[] = []
    for (let n = 2; n <= 9; n++) {
      await attempt(n)
      let seconds = 0
      await until(async () => {
        const [message] = await messages()
        seconds = Math.round((Number(message?.next_attempt_at) - Date.now()) / 1000)
        // The lease of an attempt that is under way is 60 s.
        return received.length >= n && ![59, 60].includes(seconds)
      })
      delays.push(seconds)
    }
    for (const [n, expected] of [20, 80, 320, 1280, 5120, 20480, 21600, 21600].entries()) {
      t.ok(Math.abs((delays[n] ?? 0) - expected) <= 3, `attempt ${n + 2}: again after ${delays[n]} s`)
    }
    t.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 1)
    t.match((await messages())[0], { status: 'pending', last_error: 'Answered 500.' })

    await sql`update webhook_messages set give_up_at = now() where account_id = ${ada.id}`.execute(db)
    await attempt(10)
    await until(async () => (await messages())[0]?.status === 'dead')
    const listed = (await operator.get(`/api/admin/webhooks/dead?endpoint_id=${endpoint.id}`)).json().messages
    t.match(listed, [{ event: 'job.completed', account_id: ada.id, attempts: 10, last_error: 'Answered 500.' }])
    t.equal(listed.length, 1)
    const count = received.length
    await sql`update webhook_messages set next_attempt_at = now() where account_id = ${ada.id}`.execute(db)
    t.equal(await deliverWebhooks(db, { publicOnly: false }), 0)
    t.equal(received.length, count, 'a dead message is not tried again')

    status = 200
    const replayed = await operator.post('/api/admin/webhooks/replay', {
      endpoint_id: endpoint.id,
      message_id: listed[0].id,
    })
    t.strictSame(replayed.json(), { replayed: 1 })
    await settle()
    t.strictSame(await messages(), [])
    t.equal(received.at(-1)?.headers['webhook-id'], listed[0].id)
  },
)

t.test('a redirect is not followed', async (t) => {
  const { received, url } = await receiver(t, () => 302)
  await t.rejects(deliver({ url, secret: 'whsec_c2VjcmV0', id: 'x', payload: {} }, false), {
    message: 'Answered 302, a redirect.',
  })
  t.equal(received.length, 1)
})

t.test('a message whose process died is delivered by the next', async (t) => {
  const { ada, db, messages, received, reserve, settle } = await setUp(t, undefined, { events: ['job.completed'] })
  await ada.complete(await reserve(5), 5)
  // The state after a dispatcher crashed.
  await sql`update webhook_messages set attempts = 7, next_attempt_at = now() - interval '1 second'
    where account_id = ${ada.id}`.execute(db)
  await settle()
  t.equal(received.length, 1)
  t.strictSame(await messages(), [])
})

t.test('concurrent dispatchers deliver a message once', async (t) => {
  const { ada, db, received, reserve, settle } = await setUp(t, undefined, { events: ['job.completed'] })
  const jobs = await Promise.all(Array.from({ length: 20 }, () => reserve(1)))
  await Promise.all(jobs.map((job) => ada.complete(job, 1)))
  await Promise.all(Array.from({ length: 4 }, () => deliverWebhooks(db, { publicOnly: false })))
  await settle()
  t.equal(received.length, 20)
})

t.test('in production only https to public addresses is connected to', async (t) => {
  const { received, url } = await receiver(t)
  const { port } = new URL(url)
  const post = (to: string) => deliver({ url: to, secret: 'whsec_c2VjcmV0', id: 'x', payload: {} }, true)
  await t.rejects(post(url), { message: 'The URL is not https.' })
  for (const host of [
    '127.0.0.1',
    '[::1]',
    '10.0.0.1',
    '169.254.169.254',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '2130706433',
    '0x7f.1',
  ]) {
    await t.rejects(post(`https://${host}:${port}/`), { message: /^The address .* is not a public one\.$/ }, host)
  }
  // The connection's own lookup is checked, which prevents DNS rebinding.
  await t.rejects(post(`https://localhost:${port}/`), {
    message: /^The address (127\.0\.0\.1|::1) is not a public one\.$/,
  })
  t.equal(received.length, 0)
})

t.test('public is what the internet routes', async (t) => {
  for (const address of ['93.184.215.14', '8.8.8.8', '2606:4700::1111']) t.ok(isPublic(address), address)
  const special = [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
  ]
  special.push(
    '255.255.255.255',
    '192.0.2.1',
    '198.18.0.1',
    '::',
    '::1',
    'fe80::1',
    'fc00::1',
    'ff02::1',
    '::ffff:10.0.0.1',
  )
  special.push('64:ff9b::7f00:1', '2002:7f00:1::', '2001:db8::1', 'fe80::1%eth0', 'nonsense')
  for (const address of special) t.notOk(isPublic(address), address)
})

t.test('only an administrator arranges endpoints, and the secret is shown once', async (t) => {
  const { ada, endpoint, operator, secret, slug, url } = await setUp(t)
  t.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.match(endpoint, { app_slug: slug, url, low_credits: 10 })
  const listed = await operator.get(`/api/admin/apps/${slug}/webhooks`)
  t.strictSame(listed.json(), { endpoints: [endpoint] })
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
  const { app, ada, db, endpoint, messages, operator, received, reserve } = await setUp(t, undefined, {
    events: ['job.completed'],
  })
  const { authorization } = operator
  const remove = () =>
    app.inject({ method: 'DELETE', url: `/api/admin/webhooks/${endpoint.id}`, headers: { authorization } })
  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload, next_attempt_at)
    values (${ada.id}, ${endpoint.id}, 'job.completed', '{}', now() + interval '1 hour')`.execute(db)
  t.equal((await remove()).statusCode, 204)
  t.equal((await remove()).statusCode, 404)
  t.strictSame(await messages(), [])
  await ada.complete(await reserve(5), 5)
  t.strictSame(await messages(), [])
  // Written by a statement that began before the removal.
  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload)
    values (${ada.id}, ${endpoint.id}, 'job.completed', '{}')`.execute(db)
  await until(async () => {
    await deliverWebhooks(db, { publicOnly: false })
    return (await messages()).length === 0
  })
  t.strictSame(await messages(), [])
  t.equal(received.length, 0)
})

t.test('an endpoint registered at one instance is heard by the others within seconds', async (t) => {
  const { ada, slug, received } = await setUp(t, undefined, { events: ['job.completed'] })
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
