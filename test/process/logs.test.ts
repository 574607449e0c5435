import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { webhookDelivery } from '../../src/background/deliver-webhooks.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { deliver, webhookSecret } from '../support/clerk-webhook.ts'
import { bearer, startLogin } from '../support/device.ts'
import { LISTENING, launch, signIn } from '../support/process.ts'
import { startProxy } from '../support/proxy.ts'
import { databaseUrl, startOwn, unique } from '../support/start.ts'
import { until } from '../support/until.ts'
import { startX } from '../support/x-stand-in.ts'

/** A log at level trace, and the secrets that must not be in it, by name. */
function watched() {
  const lines: string[] = []
  const secrets = new Map<string, string>()
  return {
    write: (line: string) => void lines.push(line),
    log: () => lines.join(''),
    secret<T extends string>(name: string, value: T): T {
      if (value.length < 6) throw new Error(`${name} is too short to be looked for`)
      secrets.set(name, value)
      return value
    },
    /** Every secret is looked for as it is, and as it stands in a URL, in base64 and in JSON */
    check(t: Test, atLeast: number) {
      const log = lines.join('')
      t.ok(secrets.size >= atLeast, `${secrets.size} secrets`)
      for (const [name, value] of secrets) {
        const forms = [
          value,
          encodeURIComponent(value),
          Buffer.from(value).toString('base64').replace(/=+$/, ''),
          JSON.stringify(value),
        ]
        t.notOk(
          forms.some((form) => log.includes(form)),
          `${name} is not in the log`,
        )
      }
    },
  }
}

const random = (prefix: string) => `${prefix}${randomBytes(16).toString('hex')}`

