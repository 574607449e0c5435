import { sql } from 'kysely'
import t from 'tap'
import { DEAD_LETTER_READS } from '../../src/webhooks/dead-letters.ts'
import { dueMessages, dueTests } from '../../src/webhooks/queue.ts'
import { cleanUpWebhooks, RETENTION_READS } from '../../src/webhooks/retention.ts'
import { planWithoutScans } from '../support/plan.ts'
import { deliverDue, hooked, status } from '../support/receiver.ts'

t.test('messages are dead after three days, tried or not, and deleted after 30 more days', async (t) => {
  const { db, ada, endpoint, endJobs, messages, operator, path, app, received } = await hooked(
    t,
    status(() => 500),
  )
  const { authorization } = operator
  await app.inject({ method: 'PATCH', url: path, payload: { paused: true }, headers: { authorization } })
  await endJobs(3)
  await cleanUpWebhooks(db)
  t.strictSame(
    (await messages()).map(({ status }) => status),
    ['pending', 'pending', 'pending'],
  )
  // One is under way: it was claimed.
  await sql`update webhook_messages set give_up_at = now() - interval '1 second' where account_id = ${ada.id}`.execute(
    db,
  )
  const [claimed] = await messages()
  await sql`update webhook_messages set next_attempt_at = now() + interval '1 minute'
    where account_id = ${ada.id} and id = ${claimed?.id ?? ''}`.execute(db)
  await cleanUpWebhooks(db)
  const after = await messages()
  t.strictSame(after.map(({ status }) => status).sort(), ['dead', 'dead', 'pending'])
  t.match(
    after.find(({ status }) => status === 'dead'),
    { attempts: 0, last_error: 'Not tried: the endpoint was paused or failed.' },
  )
  t.equal(received.length, 0)

  await sql`update webhook_messages set status = 'dead', give_up_at = now() - interval '29 days'
    where account_id = ${ada.id}`.execute(db)
  await cleanUpWebhooks(db)
  t.equal((await messages()).length, 3)
  const listed = async () => (await operator.get(`/api/admin/webhooks/dead?endpoint_id=${endpoint.id}`)).json().messages
  t.equal((await listed()).length, 3)
  await sql`update webhook_messages set give_up_at = now() - interval '31 days' where account_id = ${ada.id}`.execute(
    db,
  )
  await cleanUpWebhooks(db)
  t.strictSame(await listed(), [])
  t.strictSame(await messages(), [])
})

t.test('attempts are kept for seven days', async (t) => {
  const { db, endpoint, endJobs, operator, path } = await hooked(t)
  await endJobs(3)
  await deliverDue(db)
  const deliveries = async () => (await operator.get(`${path}/deliveries`)).json().deliveries
  const [newest] = await deliveries()
  await sql`update webhook_attempts set attempted_at = now() - interval '8 days'
    where endpoint_id = ${endpoint.id} and id <> ${newest.id}`.execute(db)
  await cleanUpWebhooks(db)
  t.strictSame(
    (await deliveries()).map(({ id }: { id: string }) => id),
    [newest.id],
  )
})

t.test('messages that were written while their endpoint was removed are deleted', async (t) => {
  const { app, ada, db, endpoint, operator, path, messages } = await hooked(t)
  const { authorization } = operator
  await app.inject({ method: 'DELETE', url: path, headers: { authorization } })
  await sql`insert into webhook_messages (account_id, endpoint_id, event, payload)
    select ${ada.id}, ${endpoint.id}, 'job.completed', '{}' from generate_series(1, 3)`.execute(db)
  await deliverDue(db)
  t.equal((await messages()).length, 3)
  // A replica had leased the endpoint meanwhile.
  await sql`insert into webhook_delivery_state (endpoint_id, leased_until) values (${endpoint.id}, now())`.execute(db)
  await cleanUpWebhooks(db)
  t.strictSame(await messages(), [])
  t.strictSame(
    (await sql`select 1 from webhook_delivery_state where endpoint_id = ${endpoint.id}`.execute(db)).rows,
    [],
  )
})

t.test('messages and attempts are found by indexes', async (t) => {
  const { db, endpoint } = await hooked(t)
  for (const { sql: text } of [dueMessages, dueTests, ...DEAD_LETTER_READS, ...RETENTION_READS]) {
    const statement = text.replace(/\$\d+::uuid/g, `'${endpoint.id}'::uuid`).replace(/\$\d+::int/g, '500')
    const lines = await planWithoutScans(db, statement)
    t.notMatch(lines, /Seq Scan/, lines)
  }
})
