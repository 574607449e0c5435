import t from 'tap'
import { newAddress } from '../support/device.ts'
import { form, wallet } from '../support/oauth.ts'
import { earlier, type Person, start } from '../support/start.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

async function prepared(t: Parameters<typeof start>[0]) {
  const service = await start(t)
  const { app } = service
  const begin = async (fields: Record<string, string> = {}, remoteAddress = newAddress()) =>
    app.inject({ url: '/oauth/device_authorization', ...form({ client_id: 'a-cli', ...fields }), remoteAddress })
  const ask = (device_code: string, client_id = 'a-cli') =>
    app.inject({ url: '/oauth/token', ...form({ grant_type: GRANT, client_id, device_code }) })
  const decide = (person: Person, user_code: string, action = 'approve') =>
    person.postFromOurPage('/api/device/complete', { user_code, action })
  return { ...service, begin, ask, decide, ada: await service.person() }
}

t.test('a device of any client id gets the token of a device', async (t) => {
  const { app, ada, begin, ask, decide, db } = await prepared(t)
  const started = await begin({ scope: 'account oauth', client_name: 'a cli on ada-laptop' })
  t.equal(started.headers['cache-control'], 'no-store')
  const { device_code, user_code, verification_uri, verification_uri_complete, interval, expires_in } = started.json()
  t.match({ interval, expires_in }, { interval: 5, expires_in: 900 })
  t.equal(verification_uri_complete, `${verification_uri}?user_code=${user_code}`)
  const waiting = await ask(device_code)
  t.match([waiting.statusCode, waiting.json().error], [400, 'authorization_pending'])
  const fast = await ask(device_code)
  t.match([fast.statusCode, fast.json().error, fast.headers['retry-after']], [400, 'slow_down', /^\d+$/])
  t.match((await ask(device_code, 'another')).json(), { error: 'invalid_grant' }, 'a code is of one client')

  t.equal((await decide(ada, user_code)).statusCode, 200)
  const answer = await ask(device_code)
  t.equal(answer.statusCode, 200)
  t.match(answer.json(), { access_token: /^focus_pat_/, token_type: 'Bearer', scope: 'account oauth' })
  t.ok(answer.json().expires_in > 89 * 86_400)
  t.equal(answer.json().refresh_token, undefined)
  t.equal((await wallet(app, answer.json().access_token)).json().account.id, ada.id)
  const { tokens } = (await ada.get('/api/tokens')).json()
  t.match(tokens, [{ name: 'a cli on ada-laptop', scopes: ['account', 'oauth'] }])

  t.equal((await ask(device_code)).json().access_token, answer.json().access_token, 'a lost answer is given again')
  await db
    .updateTable('device_codes')
    .set({ delivered_at: earlier('delivered_at', '1 minute') })
    .execute()
  t.match((await ask(device_code)).json(), { error: 'invalid_grant' })

  const revoke = (token: string) => app.inject({ url: '/oauth/revoke', ...form({ client_id: 'a-cli', token }) })
  t.equal((await revoke(answer.json().access_token)).statusCode, 200)
  t.match((await wallet(app, answer.json().access_token)).json(), { error: 'token_revoked' })
})

t.test('denied, expired, unknown and malformed ones get the errors of RFC 8628', async (t) => {
  const { ada, begin, ask, decide, db } = await prepared(t)
  const denied = (await begin()).json()
  await decide(ada, denied.user_code, 'deny')
  t.match((await ask(denied.device_code)).json(), { error: 'access_denied' })
  const late = (await begin()).json()
  await db
    .updateTable('device_codes')
    .set({ expires_at: earlier('expires_at', '15 minutes') })
    .where('user_code', '=', late.user_code)
    .execute()
  t.match((await ask(late.device_code)).json(), { error: 'expired_token' })
  t.match((await ask('x')).json(), { error: 'invalid_grant' })
  t.match((await ask('')).json(), { error: 'invalid_request' })
  t.match((await begin({ scope: 'everything' })).json(), { error: 'invalid_scope' })
  t.match((await begin({ client_id: '' })).json(), { error: 'invalid_request' })
  t.match((await begin({ client_id: 'x'.repeat(1_001) })).json(), { error: 'invalid_request' })
  t.match((await begin({ client_secret: 'x' })).json(), { error: 'invalid_client' })
})

t.test('both ways in share codes, limits and the page', async (t) => {
  const { app, ada, begin, ask, decide } = await prepared(t)
  const standard = (await begin({ client_id: 'some <b>client</b>', scope: 'admin' })).json()
  const page = await app.inject({
    url: `/device?user_code=${standard.user_code}`,
    headers: { cookie: ada.cookie },
  })
  t.match(page.body, 'some &lt;b&gt;client&lt;/b&gt;', 'the client id names it')
  t.match(page.body, 'Administer this service')
  await decide(ada, standard.user_code)
  const polled = await app.inject({ url: `/api/device/poll?device_code=${standard.device_code}` })
  t.match(polled.json(), { token: /^focus_pat_/ }, 'started there, polled here')

  const own = (await app.inject({ method: 'POST', url: '/api/device/start', remoteAddress: newAddress() })).json()
  await decide(ada, own.user_code)
  t.match((await ask(own.device_code)).json(), { access_token: /^focus_pat_/ }, 'and the other way around')

  const address = newAddress()
  for (let n = 0; n < 5; n++) {
    await begin({}, address)
    await app.inject({ method: 'POST', url: '/api/device/start', remoteAddress: address })
  }
  const refused = await begin({}, address)
  t.match(
    [refused.statusCode, refused.json().error, refused.headers['retry-after']],
    [429, 'too_many_attempts', /^\d+$/],
  )
})
