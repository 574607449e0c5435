import { sql } from 'kysely'
import t from 'tap'
import { createDispatcher } from '../../src/webhooks/dispatcher.ts'
import { deliverDue, hooked, status } from '../support/receiver.ts'

t.test(
  'a failed message is sent again at growing intervals under the same id, and is dead after three days',
  async (t) => {
    let code = 500
    const { ada, db, endpoint, messages, operator, received, reserve, settle } = await hooked(
      t,
      status(() => code),
      { events: ['job.completed'] },
    )
    const attempt = async () => {
      await sql`update webhook_messages set next_attempt_at = now() where account_id = ${ada.id}`.execute(db)
      await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint.id}`.execute(db)
      await deliverDue(db)
      const [message] = await messages()
      return Math.round((Number(message?.next_attempt_at) - Date.now()) / 1000)
    }
    await ada.complete(await reserve(5), 5)
    for (const [n, expected] of [5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600].entries()) {
      const seconds = await attempt()
      t.ok(Math.abs(seconds - expected) <= 3, `attempt ${n + 1}: again after ${seconds} s`)
    }
    t.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 1)
    t.match((await messages())[0], { status: 'pending', last_error: 'Answered 500.' })

    await sql`update webhook_messages set give_up_at = now() where account_id = ${ada.id}`.execute(db)
    await attempt()
    const listed = (await operator.get(`/api/admin/webhooks/dead?endpoint_id=${endpoint.id}`)).json().messages
    t.match(listed, [{ event: 'job.completed', account_id: ada.id, attempts: 10, last_error: 'Answered 500.' }])
    t.equal(listed.length, 1)
    t.equal((await messages())[0]?.status, 'dead')
    const count = received.length
    await attempt()
    t.equal(received.length, count, 'a dead one is not tried')

    code = 200
    const replayed = await operator.post('/api/admin/webhooks/replay', {
      endpoint_id: endpoint.id,
      message_id: listed[0].id,
    })
    t.match(replayed.json(), { replayed: 1 })
    await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint.id}`.execute(db)
    await settle()
    t.equal(received.at(-1)?.headers['webhook-id'], listed[0].id)
  },
)

t.test('a delivery that is aborted by a shutdown does not count as a failure, and is due again', async (t) => {
  const begun = Promise.withResolvers<void>()
  let answers = false
  const { db, endJobs, messages, operator, path, received, settle } = await hooked(t, (response) => {
    begun.resolve()
    if (answers) response.writeHead(204).end()
  })
  await endJobs(1)
  const dispatcher = createDispatcher({ db, publicOnly: false })
  await dispatcher.look()
  await begun.promise
  await dispatcher.stop()
  t.match(await messages(), [{ attempts: 0, status: 'pending', last_error: null }])
  t.match((await operator.get(path)).json().endpoint, { failures: 0, failing_since: null })
  t.strictSame((await operator.get(`${path}/deliveries`)).json().deliveries, [])
  answers = true
  await settle()
  t.equal(received.length, 2)
})

t.test('Retry-After applies to all messages of the endpoint', async (t) => {
  let code = 503
  const { db, endpoint, endJobs, messages, operator, path, received } = await hooked(t, (response) =>
    response.writeHead(code, { 'retry-after': '600' }).end(),
  )
  await endJobs(1)
  await deliverDue(db)
  t.equal(received.length, 1)
  const wait = (time: unknown) => (new Date(String(time)).getTime() - Date.now()) / 1000
  const { retry_at } = (await operator.get(path)).json().endpoint
  t.ok(Math.abs(wait(retry_at) - 600) < 5, `the endpoint is tried again after ${wait(retry_at)} s`)
  const [first] = await messages()
  t.ok(Math.abs(wait(first?.next_attempt_at) - 600) < 5, 'and the message waits as long')
  await endJobs(2)
  await deliverDue(db)
  t.equal(received.length, 1)
  await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint.id}`.execute(db)
  code = 204
  await deliverDue(db)
  t.equal(received.length, 3)
})

t.test('410 pauses the endpoint; resumed, it gets the message again', async (t) => {
  let code = 410
  const { app, db, endJobs, messages, operator, path, received, settle } = await hooked(
    t,
    status(() => code),
  )
  await endJobs(2)
  await deliverDue(db)
  const count = received.length
  t.match((await operator.get(path)).json().endpoint, {
    paused: true,
    pause_reason: 'gone',
    last_error: 'Answered 410.',
  })
  t.equal((await messages()).length, 2)
  await sql`update webhook_delivery_state set retry_at = '-infinity'`.execute(db)
  await sql`update webhook_messages set next_attempt_at = now() where status = 'pending'`.execute(db)
  await deliverDue(db)
  t.equal(received.length, count)

  code = 204
  const { authorization } = operator
  await app.inject({ method: 'PATCH', url: path, payload: { paused: false }, headers: { authorization } })
  await settle()
  t.equal(received.length, count + 2)
})
