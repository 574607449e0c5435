import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { startClerk } from '../support/clerk-stand-in.ts'
import { startNameServer } from '../support/name-server.ts'
import { deliverDue, hooked, status } from '../support/receiver.ts'
import { type App, type Person, startOwn, unique } from '../support/start.ts'

const NOBODY = '0195a1f0-6b1c-7c3e-9d5a-3f2b8c7d6e5f'

const patch = (app: App, { authorization }: Person, url: string, payload: object) =>
  app.inject({ method: 'PATCH', url, payload, headers: { authorization } })

/** As if the waits of an endpoint and its messages were over. */
async function atOnce(db: App['db'], endpoint_id: string): Promise<void> {
  await sql`update webhook_messages set next_attempt_at = now() where endpoint_id = ${endpoint_id}`.execute(db)
  await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint_id}`.execute(db)
}

t.test('an endpoint is shown and changed; absent fields stay', async (t) => {
  const { app, operator, endpoint, path, settle, endJobs, types, ada } = await hooked(t)
  t.strictSame((await operator.get(path)).json(), { endpoint })
  t.match(endpoint, { paused: false, pause_reason: null, failures: 0, failing_since: null, retry_at: null })
  const low = await patch(app, operator, path, { low_credits: 7 })
  t.equal(low.statusCode, 200)
  t.strictSame(low.json(), { endpoint: { ...endpoint, low_credits: 7 } })
  const changes = { url: 'http://127.0.0.1:9/elsewhere', events: ['job.failed', 'job.failed'] }
  t.strictSame((await patch(app, operator, path, changes)).json().endpoint, {
    ...endpoint,
    low_credits: 7,
    url: changes.url,
    events: ['job.failed'],
  })
  await endJobs(1)
  await settle()
  t.strictSame(types(), [], 'events that it does not subscribe to any more are not written')

  for (const [field, body] of [
    ['url', { url: 'ftp://example.com' }],
    ['events', { events: [] }],
    ['events.0', { events: ['job.started'] }],
    ['low_credits', { low_credits: -1 }],
    ['paused', { paused: 'yes' }],
  ] as const) {
    const refused = await patch(app, operator, path, body)
    t.match([refused.statusCode, refused.json().field], [400, field])
  }
  for (const refused of [
    await patch(app, operator, `/api/admin/webhooks/${NOBODY}`, { paused: true }),
    await operator.get(`/api/admin/webhooks/${NOBODY}`),
    await operator.post(`/api/admin/webhooks/${NOBODY}/rotate`, {}),
    await operator.post(`/api/admin/webhooks/${NOBODY}/test`, {}),
    await operator.get(`/api/admin/webhooks/${NOBODY}/deliveries`),
    await operator.post('/api/admin/webhooks/dismiss', { endpoint_id: NOBODY }),
    await operator.post('/api/admin/webhooks/replay', { endpoint_id: NOBODY }),
  ]) {
    t.match([refused.statusCode, refused.json().error], [404, 'endpoint_not_found'])
  }
  for (const refused of [
    await patch(app, ada, path, { paused: true }),
    await ada.get(path),
    await ada.post(`${path}/rotate`, {}),
    await ada.post(`${path}/test`, {}),
    await ada.get(`${path}/deliveries`),
    await ada.post('/api/admin/webhooks/dismiss', { endpoint_id: endpoint.id }),
  ]) {
    t.match([refused.statusCode, refused.json().error], [403, 'not_an_administrator'])
  }
})

t.test('while an endpoint is paused its messages wait; resumed, they arrive', async (t) => {
  const { app, db, operator, path, endJobs, received, messages, settle } = await hooked(t)
  const paused = (await patch(app, operator, path, { paused: true })).json().endpoint
  t.match(paused, { paused: true, pause_reason: 'operator' })
  await endJobs(3)
  await deliverDue(db)
  t.equal(received.length, 0)
  t.equal((await messages()).length, 3)
  t.match((await patch(app, operator, path, { paused: false })).json().endpoint, { paused: false, pause_reason: null })
  await settle()
  t.equal(received.length, 3)
})

t.test('a test message is sent once, also while the endpoint is paused or waits for its next try', async (t) => {
  let code = 500
  const { app, db, operator, endpoint, path, endJobs, received, types, secret } = await hooked(
    t,
    status(() => code),
  )
  await patch(app, operator, path, { paused: true })
  const asked = await operator.post(`${path}/test`, {})
  t.equal(asked.statusCode, 202)
  const { message_id } = asked.json()
  await deliverDue(db)
  await deliverDue(db)
  const [first] = received
  t.match(new Webhook(secret).verify(first?.body ?? '', first?.headers as Record<string, string>), {
    type: 'test',
    timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    data: { endpoint_id: endpoint.id },
  })
  t.strictSame(types(), ['test'], 'failed, and not tried again')
  t.match((await operator.get(`${path}/deliveries`)).json().deliveries, [
    { message_id, event: 'test', attempt: 1, status: 500, error: 'Answered 500.', next_attempt_at: null },
  ])
  t.equal((await operator.get(`/api/admin/webhooks/dead?endpoint_id=${endpoint.id}`)).json().messages.length, 0)

  await patch(app, operator, path, { paused: false })
  await endJobs(1)
  await deliverDue(db)
  await atOnce(db, endpoint.id)
  await deliverDue(db)
  code = 204
  await deliverDue(db)
  t.strictSame(types(), ['test', 'job.completed', 'job.completed'], 'it waits for its next try now')
  await operator.post(`${path}/test`, {})
  await deliverDue(db)
  t.equal(types().at(-1), 'test')
  t.match((await operator.get(path)).json().endpoint, { failures: 0, failing_since: null, retry_at: null })
})

t.test('after a rotation both secrets sign for 24 hours, then the new one alone', async (t) => {
  let code = 500
  const { db, operator, endpoint, path, secret, endJobs, received } = await hooked(
    t,
    status(() => code),
  )
  await endJobs(1)
  await deliverDue(db)
  const rotated = await operator.post(`${path}/rotate`, {})
  t.match([rotated.statusCode, rotated.headers['cache-control']], [200, 'no-store'])
  const next: string = rotated.json().secret
  t.match(next, /^whsec_[A-Za-z0-9+/]{43}=$/)
  t.not(next, secret)
  const until = (await operator.get(path)).json().endpoint.previous_secret_until
  t.ok(Math.abs(Date.parse(until) - Date.now() - 86_400_000) < 60_000, until)

  await atOnce(db, endpoint.id)
  await deliverDue(db)
  await sql`update webhook_endpoints set previous_secret_until = now() where id = ${endpoint.id}`.execute(db)
  await atOnce(db, endpoint.id)
  code = 204
  await deliverDue(db)
  const isSignedBy = (key: string) =>
    received.map(({ headers, body }) => {
      try {
        return Boolean(new Webhook(key).verify(body, headers as Record<string, string>))
      } catch {
        return false
      }
    })
  t.strictSame(isSignedBy(secret), [true, true, false])
  t.strictSame(isSignedBy(next), [false, true, true])
  t.match(received[1]?.headers['webhook-signature'], /^v1,[A-Za-z0-9+/=]{44} v1,[A-Za-z0-9+/=]{44}$/)
  t.equal((await operator.get(path)).json().endpoint.previous_secret_until, null)
})

t.test('every attempt is listed, newest first, page by page', async (t) => {
  let code = 500
  const { db, operator, endpoint, path, endJobs, received, ada } = await hooked(t, async (response) => {
    response.writeHead(code).end(`The receiver's database is locked: ${'x'.repeat(500)}`)
  })
  await endJobs(1)
  await deliverDue(db)
  await atOnce(db, endpoint.id)
  code = 200
  await deliverDue(db)
  const { deliveries, next_cursor } = (await operator.get(`${path}/deliveries`)).json()
  t.equal(next_cursor, null)
  const message_id = received[0]?.headers['webhook-id']
  const shared = { message_id, account_id: ada.id, event: 'job.completed', ms: Number, attempted_at: String }
  t.match(deliveries, [
    { ...shared, attempt: 2, status: 200, error: null, next_attempt_at: null },
    { ...shared, attempt: 1, status: 500, error: 'Answered 500.', next_attempt_at: String },
  ])
  t.equal(deliveries.length, 2)
  t.equal(deliveries[1].answer, `The receiver's database is locked: ${'x'.repeat(500)}`.slice(0, 200))
  const wait = Date.parse(deliveries[1].next_attempt_at) - Date.parse(deliveries[1].attempted_at)
  t.ok(Math.abs(wait - 5_000) < 1_000, `again after ${wait} ms`)

  const page = (await operator.get(`${path}/deliveries?limit=1`)).json()
  t.match(page, { deliveries: [{ attempt: 2 }], next_cursor: deliveries[0].id })
  const last = (await operator.get(`${path}/deliveries?limit=1&cursor=${page.next_cursor}`)).json()
  t.strictSame(last, { deliveries: [deliveries[1]], next_cursor: null })
})

