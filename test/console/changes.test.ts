import t from 'tap'
import { Fields } from '../../src/routes/pages/console/forms.ts'
import { atConsole } from '../support/console.ts'
import { OURS } from '../support/pages.ts'
import { unique } from '../support/start.ts'

const secretOf = (body: string) => /<code class="secret"[^>]*>([^<]+)</.exec(body)?.[1] ?? ''

t.test('an app is registered and changed, with the effect in numbers before', async (t) => {
  const { ask, post, open, admin, person, lines } = await atConsole(t)
  const slug = unique('app')
  const fields = { slug, name: 'Clips', starter_credits: '20', origins: 'https://clips.example.com/\r\n' }
  const register = await ask('/console/apps', fields)
  t.match(register.effects, /gets 20 credits\. Pages at https:\/\/clips\.example\.com can use the whole account/)
  t.equal((await open(`/console/apps/${slug}`)).statusCode, 404, 'asking registers nothing')
  t.equal(await register.done(), `${slug} is registered.`)
  t.match(await post('/console/apps', fields), { statusCode: 400, body: /is registered already/ })

  for (const somebody of await Promise.all([person(), person()])) await somebody.get(`/api/wallet?app=${slug}`)
  const settings = { name: 'Clips', starter_credits: '50', overage_unit: 'percent', overage: '100' }
  const change = await ask(`/console/apps/${slug}/settings`, settings)
  t.match(
    change.effects,
    `${slug}: 20 → 50 starter credits for people who come from now on; 2 people have had theirs and keep them.`,
  )
  t.match(change.effects, /without limit → 100 %/)
  await change.done()
  t.match(await change.press(), { statusCode: 409, body: /done already, by this very form/ }, 'a second time')
  t.match(await post(`/console/apps/${slug}/settings`, settings), { statusCode: 400, body: /nothing is to be changed/ })
  const wrong = await post(`/console/apps/${slug}/settings`, { ...settings, starter_credits: '-1' })
  t.match(wrong, { statusCode: 400, body: /must be a whole number/ })

  const long = await post(`/console/apps/${slug}/settings`, { ...settings, name: 'x'.repeat(201) })
  t.match(long, { statusCode: 400, body: /Name must have at most 200 characters/ })
  await (await ask(`/console/apps/${slug}/settings`, { ...settings, name: '' })).done()
  const nameless = (await admin.get('/api/admin/apps')).json().apps.find((app: { slug: string }) => app.slug === slug)
  t.equal(nameless.name, null, 'without a name')

  const addresses = await ask(`/console/apps/${slug}/addresses`, {
    ...{ origins: '', return_paths: '/back', redirect_uris: 'https://clips.example.com/cb', resources: '' },
  })
  t.match(addresses.effects, /can no longer sign people in/)
  t.match(await addresses.done(), /OAuth may send people back to https:\/\/clips\.example\.com\/cb/)
  const { apps } = (await admin.get('/api/admin/apps')).json()
  t.match(
    apps.find((app: { slug: string }) => app.slug === slug),
    {
      starter_credits: 50,
      max_overage: { percent: 100 },
      origins: [],
      redirect_uris: ['https://clips.example.com/cb'],
    },
  )
  t.strictSame(
    await lines(4),
    Array.from({ length: 4 }, () => ['setApp', 'console', null]),
  )
  t.match((await open(`/console/audit?target=app+${slug}`)).body, /starter credits: 20 → 50/)
})

t.test('numbers may be grouped by thousands, and a decimal comma is no group', async (t) => {
  const read = (written: string) => new Fields({ n: written }).number('n')
  t.strictSame(['7', '1,000', '1 000 000', '-20', '−20'].map(read), [7, 1_000, 1_000_000, -20, -20])
  for (const written of ['1,5', '2.5', '10,00', '1,0000', '', 'x', '1e3']) t.ok(Number.isNaN(read(written)), written)
})

