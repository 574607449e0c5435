import t from 'tap'
import { verifyWebhook, type WebhookEvent } from '../../client/src/index.ts'
import { EVENTS } from '../../src/webhooks/outbox.ts'
import { errorOf } from '../support/client.ts'
import { deliverDue, hooked } from '../support/receiver.ts'

const message = { type: 'test', timestamp: '2026-11-26T12:00:00.000Z', data: { é: '💶' } }

/** A message signed by the library that the service signs with. */
async function signed(secret: string, at = new Date()) {
  const body = JSON.stringify(message)
  const { Webhook } = await import('standardwebhooks')
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign('msg_1', at, body),
  }
  return { headers, body }
}
const secretOf = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`

t.test('a message of the service is verified, with either secret while one is rotated', async (t) => {
  const { ada, db, operator, path, received, reserve, secret } = await hooked(t)
  const send = async () => {
    await ada.complete(await reserve(5), 3)
    await deliverDue(db)
    const last = received.at(-1)
    if (!last) throw new Error('nothing was delivered')
    return last
  }
  const event = await verifyWebhook(await send(), secret)
  t.match(event, { type: 'job.completed', data: { account_id: ada.id, job: { actual_cost: 3 } } })
  // Compiles only if the library's type has every event that the service sends.
  const types: WebhookEvent['type'][] = [...EVENTS, 'test']
  t.ok(types.includes(event.type))
  const rotated = (await operator.post(`${path}/rotate`, {})).json().secret as string
  const both = await send()
  t.match(String(both.headers['webhook-signature']), / /, 'two signatures')
  for (const one of [secret, rotated, [secret, rotated], [rotated, secret]]) t.ok(await verifyWebhook(both, one))
})

t.test('web and Node requests are verified, with text and with bytes', async (t) => {
  const { headers, body } = await signed(secretOf(1))
  const bytes = Buffer.from(body)
  const requests = [
    { headers, body },
    { headers, body: bytes },
    new Request('https://app.example.com/hooks', { method: 'POST', headers, body }),
  ]
  for (const request of requests) t.same(await verifyWebhook(request, [secretOf(2), secretOf(1)]), message)
})

t.test('a message that is unsigned, too old or changed is refused', async (t) => {
  const good = await signed(secretOf(1))
  const minutes = (n: number) => signed(secretOf(1), new Date(Date.now() + n * 60_000))
  const wrong = [
    { ...good, body: good.body.replace('test', 'test ') },
    { ...good, headers: {} },
    await minutes(-6),
    await minutes(6),
    await signed(secretOf(2)),
    ...['v1,', 'v1,!!', 'v1a,x', 'v2,', ''].map((text) => ({
      ...good,
      headers: { ...good.headers, 'webhook-signature': text },
    })),
    { ...good, headers: { ...good.headers, 'webhook-id': 'msg_2' } },
    { ...good, headers: { ...good.headers, 'webhook-timestamp': 'now' } },
  ]
  for (const request of wrong)
    t.equal((await errorOf(verifyWebhook(request, secretOf(1)))).code, 'invalid_signature', JSON.stringify(request))
  t.ok(await verifyWebhook(await minutes(-6), secretOf(1), { tolerance: 600 }))
  t.equal((await errorOf(verifyWebhook(good, []))).code, 'invalid_signature')
  for (const secret of ['', 'whsec_', 'whsec_*'])
    t.equal((await errorOf(verifyWebhook(good, [secretOf(1), secret]))).code, 'invalid_options', 'no secret')
})
