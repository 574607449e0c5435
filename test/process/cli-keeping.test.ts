import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLogin } from '../../cli/src/store.ts'
import { CODE, FOCUS, machine, serve } from '../support/cli.ts'
import { logIn } from '../support/device.ts'
import { answer, openGate } from '../support/gate.ts'

const { app, person, url } = await serve(t)

t.test('a kept login that others can read is reported, and logging out revokes it', async (t) => {
  const ada = await person()
  const token = await logIn(app, ada)
  const computer = await machine(t)
  const file = await computer.keep(url, token)
  for (const mode of [0o640, 0o602]) {
    await chmod(file, mode)
    const { code, stdout, stderr } = await computer.focus(['print-token'])
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, `${file} can be read or written by others (mode 0${mode.toString(8)})`)
    t.match(stderr, `${FOCUS} logout`)
  }
  t.equal((await computer.focus(['logout'])).code, 0)
  t.strictSame((await ada.get('/api/tokens')).json(), { tokens: [], next_cursor: null })
  t.strictSame(await readdir(join(computer.config, 'logins')), [])
})

t.test('a corrupt login is reported, and not taken for none', async (t) => {
  const computer = await machine(t)
  const server = 'http://localhost:9'
  const file = await computer.keep(server, 'focus_pat_x')
  const expires_at = '2099-01-01T00:00:00Z'
  process.env.XDG_CONFIG_HOME = join(computer.config, '..')
  for (const content of [
    '',
    '{"server":"http://localhost:9","tok',
    'null',
    '[]',
    JSON.stringify({ server: 'https://account.thefocus.ai', token: 'x', expires_at }),
    JSON.stringify({ server, token: 'two\nlines', expires_at }),
    JSON.stringify({ server, token: '', expires_at }),
  ]) {
    await writeFile(file, content)
    await t.rejects(readLogin(server), { code: 'config_corrupt', exitCode: 1 }, content)
  }
  const { code, stdout, stderr } = await computer.focus(['print-token'])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, `Error: ${file} is corrupt\nRemove it (rm ${file})`)
  await writeFile(join(computer.config, 'last-server.json'), '{"server":')
  const last = await computer.focus(['whoami'])
  t.equal(last.code, 1)
  t.match(last.stderr, /last-server\.json is corrupt/)
})

t.test('a login replaces a corrupt one', async (t) => {
  const ada = await person()
  const gate = await openGate(t, url)
  const computer = await machine(t, { FOCUS_SERVER: gate.url })
  await writeFile(await computer.keep(gate.url, 'x'), '{')
  const login = computer.begin(['login'])
  const [, code = ''] = await login.said(CODE)
  await ada.postFromOurPage('/api/device/complete', { user_code: code })
  const { code: exitCode, stderr } = await login.ended
  t.equal(exitCode, 0)
  t.match(stderr, /is corrupt; this login replaces it/)
  t.equal((await computer.focus(['whoami'])).code, 0)
})

t.test('a login that cannot be kept is refused before anybody is asked for one', async (t) => {
  const computer = await machine(t, { FOCUS_SERVER: 'http://localhost:9' })
  await writeFile(join(computer.home, 'config'), 'a file where a folder should be')
  const { code, stderr } = await computer.focus(['login'])
  t.equal(code, 1)
  t.match(stderr, /^Error: The login cannot be stored: .*\nThe folder is .*focus\. Set XDG_CONFIG_HOME/)
})

t.test('a token goes to its server alone', async (t) => {
  const elsewhere = await openGate(t, undefined, (_, reply) =>
    answer(reply, 200, { account: {}, apps: [], tokens: [] }),
  )
  const computer = await machine(t)
  const redirecting = await openGate(t, undefined, (request, reply) => {
    const status = request.path === '/api/wallet' ? 307 : 302
    return Boolean(reply.writeHead(status, { location: `${elsewhere.url}${request.path}` }).end())
  })
  await computer.keep(redirecting.url, 'focus_pat_secret')
  const redirected = await computer.focus(['whoami'])
  t.equal(redirected.code, 1)
  t.match(redirected.stderr, `Error: ${redirecting.url} redirects to ${elsewhere.url}; nothing was sent there`)
  t.match(redirecting.requests[0]?.headers, { authorization: 'Bearer focus_pat_secret' })
  t.strictSame(elsewhere.requests, [])

  const other = await computer.focus(['whoami', '--server', elsewhere.url])
  t.equal(other.code, 4, 'nobody is signed in to the other')
  t.strictSame(elsewhere.requests, [])

  const secretOfCi = await computer.focus(['print-token', '--json'], { FOCUS_TOKEN: 'focus_pat_ci' })
  t.match(
    JSON.parse(secretOfCi.stdout),
    { server: 'https://account.thefocus.ai', token: 'focus_pat_ci' },
    'a token of the environment does not go to whatever server was used last',
  )
})

t.test('without its server a login is not forgotten, unless by force', async (t) => {
  const computer = await machine(t)
  await computer.keep('http://localhost:9', 'focus_pat_x')
  const { code, stderr } = await computer.focus(['logout'])
  t.equal(code, 1)
  t.match(
    stderr,
    /^Error: The token was not revoked\. .*\n.*node \S+focus\.js logout --force and revoke it on .*\/account\.\n$/,
  )
  t.match(await computer.focus(['print-token']), { code: 0 })
  t.match(await computer.focus(['logout', '--force']), { code: 0, stdout: /was not revoked/ })
  t.match(await computer.focus(['print-token']), { code: 4 })
})

t.test('what a server says cannot steer the terminal', async (t) => {
  const hostile = '\u001b]0;owned\u0007\u009b2J\u202etxt\r\nAll is well'
  const gate = await openGate(t, undefined, (request, reply) => {
    if (request.path.startsWith('/api/wallet')) return answer(reply, 403, { error: 'no', message: hostile })
    const job = { id: hostile, app_slug: hostile, action: hostile, status: 'started', reserved: 5, created_at: hostile }
    return answer(reply, 200, { jobs: [job], next_cursor: hostile })
  })
  const { focus } = await machine(t, { FOCUS_SERVER: gate.url, FOCUS_TOKEN: 'x' })
  const [table, json, refused] = await Promise.all([
    focus(['jobs', 'list']),
    focus(['jobs', 'list', '--json']),
    focus(['wallet']),
  ])
  t.equal(JSON.parse(json.stdout).jobs[0].action, hostile, 'JSON means what the server said')
  for (const { code, stdout, stderr } of [table, json, refused]) {
    t.notMatch(stdout + stderr, /(?!\n)[\p{Cc}\p{Cf}]/u)
    t.notMatch(stdout + stderr, /^All is well/m, 'nor write a line of its own')
    t.equal(code, stdout ? 0 : 1)
  }
  t.match(table.stdout, '\\u001b]0;owned\\u0007')
})