t.test('a settle key is shown once; sending the form again makes no second one', async (t) => {
  const { ask, open, person, admin, app } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const make = await ask(`/console/apps/${slug}/key`, { settle_key: 'rotate' })
  const shown = await make.press()
  const key = secretOf(shown.body)
  t.match([shown.statusCode, shown.headers['cache-control'], key], [200, 'no-store', /^focus_app_/])
  const again = await make.press()
  t.match([again.statusCode, secretOf(again.body)], [409, ''])
  t.match(again.body, /This has been done already, by this very form/)
  t.notMatch(again.body, /name="draft"/, 'no button to do it once more')
  t.notMatch((await open(`/console/apps/${slug}`)).body, key)

  const ada = await person()
  const { job_id } = (await ada.post('/api/jobs', { app: slug, action: 'x', cost_estimate: 0 })).json()
  const settle = (xAppKey: string) =>
    app.inject({
      method: 'POST',
      url: '/api/jobs/complete',
      headers: { 'x-app-key': xAppKey },
      payload: { job_id, account_id: ada.id, actual_cost: 0 },
    })
  t.equal((await settle(key)).statusCode, 200, 'it works')
  t.match(await (await ask(`/console/apps/${slug}/key`, { settle_key: 'remove' })).done(), /no settle key any more/)
  t.not((await settle(key)).statusCode, 200)
})

t.test('credits are given and taken for a reason, and once however often the form is sent', async (t) => {
  const { ask, post, ada, lines, open } = await atConsole(t)
  const url = `/console/accounts/${ada.id}/credits`
  const give = await ask(url, { what: 'adjustment', amount: '1,200' })
  t.match(give.effects, `${ada.email}: 0 → 1,200 credits to spend`)
  const unexplained = await give.press({ reason: ' ' })
  t.match([unexplained.statusCode, unexplained.body], [400, /Reason is missing/])
  t.match(await give.press({ reason: 'x'.repeat(1001) }), { statusCode: 400, body: /Reason must have at most 1,000/ })
  const sent = await Promise.all([1, 2, 3].map(() => give.press({ reason: 'Ticket 7' })))
  t.strictSame(
    sent.map(({ statusCode }) => statusCode),
    [303, 409, 409],
    'the other two are told that it has been done',
  )
  t.match(await ada.balance(), { credits: 1200 })
  t.strictSame(await lines(1), [['adjustCredits', 'console', 'Ticket 7']])

  t.match(await post(url, { what: 'take', amount: '1201' }), {
    statusCode: 400,
    body: /−1 credits would be left/,
  })
  const take = await ask(url, { what: 'take', amount: '1201', allow_negative: 'yes' })
  t.match(take.effects, /1,200 → −1 credits.*Below zero, no new job starts/)
  t.match(await take.done({ reason: 'Chargeback' }), /1,201 credits were taken from .*, who has −1 credits now\./)
  t.match((await open(`/console/accounts/${ada.id}`)).body, /It owes 1 credit/)
  for (const amount of ['0', '-5', '1.5', 'x', '']) {
    t.equal((await post(url, { what: 'adjustment', amount })).statusCode, 400, amount)
  }
})

