import { sql } from 'kysely'
import t from 'tap'
import { createDispatcher } from '../../src/webhooks/dispatcher.ts'
import { query } from '../support/database.ts'
import { deliverDue, hooked } from '../support/receiver.ts'
import { databaseUrl, type Person } from '../support/start.ts'
import { until } from '../support/until.ts'

const erase = (admin: Person, clerk_id: string) => admin.post('/api/admin/accounts/erase', { clerk_id })

/** Every row of every table, as text. */
async function everything(): Promise<string> {
  const url = await databaseUrl()
  const tables = await query(
    url,
    `select table_name as name from information_schema.tables
    where table_schema = current_schema() and table_type = 'BASE TABLE'`,
  )
  const rows = tables.map(({ name }) => query(url, `select * from ${name}`))
  return JSON.stringify(await Promise.all(rows))
}

t.test('after an erasure the database has neither the person nor the metadata of their jobs', async (t) => {
  let answered = 0
  const { db, ada, operator, endpoint, path, reserve, received, messages } = await hooked(t, (response, { body }) => {
    // It repeats what it gets; first it takes nothing.
    response.writeHead(++answered > 2 ? 200 : 500).end(JSON.parse(body).data.job.metadata.secret)
  })
  const end = async () => ada.complete(await reserve(1, { secret: 'holiday-of-ada' }), 1, { more: 'garden-of-ada' })
  await end()
  await deliverDue(db)
  await sql`update webhook_messages set status = 'dead' where endpoint_id = ${endpoint.id}`.execute(db)
  await end()
  await deliverDue(db)
  await end()
  await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${endpoint.id}`.execute(db)
  await deliverDue(db)
  await reserve(1, { secret: 'holiday-of-ada' })
  t.equal(received.length, 3)
  t.strictSame(
    (await messages()).map(({ status }) => status),
    ['dead', 'pending'],
  )
  const { deliveries } = (await operator.get(`${path}/deliveries`)).json()
  t.strictSame(
    deliveries.map(({ status, answer }: { status: number; answer: string }) => [status, answer]),
    [200, 500, 500].map((code) => [code, 'holiday-of-ada']),
  )
  const personal = new RegExp(`holiday-of-ada|garden-of-ada|${ada.clerkId}|${ada.email}`, 'g')
  t.ok(((await everything()).match(personal) ?? []).length >= 12)

  t.equal((await erase(operator, ada.clerkId)).statusCode, 200)
  t.strictSame((await everything()).match(personal), null)

  const left = await messages()
  t.ok(left.length >= 2, 'the app still hears that the jobs ended')
  t.match(left[0]?.payload, { data: { account_id: ada.id, job: { actual_cost: 1, metadata: null } } })
  t.match((await operator.get(`${path}/deliveries`)).json().deliveries, [
    { status: 200, answer: null },
    { status: 500, answer: null, error: 'Answered 500.' },
    { status: 500, answer: null },
  ])
})

t.test('an answer that arrives after the erasure is not logged', async (t) => {
  const asked = Promise.withResolvers<void>()
  const erased = Promise.withResolvers<void>()
  const { db, ada, operator, path, reserve } = await hooked(t, async (response, { body }) => {
    asked.resolve()
    await erased.promise
    response.writeHead(500).end(body)
  })
  await ada.complete(await reserve(1, { secret: 'holiday-of-ada' }), 1)
  const dispatcher = createDispatcher({ db, publicOnly: false })
  await dispatcher.look()
  await asked.promise
  t.equal((await erase(operator, ada.clerkId)).statusCode, 200)
  erased.resolve()
  await dispatcher.idle()
  const deliveries = async () => (await operator.get(`${path}/deliveries`)).json().deliveries
  await until(async () => (await deliveries()).length === 1)
  t.match(await deliveries(), [{ status: 500, answer: null }])
  t.notMatch(await everything(), /holiday-of-ada/)
})