t.test('dead messages are replayed or dismissed, one or all', async (t) => {
  const { db, operator, endpoint, ada, received, messages, settle, types } = await hooked(t)
  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload, status, attempts, give_up_at)
    select ${ada.id}, ${endpoint.id}, 'job.failed', '{"type":"job.failed"}', 'dead', 18, now()
    from generate_series(1, 1201)`.execute(db)
  const dead = async () =>
    (await operator.get(`/api/admin/webhooks/dead?endpoint_id=${endpoint.id}&limit=200`)).json().messages
  const [first, second] = await dead()
  const endpoint_id = endpoint.id
  const replay = (body: object) => operator.post('/api/admin/webhooks/replay', { endpoint_id, ...body })
  const dismiss = (body: object) => operator.post('/api/admin/webhooks/dismiss', { endpoint_id, ...body })

  t.strictSame((await replay({ message_id: first.id })).json(), { replayed: 1, more: false })
  await deliverDue(db)
  t.strictSame(
    received.map(({ headers }) => headers['webhook-id']),
    [first.id],
  )
  t.strictSame((await dismiss({ message_id: second.id })).json(), { dismissed: 1, more: false })
  t.notOk((await messages()).some(({ id }) => id === second.id))
  t.strictSame((await dismiss({ message_id: second.id })).json(), { dismissed: 0, more: false })
  t.strictSame((await dismiss({})).json(), { dismissed: 1199, more: false })
  t.strictSame(await messages(), [])

  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload, status, attempts, give_up_at)
    select ${ada.id}, ${endpoint.id}, 'job.failed', '{"type":"job.failed"}', 'dead', 18, now()
    from generate_series(1, 600)`.execute(db)
  t.strictSame((await replay({})).json(), { replayed: 600, more: false })
  t.ok((await messages()).every(({ status, attempts }) => status === 'pending' && attempts === 0))
  await settle()
  t.equal(types().length, 601)
})