t.test('a job is refunded in parts, and a stuck one is ended; each links to its entries and back', async (t) => {
  const { ask, post, ada, open, admin, db, lines } = await atConsole(t)
  const given = { clerk_id: ada.clerkId, amount: 100, kind: 'topup', reference: unique('pi'), reason: 'x' }
  await admin.post('/api/admin/credits', given)
  const start = async (cost: number) => (await ada.reserve(cost)).json().job_id as string
  const job = await start(30)
  await ada.complete(job, 20)
  const url = `/console/accounts/${ada.id}/jobs/${job}`
  t.match((await open(`/console/accounts/${ada.id}`)).body, `href="${url}"`)

  const part = await ask(`${url}/refund`, { amount: '5' })
  t.match(part.effects, `${ada.email}: 80 → 85 credits to spend`)
  t.match(part.effects, 'Of the 20 credits that the job cost, 5 are given back then.')
  t.match(await part.done({ reason: 'The render was black' }), /5 credits went back/)
  t.equal((await part.press({ reason: 'The render was black' })).statusCode, 409, 'sent again it asks again')
  t.match(await (await ask(`${url}/refund`)).done({ reason: 'All of it' }), /15 credits went back/)
  t.match(await post(`${url}/refund`, { amount: '1' }), { statusCode: 409 })
  t.match(await ada.balance(), { credits: 100 })
  const { body } = await open(url)
  t.match(body, /The render was black[\s\S]*href="\/console\/accounts\/[^"]+\/entries\?cursor=\d+"/)
  t.match((await open(`/console/accounts/${ada.id}/entries`)).body, /Refund of a job[\s\S]*href="[^"]+\/jobs\//)

  const [stuck, lost] = [await start(10), await start(7)]
  const end = await ask(`/console/accounts/${ada.id}/jobs/${stuck}/end`, { hold: 'return' })
  t.match(end.effects, /the 10 credits that it holds go back to .*: 83 → 93 credits/)
  t.match(await end.done({ reason: 'The worker died' }), /10 credits went back/)
  t.equal((await end.press({ reason: 'again' })).statusCode, 409)
  await (await ask(`/console/accounts/${ada.id}/jobs/${lost}/end`, { hold: 'keep' })).done({
    reason: 'It was delivered',
  })
  t.match(await ada.balance(), { credits: 93, held: 0 })
  const ended = await db.selectFrom('jobs').select('failure_reason').where('id', '=', stuck).executeTakeFirstOrThrow()
  t.equal(ended.failure_reason, 'ended_by_operator')
  t.strictSame(
    (await lines(4)).map(([action, via]) => [action, via]),
    [...['endJob', 'endJob', 'refundJob', 'refundJob'].map((action) => [action, 'console'])],
  )
})

t.test('what a person has approved is revoked; an account is closed, and erased', async (t) => {
  const { ask, ada, db, open, app, post, person, personWith, lines } = await atConsole(t)
  const at = `/console/accounts/${ada.id}`
  const token = (name: string) =>
    db
      .insertInto('tokens')
      .values({
        ...{ id: crypto.randomUUID(), token_hash: unique('hash'), account_id: ada.id, name, last_four: 'abcd' },
        ...{ scopes: ['account'], expires_at: new Date(Date.now() + 1e9) },
      })
      .returning('id')
      .executeTakeFirstOrThrow()
  const [{ id }] = [await token('laptop'), await token('phone')]
  t.match((await open(at)).body, /laptop[\s\S]*…abcd/)
  t.match(await (await ask(`${at}/revoke-token`, { token: id })).done(), '“laptop” …abcd is revoked.')
  t.equal((await post(`${at}/revoke-token`, { token: id })).statusCode, 404)
  const all = await ask(`${at}/revoke-all`)
  t.match(all.effects, '1 token and 0 apps lose access')
  t.match(await all.done(), '1 token revoked')

  const bob = await person()
  const close = await ask(`/console/accounts/${bob.id}/close`)
  t.ok(close.asksReason)
  t.match(await close.done({ reason: 'Asked by mail' }), `The account of ${bob.email} is closed.`)
  t.equal((await app.inject({ url: '/account', headers: { cookie: bob.cookie } })).statusCode, 303)
  t.match((await open(`/console/accounts/${bob.id}`)).body, /This account is closed/)
  const erase = await ask(`/console/accounts/${bob.id}/erase`)
  const later = await ask(`/console/accounts/${bob.id}/erase`)
  t.notMatch(erase.effects, /closed|stay on it/, 'it is closed already')
  t.match(await erase.done({ reason: 'GDPR' }), 'The person is erased.')
  t.match(await later.press({ reason: 'Again' }), { statusCode: 400, body: /is erased already/ }, 'by another form')
  t.notMatch((await open(`/console/accounts/${bob.id}`)).body, bob.email)
  t.strictSame(
    (await lines(2)).map(([action]) => action),
    ['eraseAccount', 'closeAccount'],
  )
  const eve = await personWith(30)
  await eve.reserve(10)
  const effects = (await ask(`/console/accounts/${eve.id}/erase`)).effects
  t.match(effects, /The account is closed\. Jobs that run end, and 10 credits that they hold come back\. Every token/)
  t.match(effects, /30 credits stay on it and cannot be spent\. Refund purchases at Stripe first/)
})