t.test('a whole journey with the local identity leaves no secret in the log, whatever goes wrong', async (t) => {
  const { write, log, secret, check } = watched()
  const x = await startX(t)
  const proxy = await startProxy(t, await databaseUrl())
  const { password } = new URL(proxy.url)
  if (password) secret('password of the database', password)
  const { app, person, admin } = await startOwn(
    t,
    {
      DATABASE_URL: proxy.url,
      LOG_LEVEL: 'trace',
      TOKEN_SECRET: secret('TOKEN_SECRET', random('ts')),
      LOCAL_OAUTH_TOKENS: `x=${secret('oauth token', random('ot'))}`,
      X_API_URL: x.url,
      ALLOWED_ORIGINS: 'http://localhost:5173',
    },
    write,
  )
  const ada = await person(secret('e-mail address', `${random('mail')}@example.com`))
  secret('session JWT', ada.token)
  secret('its signature', ada.token.split('.')[2] ?? '')
  secret('session cookie', ada.cookie.split('=')[1] ?? '')
  const toApp = await app.inject({ url: '/signin?redirect_to=http://localhost:5173/', headers: { cookie: ada.cookie } })
  secret('token in a redirect', new URL(toApp.headers.location ?? '').searchParams.get('token') ?? '')

  // A device login, by both ways of polling; the token; an end to it.
  const login = await startLogin(app, { client_name: 'laptop' })
  secret('device code', login.device_code)
  secret('user code', login.user_code)
  await login.poll()
  await app.inject({ url: `/device?user_code=${login.user_code}`, headers: { cookie: ada.cookie } })
  await ada.postFromOurPage('/api/device/complete', { user_code: 'BCDF-0000' })
  await ada.postFromOurPage('/api/device/complete', { user_code: login.user_code })
  const token = secret('PAT', (await login.poll()).json().token)
  await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code: login.device_code } })
  const device = bearer(app, token)
  t.equal((await device.get('/api/wallet')).statusCode, 200)
  await device.get('/api/oauthToken/x')
  await ada.get('/api/xToken')

  // An app with a key and a webhook.
  const operator = await admin()
  const slug = unique('keyed')
  const { settle_key } = (
    await operator.put(`/api/admin/apps/${slug}`, { starter_credits: 9, settle_key: 'rotate' })
  ).json().app
  secret('settle key', settle_key)
  const hook = await operator.post(`/api/admin/apps/${slug}/webhooks`, {
    url: `http://127.0.0.1:9/${secret('path of a webhook', random('hook'))}`,
    events: ['job.failed'],
  })
  secret('webhook secret', hook.json().secret)
  await ada.get(`/api/wallet?app=${slug}`)
  const { job_id } = (await ada.post('/api/jobs', { app: slug, action: 'render', cost_estimate: 5 })).json()
  const settling = { method: 'POST', url: '/api/jobs/fail', payload: { job_id, account_id: ada.id } } as const
  await app.inject({ ...settling, headers: { 'x-app-key': secret('wrong settle key', random(`focus_app_${slug}_`)) } })
  await app.inject({ ...settling, headers: { 'x-app-key': settle_key } })
  const delivery = webhookDelivery(app)
  await delivery.run()
  await until(() => log().includes('a webhook endpoint fails'))
  await delivery.stop()
  const { authorization } = operator
  const endpoint = `/api/admin/webhooks/${hook.json().endpoint.id}`
  await app.inject({ method: 'DELETE', url: endpoint, headers: { authorization } })

  // Whatever else may carry one, good or wrong.
  const foreign = secret('foreign bearer', random('foreign'))
  const send = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers })
  const xMe = () => send('/api/xMe', { authorization: `Bearer ${foreign}` })
  await xMe()
  x.answers((_, response) => void response.writeHead(500).end(foreign))
  await xMe()
  x.stop()
  await xMe()
  for (const wrong of [
    random('wrong'),
    `${ada.token}x`,
    `focus_pat_${random('p')}`,
    `eyJhbGciOiJub25lIn0.${random('e')}.`,
  ]) {
    await send('/api/wallet', { authorization: `Bearer ${secret('wrong token', wrong)}` })
    await send(`/api/wallet?token=${wrong}`, {
      cookie: `focus_session_3000=${wrong}`,
      referer: `http://x/?token=${wrong}`,
    })
    await send(`/nowhere?token=${wrong}`, { 'x-request-id': wrong })
    await app.inject({
      method: 'POST',
      url: '/api/session',
      payload: { token: wrong },
      headers: { origin: 'http://localhost:3000' },
    })
    await app.inject({
      method: 'POST',
      url: '/api/jobs',
      payload: `{"token": "${wrong}`,
      headers: { 'content-type': 'application/json', ...bearerOf(ada.token) },
    })
    await app.inject({
      method: 'POST',
      url: '/api/jobs',
      payload: { app: wrong, action: [wrong] },
      headers: bearerOf(ada.token),
    })
  }

  // And when the database is gone.
  await proxy.refuse()
  await Promise.all([
    send('/api/wallet', { cookie: ada.cookie }),
    device.get('/api/wallet'),
    ada.get('/api/wallet'),
    login.poll(),
    app.inject({ ...settling, headers: { 'x-app-key': settle_key } }),
    app.inject({
      method: 'POST',
      url: '/signin',
      payload: { email: 'ada@example.com', redirect_to: `http://localhost:5173/?token=${token}` },
    }),
  ])
  await proxy.pass()
  await device.delete('/api/tokens/current')
  await send('/api/wallet', { authorization: `Bearer ${token}` })
  await app.inject({
    method: 'DELETE',
    url: '/api/session',
    headers: { cookie: ada.cookie, origin: 'http://localhost:3000' },
  })

  t.match(log(), /"path":"\/api\/device\/poll"/, 'requests are logged')
  t.match(log(), /database_unavailable/, 'and failures')
  check(t, 15)
})

