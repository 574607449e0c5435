import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { FOCUS, machine, serve } from '../support/cli.ts'
import { logIn } from '../support/device.ts'
import { behindProxy } from '../support/tls-proxy.ts'

t.jobs = 3

const { app, db, person, url } = await serve(t)

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()

t.test('login --with-token stores a token from standard input, and says where', async (t) => {
  const ada = await person()
  const token = await logIn(app, ada)
  const computer = await machine(t, { FOCUS_SERVER: url })
  const login = computer.begin(['login', '--with-token'])
  login.child.stdin.end(`${token}\n`)
  const { code, stdout, stderr } = await login.ended
  t.equal(code, 0, stderr)
  t.match(stdout, `Signed in to ${url} as ${ada.clerkId}`)
  const file = /^The token is stored in (.+)\.$/m.exec(stderr)?.[1] ?? ''
  t.match(JSON.parse(await readFile(file, 'utf8')), { server: url, token })
  const whoami = await computer.focus(['whoami', '--json'])
  t.match(JSON.parse(whoami.stdout), { source: 'login', file, account: { id: ada.id } })

  for (const [given, message] of [
    ['', /Standard input is not a token/],
    ['two words', /Standard input is not a token/],
    [ada.token, /not a personal access token/],
    [`${token}x`, /./],
  ] as const) {
    const refused = computer.begin(['login', '--with-token'])
    refused.child.stdin.end(given)
    const { code, stderr } = await refused.ended
    t.ok(code === 2 || code === 4, `${code}`)
    t.match(stderr, message)
  }
  t.equal((await computer.focus(['print-token'])).stdout, `${token}\n`, 'the login is still there')
})

t.test('FOCUS_TOKEN_FILE names a file with the token', async (t) => {
  const ada = await person()
  const computer = await machine(t, { FOCUS_SERVER: url })
  const file = join(computer.home, 'token')
  await writeFile(file, `${await logIn(app, ada)}\n`)
  const env = { FOCUS_TOKEN_FILE: file }
  const { stdout } = await computer.focus(['whoami', '--json'], env)
  t.match(JSON.parse(stdout), { source: 'FOCUS_TOKEN_FILE', file, account: { id: ada.id } })
  t.match(await computer.focus(['login'], env), { code: 1, stderr: /FOCUS_TOKEN_FILE is set/ })
  const missing = await computer.focus(['whoami'], { FOCUS_TOKEN_FILE: `${file}s` })
  t.match(missing, { code: 2, stderr: /FOCUS_TOKEN_FILE cannot be read/ })
})

t.test('a token with under seven days left is announced, on stderr, and not in the way of JSON', async (t) => {
  const token = await logIn(app, await person())
  const computer = await machine(t)
  await computer.keep(url, token, inDays(6.5))
  const soon = await computer.focus(['print-token'])
  t.equal(soon.stdout, `${token}\n`)
  t.equal(soon.stderr, `Your token expires in 6 days. Renew it: ${FOCUS} login\n`)
  t.equal((await computer.focus(['print-token', '--json'])).stderr, '')
  await computer.keep(url, token, inDays(0.5))
  t.match((await computer.focus(['whoami'])).stderr, /^Your token expires in less than a day\.[^\n]*\n$/)
  await computer.keep(url, token, inDays(8))
  t.equal((await computer.focus(['print-token'])).stderr, '')
})

t.test('logging out says what became of the token, and keeps the server', async (t) => {
  const ada = await person()
  const computer = await machine(t)
  for (const [change, said, revoked] of [
    ['select 1 where $1 is not null', /and revoked its token\.$/, true],
    [
      "update tokens set expires_at = now() - interval '1 minute' where id = $1::uuid",
      /Its token had expired\.$/,
      false,
    ],
    ['update tokens set revoked_at = now() where id = $1::uuid', /Its token had been revoked before\.$/, true],
  ] as const) {
    const token = await logIn(app, ada)
    const { tokens } = (await ada.get('/api/tokens')).json()
    const [id] = tokens.map(({ id }: { id: string }) => id)
    for (const [json, matches] of [
      [false, said],
      [true, revoked],
    ] as const) {
      if (!json) await sql.raw(change.replace('$1', `'${id}'`)).execute(db)
      await computer.keep(url, token)
      const { code, stdout } = await computer.focus(['logout', ...(json ? ['--json'] : [])])
      t.equal(code, 0)
      if (!json) t.match(stdout.trim(), matches)
      // The second logout finds the token revoked or expired.
      else t.match(JSON.parse(stdout), { server: url, revoked: matches })
    }
  }
  t.match((await computer.focus(['whoami'])).stderr, `You are not signed in to ${url}`, 'not to another server')
})

t.test('a browser that does not open is not called opened', async (t) => {
  const computer = await machine(t, { FOCUS_SERVER: url })
  const browser = join(computer.home, 'browser')
  await writeFile(browser, '#!/bin/sh\nexit 3\n')
  await chmod(browser, 0o755)
  // What `open` starts on Linux.
  await writeFile(join(computer.home, 'xdg-open'), '#!/bin/sh\nexit 3\n')
  const terminal = computer.terminal(['login'], { BROWSER: browser })
  await terminal.shows(/Waiting for approval/)
  t.notMatch(terminal.seen(), /Opened/)
  t.match(terminal.seen(), /No browser could be opened\. Open the page yourself\./)
  terminal.type('\u0003')
  t.equal(await terminal.ended, 130)
})

t.test('a server behind a proxy and an authority of its own is reached', async (t) => {
  const there = await behindProxy(t)
  const { focus } = await machine(t, { FOCUS_SERVER: there.url, FOCUS_TOKEN: 'focus_pat_x', HTTPS_PROXY: there.proxy })
  const trusting = { NODE_EXTRA_CA_CERTS: there.ca }
  const reached = await focus(['whoami', '--json'], trusting)
  t.equal(reached.code, 0, reached.stderr)
  t.strictSame([...new Set(there.asked)], ['focus.test:443'])
  const distrusting = await focus(['whoami'])
  t.match(distrusting, {
    code: 1,
    stderr: /TLS certificate of https:\/\/focus\.test is not trusted.*\n.*NODE_EXTRA_CA_CERTS/,
  })
  const before = there.asked.length
  t.match(await focus(['whoami'], { ...trusting, NO_PROXY: 'focus.test' }), { code: 1, stderr: /does not answer/ })
  t.equal(there.asked.length, before, 'NO_PROXY is obeyed')
  t.match(await focus(['whoami'], { HTTPS_PROXY: 'http://127.0.0.1:9' }), { code: 1, stderr: /HTTPS_PROXY/ })
})
