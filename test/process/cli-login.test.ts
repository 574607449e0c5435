import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { CODE, type Ended, FOCUS, machine, serve } from '../support/cli.ts'
import { freePort } from '../support/free-port.ts'
import { answer, isPoll, openGate, type Rule } from '../support/gate.ts'
import type { Person } from '../support/start.ts'

// Each waits for polls, not for the processor.
t.jobs = 4

const service = await serve(t)
const { app, db, url } = service

/**
 * Somebody begins to log in through a gate, which holds the polls until `proceed`, and has the code on their screen.
 * @param older whether the server is one that does not have OAuth yet
 */
async function beginning(t: Test, rule: Rule = () => false, args: string[] = [], older = false) {
  const { promise: proceeding, resolve: proceed } = Promise.withResolvers<void>()
  let device_code = ''
  const gate = await openGate(t, service.url, async (request, reply, pass) => {
    if (older && request.path.startsWith('/oauth/')) {
      return answer(reply, 404, { error: 'not_found', message: `There is no POST ${request.path} in this API.` })
    }
    if (request.path === (older ? '/api/device/start' : '/oauth/device_authorization')) {
      const started = (await (await pass()).json()) as { device_code: string }
      device_code = started.device_code
      return answer(reply, 200, { ...started, interval: 1 })
    }
    if (isPoll(request)) await proceeding
    return rule(request, reply, pass)
  })
  const ada = await service.person()
  const computer = await machine(t, { FOCUS_SERVER: gate.url })
  const login = computer.begin(['login', ...args])
  const [, spaced = ''] = await login.said(CODE)
  const code = spaced.replaceAll(' ', '')
  return {
    ada,
    gate,
    computer,
    login,
    code,
    deviceCode: () => device_code,
    proceed,
    async decides(action?: string) {
      await decide(ada, code, action)
      proceed()
    },
  }
}

async function decide(person: Person, user_code: string, action = 'approve') {
  const decided = await person.postFromOurPage('/api/device/complete', { user_code, action })
  if (decided.statusCode !== 200) throw new Error(decided.body)
}

const failed = (t: Test, { code, stdout, stderr }: Ended, message: RegExp) => {
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, message)
  t.match(stderr, `${FOCUS} login`, 'says how to start again')
}

t.test('a login that is approved ends with who you are, and later commands use its token', async (t) => {
  const { ada, gate, computer, login, decides } = await beginning(t)
  await decides()
  const { code: exitCode, stdout, stderr } = await login.ended
  t.equal(exitCode, 0, stderr)
  t.equal(stdout, `Signed in to ${gate.url} as ${ada.email}, with 0 credits.\n`)
  t.match(stderr, `${url}/device\n`, 'says where to type the code')
  t.notMatch(stderr, /\p{Cc}(?<!\n)|[█▀▄]/u, 'no colours and no QR code where there is no terminal')

  const [poll] = gate.polls()
  t.match(poll, { method: 'POST', path: '/oauth/token' }, 'the device code stays out of the address')
  const asked = Object.fromEntries(new URLSearchParams(gate.requests[0]?.body))
  t.match(asked, { client_id: 'focus-cli', client_name: /^focus on ./, scope: 'account' })
  t.notOk(
    gate.requests.some(({ path }) => path.startsWith('/api/device/')),
    'by the standard endpoints alone',
  )

  const whoami = await computer.focus(['whoami', '--json'], { FOCUS_SERVER: '' })
  t.match(JSON.parse(whoami.stdout), { server: gate.url, account: { id: ada.id }, source: 'login', name: ada.email })
  const token = (await computer.focus(['print-token'])).stdout
  t.match(token, /^focus_pat_[0-9A-Za-z]{49}\n$/, 'and nothing else')

  const [file = ''] = await readdir(join(computer.config, 'logins'))
  t.strictSame(await readdir(join(computer.config, 'logins')), [file], 'no part of a file is left over')
  t.equal((await stat(join(computer.config, 'logins', file))).mode & 0o777, 0o600)
  t.equal((await stat(join(computer.config, 'logins'))).mode & 0o777, 0o700)
  t.match(JSON.parse(await readFile(join(computer.config, 'logins', file), 'utf8')), { token: token.trim() })

  const logout = await computer.focus(['logout'])
  t.equal(logout.code, 0)
  t.strictSame(
    (await ada.get('/api/tokens')).json(),
    { tokens: [], next_cursor: null },
    'logging out revokes the token',
  )
  t.strictSame(await readdir(join(computer.config, 'logins')), [])
  t.equal((await computer.focus(['whoami'])).code, 4)
})

t.test('logging in again revokes the token before, and --scope says what the new one is for', async (t) => {
  const { ada, computer, login, gate, decides } = await beginning(t, undefined, ['--scope', 'admin,oauth'])
  await decides()
  t.equal((await login.ended).code, 0)
  const again = computer.begin(['login', '--json'])
  const [, code = ''] = await again.said(CODE)
  await decide(ada, code.replaceAll(' ', ''))
  const { stdout } = await again.ended
  const { tokens } = (await ada.get('/api/tokens')).json()
  t.match(tokens, [{ scopes: ['account'] }], 'one machine, one token')
  t.match(JSON.parse(stdout), { server: gate.url, token: { id: tokens[0].id, scopes: ['account'] } })
  const asked = gate.requests
    .filter(({ path }) => path === '/oauth/device_authorization')
    .map(({ body }) => new URLSearchParams(body).get('scope'))
  t.strictSame(asked, ['account admin oauth', 'account'])
})