t.test('a webhook endpoint is added, tested, paused, changed, replayed and removed', async (t) => {
  const { ask, db, open, ada, lines, admin } = await atConsole(t)
  const slug = unique('app')
  await admin.put(`/api/admin/apps/${slug}`, {})
  const url = 'https://hooks.example.com/focus'
  const add = await ask(`/console/apps/${slug}/webhooks`, {
    url,
    events: ['job.completed', 'account.low'],
    low_credits: '10',
  })
  t.match(add.effects, `${url} is told of job.completed and account.low`)
  t.match(secretOf((await add.press()).body), /^whsec_/)
  const { id } = await db
    .selectFrom('webhook_endpoints')
    .select('id')
    .where('app_slug', '=', slug)
    .executeTakeFirstOrThrow()
  const at = `/console/webhooks/${id}`
  for (const status of ['dead', 'dead', 'pending'] as const) {
    const message = { account_id: ada.id, endpoint_id: id, event: 'job.completed', payload: '{}', status }
    await db.insertInto('webhook_messages').values(message).execute()
  }
  t.match((await open('/console/webhooks')).body, new RegExp(`href="${at}"[\\s\\S]*Messages lost`))
  t.match(await (await ask(`${at}/test`)).done(), /^Sent\./)
  const failing = { endpoint_id: id, failures: 4, failing_since: new Date(), retry_at: new Date(Date.now() + 1e7) }
  await db.insertInto('webhook_delivery_state').values(failing).execute()
  t.match((await open(at)).body, `action="${at}/try"`)
  const retry = await ask(`${at}/try`)
  t.match(retry.effects, 'The wait after 4 failed attempts ends, and 1 message is sent')
  await retry.done()
  const { retry_at } = await db.selectFrom('webhook_delivery_state').select('retry_at').executeTakeFirstOrThrow()
  t.ok(!(Number(retry_at) > Date.now()), 'it waits no longer')
  t.match(await (await ask(`${at}/pause`)).done(), /^Paused\./)
  t.match((await ask(`${at}/resume`)).effects, '1 message that waited is sent at once.')
  const settings = { url, events: ['job.failed'], low_credits: '10' }
  t.match(
    await (await ask(`${at}/settings`, settings)).done(),
    /also told of job\.failed.*no longer told of job\.completed and account\.low/,
  )
  const rotate = await ask(`${at}/rotate`)
  t.match(secretOf((await rotate.press()).body), /^whsec_/)
  t.equal((await rotate.press()).statusCode, 409, 'no second secret')
  const replay = await ask(`${at}/replay`)
  t.match(replay.effects, '2 messages are tried for another three days')
  t.match(await replay.done(), '2 messages will be sent again.')
  await db
    .updateTable('webhook_messages')
    .set({ status: 'dead' })
    .where('endpoint_id', '=', id)
    .where('event', '<>', 'test')
    .execute()
  t.match(await (await ask(`${at}/dismiss`)).done(), '3 messages deleted.')
  t.match(await (await ask(`${at}/remove`)).done(), 'is removed.')
  t.equal((await open(at)).statusCode, 404)
  t.strictSame(
    (await lines(9)).map(([action, via]) => `${action} ${via}`),
    [
      'deleteWebhookEndpoint',
      'dismissDeadWebhookMessages',
      'replayWebhookMessages',
      'rotateWebhookSecret',
      'updateWebhookEndpoint',
      'updateWebhookEndpoint',
      'updateWebhookEndpoint',
      'sendTestWebhook',
      'createWebhookEndpoint',
    ].map((action) => `${action} console`),
  )
})

