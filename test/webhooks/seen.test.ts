import { readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { webhookDelivery } from '../../src/background/deliver-webhooks.ts'
import { hooked, status } from '../support/receiver.ts'
import { earlier, startOwn } from '../support/start.ts'
import { until } from '../support/until.ts'

/** A service that counts and logs, with an endpoint. */
async function watched(t: Test, code: () => number) {
  const lines: { level: number; msg: string; endpoint_id?: string; error?: string; app?: string }[] = []
  const service = await startOwn(t, { METRICS_PORT: '9464' }, (line) => void lines.push(JSON.parse(line)))
  const endpoint = await hooked(t, status(code), {}, service)
  const delivery = webhookDelivery(service.app)
  const { operator, path, db } = endpoint
  t.teardown(async () => {
    await delivery.stop()
    await db.deleteFrom('webhook_messages').execute()
  })
  const { id } = endpoint.endpoint
  const scrape = async () => {
    const { text } = (await service.app.metrics.read?.()) ?? { text: '' }
    return Object.fromEntries(
      text
        .split('\n')
        .filter((line) => line && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
    )
  }
  return {
    ...endpoint,
    scrape,
    /** A metric of this endpoint */
    own: async (name: string) => (await scrape())[`${name}{app="${endpoint.slug}",endpoint="${id}"}`],
    logged: () => lines.filter(({ endpoint_id }) => endpoint_id === id),
    /** Delivers what is due, waits being over, until so many attempts are listed */
    async attempt(count: number) {
      const listed = async () => (await operator.get(`${path}/deliveries?limit=200`)).json().deliveries.length
      for (let before = await listed(); before < count; before = await listed()) {
        // A turn may end before it reached a message, which its endpoint's rest then puts off: so again until one was tried.
        await until(async () => {
          if ((await listed()) > before) return true
          await sql`update webhook_delivery_state set retry_at = '-infinity' where endpoint_id = ${id}`.execute(db)
          await sql`update webhook_messages set next_attempt_at = now()
            where endpoint_id = ${id} and last_error is not null
              and (select count(*) from webhook_attempts where endpoint_id = ${id}) = ${before}`.execute(db)
          await delivery.run()
          return false
        })
        await until(async () => {
          const { rows } = await sql`select 1 from webhook_delivery_state
            where endpoint_id = ${id} and leased_until > now()`.execute(db)
          return rows.length === 0
        })
      }
    },
    patch: (payload: object) =>
      service.app.inject({
        method: 'PATCH',
        url: path,
        payload,
        headers: { authorization: operator.authorization },
      }),
  }
}

t.test('a failing receiver is reported from its first failure, once per change', async (t) => {
  let code = 204
  const { attempt, endJobs, endpoint, logged, operator, own, path, scrape, slug } = await watched(t, () => code)
  await endJobs(1)
  await attempt(1)
  t.strictSame([await own('focus_webhook_failures'), await own('focus_webhook_oldest_waiting_seconds')], [0, 0])
  t.strictSame(logged(), [])

  code = 500
  await endJobs(1)
  await attempt(2)
  await until(async () => (await own('focus_webhook_failures')) === 1)
  t.match((await operator.get(path)).json().endpoint, {
    failures: 1,
    failing_since: String,
    last_error: 'Answered 500.',
  })
  t.match(await scrape(), {
    focus_outbox_waiting_messages: 1,
    'focus_webhook_attempts_total{outcome="delivered"}': 1,
    'focus_webhook_attempts_total{outcome="failed"}': 1,
  })
  await attempt(4)
  t.match(logged(), [{ level: 40, app: slug, error: 'Answered 500.', msg: 'a webhook endpoint fails' }])
  t.equal(logged().length, 1, 'not once per attempt')

  code = 204
  await attempt(5)
  await until(async () => (await own('focus_webhook_failures')) === 0)
  t.match(logged()[1], { level: 30, msg: 'a webhook endpoint takes messages again' })
  code = 410
  await endJobs(1)
  await attempt(6)
  await until(() => logged().length >= 4)
  t.match(logged().slice(2), [
    { level: 40, error: 'Answered 410.' },
    { level: 40, endpoint_id: endpoint.id, msg: 'a webhook endpoint answered 410 and was paused' },
  ])
})

t.test('the lag counts waiting messages, tried or not, until the endpoint is paused', async (t) => {
  const { attempt, db, endpoint, endJobs, operator, own, patch, scrape } = await watched(t, () => 500)
  await endJobs(18)
  await attempt(3)
  // As the clock would do it, eleven minutes later.
  await sql`update webhook_messages set give_up_at = ${earlier('give_up_at', '660 seconds')},
    next_attempt_at = now() + interval '1 hour' where endpoint_id = ${endpoint.id}`.execute(db)
  const oldest = await own('focus_webhook_oldest_waiting_seconds')
  t.ok(Number(oldest) >= 660 && Number(oldest) < 720, `${oldest} s`)
  let metrics = await scrape()
  t.equal(metrics.focus_outbox_waiting_messages, 18)
  t.ok(Number(metrics.focus_outbox_lag_seconds) >= Number(oldest))
  t.equal(metrics.focus_outbox_dead_messages, 0)

  await sql`update webhook_messages set status = 'dead' where (account_id, id) in
    (select account_id, id from webhook_messages where endpoint_id = ${endpoint.id} limit 2)`.execute(db)
  t.equal((await scrape()).focus_outbox_dead_messages, 2)

  await patch({ paused: true })
  metrics = await scrape()
  t.match(metrics, { focus_outbox_lag_seconds: 0, focus_outbox_dead_messages: 0, focus_outbox_waiting_messages: 16 })
  t.equal(await own('focus_webhook_oldest_waiting_seconds'), undefined)
  await sql`update webhook_endpoints set pause_reason = 'gone' where id = ${endpoint.id}`.execute(db)
  t.ok(Number((await scrape()).focus_outbox_lag_seconds) >= 660, 'one that the service paused is late')

  await operator.post('/api/admin/webhooks/dismiss', { endpoint_id: endpoint.id })
  t.equal((await scrape()).focus_outbox_dead_messages, 0)
})

t.test('the alerts use existing metrics', async (t) => {
  const { scrape } = await watched(t, () => 204)
  const names = new Set(Object.keys(await scrape()).map((name) => name.replace(/\{.*/, '')))
  const alerts = await readFile('docs/alerts.yml', 'utf8')
  const used = [...alerts.matchAll(/\b(focus_webhook_\w+|focus_outbox_\w+)\b/g)].map(([name]) => name)
  t.ok(used.length >= 2)
  for (const name of used) t.ok(names.has(name), name)
})
