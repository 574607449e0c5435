import t from 'tap'
import { safeRedirect, signinUrl, type TokenIn, withToken } from '../../src/access/redirects.ts'
import { isLoopback, isOrigin } from '../../src/addresses.ts'

const allowed = new Set([
  'https://app.example.com',
  'https://app.example.com:8443',
  'https://xn--bcher-kva.example',
  'http://app.example.com',
  'http://localhost:5173',
  'http://127.0.0.1:5173',
  'http://[::1]:5173',
])
const isAllowed = (origin: string) => allowed.has(origin)
const local = { isAllowed, loopbackHttp: true }
const deployed = { isAllowed, loopbackHttp: false }

t.test('a browser is sent to an allowed origin, and to exactly the address that was given', async (t) => {
  for (const [raw, href = raw] of [
    ['https://app.example.com/'],
    ['https://app.example.com', 'https://app.example.com/'],
    ['https://app.example.com/a/b?c=d&e=%20f#g/h?i'],
    ['https://app.example.com:443/', 'https://app.example.com/'],
    ['https://app.example.com:8443/x'],
    ['HTTPS://APP.EXAMPLE.COM/Path', 'https://app.example.com/Path'],
    ['https://xn--bcher-kva.example/'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example/'],
    ['https://app.example.com/?next=https://elsewhere.example/'],
    ['https://app.example.com/@handle'],
    ['https://app.example.com/a/../b', 'https://app.example.com/b'],
    ['https://app.example.com/%5c%0a'],
    [`https://app.example.com/${'x'.repeat(2048 - 24)}`],
  ] as const) {
    t.equal(safeRedirect(raw, deployed)?.href, href, raw)
  }
})

t.test('other redirect targets are refused', async (t) => {
  const hostile: unknown[] = [
    // Other schemes
    'http://app.example.com/',
    'ftp://app.example.com/',
    'javascript:alert(1)',
    'javascript://app.example.com/%0aalert(1)',
    'data:text/html,<script>alert(1)</script>',
    'blob:https://app.example.com/0195a1f0',
    'filesystem:https://app.example.com/x',
    'view-source:https://app.example.com/',
    'https:app.example.com',
    'https:/app.example.com',
    'https:///app.example.com',
    'https:\\\\app.example.com',
    // Relative to whatever page it lands on
    '//app.example.com/',
    '///app.example.com/',
    '/\\app.example.com/',
    '/path',
    'app.example.com',
    '.',
    // Userinfo
    'https://app.example.com@elsewhere.example/',
    'https://elsewhere.example@app.example.com/',
    'https://user:password@app.example.com/',
    'https://@app.example.com/',
    'https://:@app.example.com/',
    'https://app.example.com%40elsewhere.example/',
    // Hosts that look like it
    'https://app.example.com.elsewhere.example/',
    'https://elsewhere-app.example.com/',
    'https://sub.app.example.com/',
    'https://example.com/',
    'https://app.example.com./',
    'https://.app.example.com/',
    'https://app.example.comm/',
    'https://app\u3002example\u3002com.elsewhere.example/',
    'https://\u0430pp.example.com/',
    'https://app.example.com%2eelsewhere.example/',
    'https://app.example.com%00.elsewhere.example/',
    'https://elsewhere.example/https://app.example.com/',
    'https://elsewhere.example#@app.example.com/',
    'https://elsewhere.example?@app.example.com/',
    'https://*.example.com/',
    'https://[::1/',
    // Ports
    'https://app.example.com:444/',
    'https://app.example.com:80/',
    'https://app.example.com:99999/',
    // What parsers disagree about
    'https://app.example.com\\@elsewhere.example/',
    'https://elsewhere.example\\@app.example.com/',
    'https://app.example.com/\\elsewhere.example',
    'https://elsewhere.example\\.app.example.com/',
    ' https://app.example.com/',
    'https://app.example.com/ ',
    'https://app.example.com/a b',
    'https://app.exam\tple.com/',
    'ht\ntps://app.example.com/',
    'https://app.example.com/\r\nSet-Cookie: x=1',
    'https://app.example.com/\0',
    'https://app.example.com/\x7f',
    'https://app.example.com/\x85',
    'https://app.example.com/\u2028',
    '\ufeffhttps://app.example.com/',
    // Length
    `https://app.example.com/${'x'.repeat(2049 - 24)}`,
    '',
    // No text at all
    undefined,
    null,
    1,
    {},
    ['https://app.example.com/'],
    new URL('https://app.example.com/'),
  ]
  t.strictSame(
    hostile.filter((raw) => safeRedirect(raw, deployed) !== undefined),
    [],
  )
})

t.test('http is for this machine alone, and only in local use', async (t) => {
  for (const origin of ['http://localhost:5173', 'http://127.0.0.1:5173', 'http://[::1]:5173']) {
    t.equal(safeRedirect(`${origin}/cb`, local)?.href, `${origin}/cb`)
    t.equal(safeRedirect(`${origin}/cb`, deployed), undefined, `${origin} where the service is deployed`)
  }
  for (const raw of [
    'http://app.example.com/',
    'http://localhost:5174/',
    'https://localhost:5173/',
    'http://localhost.elsewhere.example:5173/',
    'http://127.0.0.2:5173/',
  ]) {
    t.equal(safeRedirect(raw, local), undefined, raw)
  }
})

t.test('the token is put where it was asked for, replaces an older one and leaves the rest as it was', async (t) => {
  const table: [target: string, tokenIn: TokenIn, expected: string][] = [
    ['https://a.example/', 'query', 'https://a.example/?token=new'],
    ['https://a.example/?x=1#route', 'query', 'https://a.example/?x=1&token=new#route'],
    ['https://a.example/?token=old&x=1&token=older', 'query', 'https://a.example/?x=1&token=new'],
    ['https://a.example/?%74oken=old', 'query', 'https://a.example/?token=new'],
    ['https://a.example/?token', 'query', 'https://a.example/?token=new'],
    [
      'https://a.example/?tokens=1&my_token=2&x=token',
      'query',
      'https://a.example/?tokens=1&my_token=2&x=token&token=new',
    ],
    ['https://a.example/?a=%20+%2B&b&c=&a=2', 'query', 'https://a.example/?a=%20+%2B&b&c=&a=2&token=new'],
    ['https://a.example/?bad=%E0%A4%A', 'query', 'https://a.example/?bad=%E0%A4%A&token=new'],
    ['https://a.example/?x=1', 'fragment', 'https://a.example/?x=1#token=new'],
    ['https://a.example/#/route', 'fragment', 'https://a.example/#/route&token=new'],
    ['https://a.example/#token=old&x=1', 'fragment', 'https://a.example/#x=1&token=new'],
    ['https://a.example/?x=1#y', 'none', 'https://a.example/?x=1#y'],
  ]
  for (const [target, tokenIn, expected] of table) {
    t.equal(withToken(new URL(target), 'new', tokenIn), expected, `${target}, ${tokenIn}`)
  }
})

t.test('a caller is sent back from the sign-in only to where a sign-in may return', async (t) => {
  const at = (...from: (string | undefined)[]) => signinUrl('https://account.example.com', from, isAllowed)
  const plain = 'https://account.example.com/signin'
  t.equal(at(undefined, undefined), plain)
  t.equal(at('https://elsewhere.example/x', 'null'), plain)
  t.equal(at('not a url', ''), plain)
  const page = 'https://app.example.com/page?x=1&y=2#z'
  t.equal(at(page, 'https://app.example.com'), `${plain}?${new URLSearchParams({ redirect_to: page })}`)
  t.match(at('https://elsewhere.example/', 'https://app.example.com'), /redirect_to=https%3A%2F%2Fapp\.example\.com$/)
})

t.test('loopback is what only this machine can mean', async (t) => {
  for (const name of ['localhost', 'LOCALHOST', '127.0.0.1', '127.1.2.3', '::1', '[::1]']) t.ok(isLoopback(name), name)
  for (const name of [
    '',
    'localhost.',
    'localhost.example.com',
    'example.com',
    '127.0.0.1.nip.io',
    '0.0.0.0',
    '::',
    '128.0.0.1',
    '[::ffff:127.0.0.1]',
    '169.254.169.254',
  ]) {
    t.notOk(isLoopback(name), name)
  }
})

t.test('an origin is what a browser would send as one', async (t) => {
  for (const origin of ['https://a.example', 'http://localhost:5173', 'http://[::1]:1']) t.ok(isOrigin(origin), origin)
  for (const origin of ['https://a.example/', 'https://A.example', 'https://a.example:443', 'null', '*', 'file://']) {
    t.notOk(isOrigin(origin), origin)
  }
})

t.test('our own pages are returned to however we are reached, and nobody else for that', async (t) => {
  const ours = 'http://192.0.2.7:3000'
  const rules = { ...deployed, isOurs: (origin: string) => origin === ours }
  t.equal(safeRedirect(`${ours}/device?user_code=x`, rules)?.href, `${ours}/device?user_code=x`)
  for (const raw of [
    'http://192.0.2.7:3001/',
    'http://app.example.com/',
    `http://user@192.0.2.7:3000/`,
    `${ours}\\@x/`,
  ]) {
    t.equal(safeRedirect(raw, rules), undefined, raw)
  }
})