t.test('packs are sold, changed and taken off; a service key is made and revoked', async (t) => {
  const { ask, post, open, app, ada, lines } = await atConsole(t)
  const slug = unique('pack')
  const pack = { slug, name: 'Twenty', credits: '20', price: '199', currency: 'usd', stripe_price_id: '' }
  t.match((await ask('/console/packs', pack)).effects, 'Twenty: 20 credits for $1.99 is on sale at once.')
  await (await ask('/console/packs', pack)).done()
  const dearer = await ask('/console/packs', { ...pack, price: '299' })
  t.match(dearer.effects, 'Twenty: 20 credits for $1.99 → Twenty: 20 credits for $2.99.')
  await dearer.done()
  t.match((await open('/console/packs')).body, /\$2\.99/)
  t.equal((await post('/console/packs', { ...pack, currency: 'isk', price: '150' })).statusCode, 400)
  t.match(await (await ask(`/console/packs/${slug}/remove`)).done(), 'is not sold any more')

  const make = await ask('/console/keys', { name: 'Payment server' })
  const key = secretOf((await make.press()).body)
  t.equal((await make.press()).statusCode, 409, 'no second key')
  const topup = { clerk_id: ada.clerkId, amount: 5, kind: 'topup', reason: 'x' }
  const pay = (reference: string) =>
    app.inject({
      method: 'POST',
      url: '/api/admin/credits',
      headers: { authorization: `Bearer ${key}` },
      payload: { ...topup, reference },
    })
  t.equal((await pay(unique('pi'))).statusCode, 200)
  const [, revoke = ''] = /action="(\/console\/keys\/[^"]+\/revoke)"/.exec((await open('/console/keys')).body) ?? []
  t.match(await (await ask(revoke)).done(), 'The key of Payment server is revoked.')
  t.equal((await pay(unique('pi'))).statusCode, 401)
  t.strictSame(
    (await lines(3)).map(([action]) => action),
    ['revokeServiceKey', 'createServiceKey', 'removePack'],
  )
})

t.test('no other site, no link and no other person makes a page say or do anything', async (t) => {
  const { ask, post, ada, admin, app, person } = await atConsole(t)
  const url = `/console/accounts/${ada.id}/credits`
  const fields = { what: 'adjustment', amount: '5' }
  for (const headers of [{ origin: 'http://localhost:5173' }, { origin: 'https://evil.example' }, {}]) {
    t.equal((await post(url, fields, headers as Record<string, string>)).statusCode, 403)
  }
  const give = await ask(url, fields)
  const done = await give.press({ reason: 'x' })
  const [notice] = done.cookies.filter(({ name }) => name.startsWith('focus_notice'))
  t.match(notice, { httpOnly: true, sameSite: 'Strict', path: '/console' })
  const look = async (cookie: string, value: string) =>
    (
      await app.inject({
        url: '/console/apps',
        headers: { cookie: `${cookie}; ${notice?.name}=${value}`, accept: 'text/html' },
      })
    ).body
  const said = /class="done" role="status"/
  const value = String(notice?.value)
  t.match(await look(admin.cookie, value), said)
  const [text = '', mac = ''] = value.split('.')
  const forged = Buffer.from(Buffer.from(text, 'base64url').toString().replace('5 credits', '9 credits')).toString(
    'base64url',
  )
  for (const other of [`${forged}.${mac}`, forged, 'x', admin.cookie.split('=')[1] ?? '']) {
    const page = await look(admin.cookie, other)
    t.notMatch(page, said)
    t.match(page, '<h1>Apps</h1>')
  }
  t.equal(
    (await app.inject({ method: 'POST', url, headers: { cookie: (await person()).cookie, origin: OURS } })).statusCode,
    404,
  )
})