t.test('a server that is too old for OAuth is asked by its own endpoints', async (t) => {
  const { ada, gate, login, decides } = await beginning(t, undefined, [], true)
  await decides()
  const { code, stdout, stderr } = await login.ended
  t.equal(code, 0, stderr)
  t.equal(stdout, `Signed in to ${gate.url} as ${ada.email}, with 0 credits.\n`)
  t.match(gate.polls(), [{ path: '/api/device/poll' }])
})

t.test('a login that is denied says so', async (t) => {
  for (const older of [false, true]) {
    const { login, decides } = await beginning(t, undefined, [], older)
    await decides('deny')
    failed(t, await login.ended, /^Error: The login was denied in the browser$/m)
  }
})

t.test('a login that nobody approved in time says so', async (t) => {
  const { login, code, proceed } = await beginning(t)
  await sql`update device_codes set expires_at = now() where user_code = ${code}`.execute(db)
  proceed()
  failed(t, await login.ended, /^Error: The code expired before it was approved$/m)
})

t.test('a login whose token somebody else has fetched says so', async (t) => {
  const { login, code, ada, deviceCode, proceed } = await beginning(t)
  await decide(ada, code)
  const fetched = await app.inject({ method: 'POST', url: '/api/device/poll', payload: { device_code: deviceCode() } })
  t.equal(fetched.statusCode, 200)
  await sql`update device_codes set delivered_at = now() - interval '2 minutes' where user_code = ${code}`.execute(db)
  proceed()
  failed(t, await login.ended, /^Error: The token of this login has been fetched already/m)
})

t.test('a login survives lost polls, a lost answer, and a server that is busy', async (t) => {
  let polls = 0
  const { login, decides, gate } = await beginning(t, async (request, reply, pass) => {
    if (!isPoll(request)) return false
    polls += 1
    if (polls === 1) return reply.destroy() && true
    if (polls === 2) return answer(reply, 503, { error: 'busy', message: 'Later.' }, { 'retry-after': '1' })
    // The server has minted the token; nobody hears of it.
    if (polls === 3) return (await pass()).ok && reply.destroy() && true
    return false
  })
  await decides()
  const { code, stderr } = await login.ended
  t.equal(code, 0, stderr)
  t.match(stderr, /does not answer: .*; trying again/)
  t.match(stderr, 'Later.; trying again')
  t.equal(gate.polls().length, 4)
})

t.test('polls do not overlap, keep the interval, and slow down for good when told to', async (t) => {
  let polls = 0
  const { login, decides, gate } = await beginning(t, async (request, reply) => {
    if (!isPoll(request)) return false
    polls += 1
    if (polls === 1) {
      await new Promise((resolve) => setTimeout(resolve, 1500))
      return answer(reply, 400, { error: 'authorization_pending' })
    }
    if (polls === 2) return answer(reply, 400, { error: 'slow_down', interval: 2 }, { 'retry-after': '1' })
    if (polls === 3) return answer(reply, 429, { error: 'too_many_attempts' }, { 'retry-after': '3' })
    return false
  })
  await decides()
  t.equal((await login.ended).code, 0)
  const pauses = gate.polls().map(({ from }, i, all) => from - (all[i - 1]?.to ?? from))
  const least = [0, 1000, 2000, 3000]
  t.ok(
    pauses.length === least.length && pauses.every((pause, i) => pause >= (least[i] ?? 0) - 50),
    `pauses of ${pauses} ms`,
  )
})

t.test('a server that is away is reported at once', async (t) => {
  const url = `http://localhost:${await freePort()}`
  const { code, stdout, stderr } = await (await machine(t)).focus(['login', '--server', url])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.equal(
    stderr,
    `Error: ${url} does not answer: ECONNREFUSED
Check that it is running, your network, --server and FOCUS_SERVER.
`,
  )
})

t.test('what is no Focus API is not believed', async (t) => {
  const computer = await machine(t)
  for (const [status, type, body] of [
    [200, 'text/html', '<h1>Welcome</h1>'],
    [404, 'text/html', '<h1>Nothing here</h1>'],
    [404, 'application/json', '{"message":"no route"}'],
    [200, 'application/json', '{}'],
    [200, 'application/json', '{"device_code":"x","user_code":"y","verification_uri":"file:///etc/passwd"}'],
  ] as const) {
    const gate = await openGate(t, undefined, (_, reply) =>
      Boolean(reply.writeHead(status, { 'content-type': type }).end(body)),
    )
    const { code, stdout, stderr } = await computer.focus(['login', '--server', gate.url])
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, `Error: ${gate.url} does not seem to be a Focus API`, body)
  }
})

t.test('a token of the environment is used instead of a login, and neither made nor revoked', async (t) => {
  const computer = await machine(t, { FOCUS_TOKEN: 'focus_pat_x', FOCUS_SERVER: 'http://localhost:9' })
  for (const command of ['login', 'logout']) {
    const { code, stderr } = await computer.focus([command])
    t.equal(code, 1)
    t.match(stderr, /FOCUS_TOKEN is set/)
  }
})