const bearerOf = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('a whole journey with Clerk leaves no secret in the log', async (t) => {
  const { write, log, secret, check } = watched()
  const clerk = await startClerk(t)
  secret('CLERK_SECRET_KEY', clerk.secretKey)
  secret('CLERK_WEBHOOK_SECRET', webhookSecret)
  const { app } = await startOwn(t, { ...clerk.env, CLERK_WEBHOOK_SECRET: webhookSecret, LOG_LEVEL: 'trace' }, write)
  const somebody = clerk.signIn()
  const oauth = secret('oauth token', random('oauth'))
  clerk.users.set(somebody.sub, { oauth_x: [{ external_account_id: 'eac_1', token: oauth, provider: 'oauth_x' }] })
  const token = secret('JWT', await clerk.token({ ...somebody }))
  secret('its signature', token.split('.')[2] ?? '')
  const session = await app.inject({
    method: 'POST',
    url: '/api/session',
    headers: { origin: clerk.env.PUBLIC_URL },
    payload: { token, name: secret('e-mail address', `${random('mail')}@example.com`) },
  })
  const cookie = session.cookies.map(({ name, value }) => `${name}=${secret('session cookie', value)}`).join()
  const ask = async () => {
    const minted = await app.inject({ url: '/api/sessionToken', headers: { cookie } })
    if (minted.statusCode === 200) secret('minted JWT', minted.json().token)
    await app.inject({ url: '/api/xToken', headers: { cookie } })
    await app.inject({ url: '/api/wallet', headers: { cookie: `__session=${token}` } })
    await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${token.slice(0, -3)}abc` } })
  }
  await ask()
  for (const fault of [
    { status: 401 },
    { status: 422, body: oauth },
    { status: 200, body: oauth },
    { instead: 'cut' },
  ] as const) {
    clerk.fail(/sessions|users/, fault)
    await ask()
    clerk.heal()
  }
  await deliver(app, { type: 'session.ended', data: { id: somebody.sid, token: oauth } })
  await deliver(
    app,
    { type: 'session.ended', data: {} },
    { headers: { 'svix-signature': secret('signature', random('v1,')) } },
  )
  t.match(log(), /a call to Clerk failed/)
  check(t, 8)
})

t.test('every log line and error of a request has its id, which is never one that the client sent', async (t) => {
  const { write, log } = watched()
  const { app } = await startOwn(t, { LOG_LEVEL: 'debug' }, write)
  const hostile = `"}\n{"level":60,"msg":"forged"}${'x'.repeat(5_000)}`
  const ids: string[] = []
  for (const url of ['/api/wallet', '/nowhere', '/api/wallet%', '/signin?redirect_to=x', '/healthz']) {
    const reply = await app.inject({ url, headers: { 'x-request-id': hostile } })
    const id = String(reply.headers['x-request-id'])
    t.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, url)
    if (reply.statusCode >= 400) t.ok(reply.body.includes(id), `${url}: the body has it too`)
    ids.push(id)
  }
  t.equal(new Set(ids).size, ids.length)
  const lines = log()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  for (const id of ids)
    t.ok(
      lines.some(({ request_id }) => request_id === id),
      'it can be found by it',
    )
  t.strictSame(
    lines.filter(({ req, res, request_id }) => (req || res) && !request_id),
    [],
  )
  t.notMatch(log(), /forged/)
})

t.test(
  'a process that is not at a terminal writes JSON and nothing else, from its first word on; no line per request',
  async (t) => {
    const service = await launch(t, { DATABASE_URL: await databaseUrl(), PUBLIC_URL: 'http://localhost:3000' })
    await service.said(LISTENING)
    await signIn(service.url)
    await (await fetch(`${service.url}/api/nothing?token=hidden`)).text()
    service.kill('SIGTERM')
    const { output, code } = await service.closed
    t.equal(code, 0)
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    for (const line of lines) t.match(line, { level: 30, time: Number, msg: String })
    t.ok(lines.some(({ msg }) => /^The Focus API is listening on /.test(msg)))
    t.ok(
      lines.some(({ msg }) => /^Server listening at /.test(msg)),
      "Fastify's own line, with the address",
    )
    t.strictSame(
      lines.filter((line) => line.request_id),
      [],
    )
  },
)
