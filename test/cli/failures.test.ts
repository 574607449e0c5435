import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { unreachable } from '../../cli/src/api.ts'
import { line, lines } from '../../cli/src/output.ts'
import { everyPage } from '../../cli/src/pages.ts'
import { proxyOf } from '../../cli/src/proxy.ts'
import { readLastServer, readLogin, removeLogin, writeLogin } from '../../cli/src/store.ts'
import { temporaryFolder } from '../support/process.ts'

const SERVER = 'https://account.example.com'
const failed = (code: string) => unreachable(SERVER, Object.assign(new TypeError('fetch failed'), { cause: { code } }))

t.test('a TLS error is explained, and its hint names NODE_EXTRA_CA_CERTS', async (t) => {
  for (const [code, said] of [
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /self-signed/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /does not know its certificate authority/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /does not know its certificate authority/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /does not know its certificate authority/],
    ['CERT_HAS_EXPIRED', /has expired/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /another host name/],
  ] as const) {
    const { code: kind, message, hint } = failed(code)
    t.equal(kind, 'tls_failed')
    t.match(message, said)
    t.match(message, code)
    t.match(hint, /NODE_EXTRA_CA_CERTS/)
  }
  t.match(failed('ERR_SSL_WRONG_VERSION_NUMBER'), { code: 'tls_failed', message: /does not speak TLS/ })
  t.match(failed('ECONNREFUSED'), { code: 'server_unreachable', hint: /--server/ })
})

t.test('the proxy of the environment is used except for this machine and NO_PROXY', async (t) => {
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  Object.assign(process.env, { HTTPS_PROXY: 'http://proxy.example.com:3128', NO_PROXY: 'internal.example.com,.corp' })
  t.equal(proxyOf(SERVER), 'http://proxy.example.com:3128')
  for (const url of [
    'https://internal.example.com',
    'https://focus.corp',
    'https://localhost:8443',
    'https://127.0.0.1',
  ])
    t.equal(proxyOf(url), undefined, url)
  t.match(failed('ECONNREFUSED').hint, /proxy in HTTPS_PROXY.*NO_PROXY/)
})

t.test('what is interpolated into a line cannot steer the terminal, and lines stay lines', async (t) => {
  const hostile = '\u001b]0;owned\u0007\u009b2J\u202etxt\r\n\u2028'
  const text = `${lines([line`a ${hostile} b`, line`${line`${hostile}`}`])}`
  t.notMatch(text.replace('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}]/u)
  t.equal(text.split('\n').length, 2)
  t.match(text, '\\u001b]0;owned\\u0007')
  t.equal(`${line`${0} ${true} ${null}${undefined}`}`, '0 yes ')
})

t.test("the error about another user's login explains what to do, without deleting it", async (t) => {
  const { getuid } = process
  const xdg = process.env.XDG_CONFIG_HOME
  process.env.XDG_CONFIG_HOME = await temporaryFolder(t)
  t.teardown(() => {
    Object.assign(process, { getuid })
    process.env.XDG_CONFIG_HOME = xdg
    if (xdg === undefined) delete process.env.XDG_CONFIG_HOME
  })
  await writeLogin({ server: SERVER, token: 'focus_pat_x', expires_at: '2099-01-01T00:00:00Z' })
  const mine = process.getuid?.() ?? 0
  process.getuid = () => mine + 1
  const refused = await readLogin(SERVER).catch((error) => error)
  t.match(refused, { code: 'config_not_private', message: new RegExp(`belongs to another user \\(uid ${mine}\\)`) })
  t.match(refused.hint, new RegExp(`You are uid ${mine + 1}\\..*--user ${mine}\\).*XDG_CONFIG_HOME.*FOCUS_TOKEN_FILE`))
  t.notMatch(refused.hint, /\brm\b|log in again/)
  Object.assign(process, { getuid })
  t.match(await readLogin(SERVER), { token: 'focus_pat_x' })

  await removeLogin(SERVER)
  t.equal(await readLogin(SERVER), undefined)
  t.equal(await readLastServer(), SERVER, 'later commands still ask that server')
  const last = join(process.env.XDG_CONFIG_HOME ?? '', 'focus', 'last-server.json')
  await mkdir(join(last, '..'), { recursive: true })
  await writeFile(last, '{', { mode: 0o600 })
  await removeLogin(SERVER)
  t.equal(await readLastServer(), undefined, 'a corrupt file is removed')
})

t.test('reading a list that does not end is aborted', async (t) => {
  const answers = (cursors: (string | null)[]) => {
    let asked = 0
    return async () => {
      if (asked > 20) throw new Error('It asks without end')
      return { rows: [asked], next_cursor: cursors[Math.min(asked++, cursors.length - 1)] ?? null }
    }
  }
  t.strictSame(await everyPage('rows', answers(['a', 'b', null])), { rows: [0, 1, 2], next_cursor: null })
  for (const cursors of [['a'], ['a', 'b', 'a', 'b', 'a', 'b', 'a']]) {
    await t.rejects(everyPage('rows', answers(cursors)), { code: 'not_a_focus_api', message: /does not end/ })
  }
})
