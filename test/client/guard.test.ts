import Fastify from 'fastify'
import t from 'tap'
import { requireFocus } from '../../client/src/require-focus.ts'
import { errorOf, listening, ready } from '../support/client.ts'
import { bearer, logIn } from '../support/device.ts'
import { startNetwork } from '../support/network.ts'
import { clientOf, registerClient } from '../support/oauth.ts'
import { unique } from '../support/start.ts'

t.test('a Fastify server identifies the sender of a request by a session token and by a PAT', async (t) => {
  const { network, person, service } = await ready(t)
  const pat = await logIn(service.app, person)
  const people = requireFocus({ url: network.url })
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/me', { onRequest: people.hook }, (request) => people.caller(request))
  app.get('/open', (request) => people.caller(request))
  const get = (authorization?: string) =>
    app.inject({ url: '/me', headers: authorization === undefined ? {} : { authorization } })
  for (const token of [person.token, pat]) {
    const all = await Promise.all([get(`Bearer ${token}`), get(`bearer ${token}`), get(`Bearer ${token}`)])
    for (const reply of all) t.match(reply.json(), { accountId: person.id, token, wallet: { credits: 100 } })
  }
  t.equal(network.requests.length, 2, 'each token is asked for once')
  for (const none of [undefined, '', 'Basic YTpi', 'Bearer', `Bearer ${'x'.repeat(9_000)}`]) {
    const reply = await get(none)
    t.equal(reply.statusCode, 401)
    t.match(reply.json(), { error: 'not_signed_in', signin_url: `${network.url}/signin` })
  }
  t.equal(network.requests.length, 2, 'what is no token is not asked for')
  for (let i = 0; i < 3; i++) {
    const reply = await get('Bearer focus_pat_wrong')
    t.match(reply.headers['www-authenticate'], /invalid_token/)
    t.match(reply.json(), { error: 'invalid_token' })
  }
  t.equal(network.requests.length, 3, 'a wrong token once')
  t.equal((await app.inject('/open')).statusCode, 500, 'a route without the hook is a bug')
})

t.test('a revoked token is refused at the latest when its cached answer has expired', async (t) => {
  const { network, person, service } = await ready(t)
  const pat = await logIn(service.app, person)
  const people = requireFocus({ url: network.url, cacheFor: 50 })
  t.equal((await people.identify(`Bearer ${pat}`)).accountId, person.id)
  await bearer(service.app, pat).delete('/api/tokens/current')
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.match(await errorOf(people.identify(`Bearer ${pat}`)), { status: 401, code: 'token_revoked' })
})

t.test("access tokens for the app's own resource are introspected, and those for another are refused", async (t) => {
  const service = await listening(t)
  const root = await service.admin()
  const person = await service.person()
  const resource = `https://${unique('mcp')}.example.com/mcp`
  const other = `${resource}/other`
  const { client_id } = await registerClient(root, { resources: [resource, other] })
  const set = await root.put(`/api/admin/apps/${client_id}`, { settle_key: 'rotate' })
  const client = clientOf(service.app, await registerClient(root))
  const people = requireFocus({ url: service.url, appKey: set.json().app.settle_key, resource })
  const { access_token } = await client.logIn(person, { resource, scope: 'account spend' })
  const caller = await people.identify(`Bearer ${access_token}`)
  t.match(caller, {
    accountId: person.id,
    grant: { id: /^[0-9a-f-]{36}$/, clientId: client.asked.client_id, scopes: ['account', 'spend'] },
  })
  const wrong = await client.logIn(person, { resource: other, scope: 'account' })
  t.equal((await errorOf(people.identify(`Bearer ${wrong.access_token}`))).status, 401)
  const ours = await client.logIn(person)
  t.match(await people.identify(`Bearer ${ours.access_token}`), { accountId: person.id, wallet: { id: person.id } })
  t.ok(await people.identify(person.authorization))
})

t.test('a fetch handler is called for identified senders only, and never without the service', async (t) => {
  const { network, person } = await ready(t)
  const ask = (authorization: string, timeout?: number) => {
    const people = requireFocus({ url: network.url, ...(timeout && { timeout }) })
    const handler = people.fetch((request, { accountId }, env: { name: string }) =>
      Response.json({ accountId, url: request.url, ...env }),
    )
    return handler(new Request('https://app.example.com/x', { headers: { authorization } }), { name: 'film' })
  }
  network.fate = () => 'before'
  const down = await ask(person.authorization, 100)
  t.equal(down.status, 503)
  t.ok(down.headers.get('retry-after'))
  t.match(await down.json(), { error: 'focus_unavailable' })
  network.fate = () => 'pass'
  const known = await ask(person.authorization)
  t.same(await known.json(), { accountId: person.id, url: 'https://app.example.com/x', name: 'film' })
  t.equal((await ask('Bearer x')).status, 401)
})

t.test('the cache is bounded', async (t) => {
  const service = await listening(t)
  const network = await startNetwork(t, service.url)
  let asked = 0
  const fetch = async () => {
    asked++
    return Response.json({ account: { id: 'a' } })
  }
  const people = requireFocus({ url: network.url, fetch })
  for (let i = 0; i <= 1_000; i++) await people.identify(`Bearer t${i}`)
  await people.identify('Bearer t1000')
  t.equal(asked, 1_001)
  await people.identify('Bearer t0')
  t.equal(asked, 1_002, 'the oldest of more than a thousand is forgotten')
})