t.test('in production an address that is not public is refused when it is set', async (t) => {
  await startNameServer(t, (name, type) => {
    if (name === 'silent.example') return null
    const address = { 'public.example': '93.184.215.14', 'internal.example': '10.0.0.1' }[name]
    return address && type === 'A' ? [address] : undefined
  })
  const clerk = await startClerk(t)
  const boss = clerk.signIn()
  const { app } = await startOwn(t, {
    ...clerk.env,
    CLERK_JWT_KEY: clerk.jwtKey,
    NODE_ENV: 'production',
    TOKEN_SECRET: 'x'.repeat(32),
    ADMIN_CLERK_IDS: boss.sub,
  })
  const slug = unique('hooked')
  const headers = { authorization: `Bearer ${await clerk.token(boss)}` }
  await app.inject({ method: 'PUT', url: `/api/admin/apps/${slug}`, payload: { starter_credits: 0 }, headers })
  const register = (url: string) =>
    app.inject({
      method: 'POST',
      url: `/api/admin/apps/${slug}/webhooks`,
      payload: { url, events: ['job.failed'] },
      headers,
    })
  const internal = ['10.0.0.1', '[::1]', '[fd00::1]', '169.254.169.254', '0x7f.1', 'localhost', 'internal.example']
  for (const host of internal) {
    const refused = await register(`https://${host}/hooks`)
    t.match([refused.statusCode, refused.json().field, refused.json().message], [400, 'url', /public address/], host)
  }
  t.match((await register('http://public.example/')).json(), { field: 'url', message: /https/ })
  const { endpoint } = (await register('https://public.example/hooks')).json()
  t.equal(endpoint.url, 'https://public.example/hooks')
  for (const host of ['not-there-yet.example', 'silent.example']) {
    t.equal(
      (await register(`https://${host}/`)).statusCode,
      200,
      `${host}: it is looked up again when it is connected to`,
    )
  }
  const url = `/api/admin/webhooks/${endpoint.id}`
  const changed = await app.inject({ method: 'PATCH', url, payload: { url: 'https://internal.example/' }, headers })
  t.match([changed.statusCode, changed.json().field], [400, 'url'])
})
