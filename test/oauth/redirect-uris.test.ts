import t from 'tap'
import { isRedirectUri, isRegistered } from '../../src/oauth/redirect-uris.ts'

t.test('what can be registered: https, or http on a loopback address, as a browser writes it', async (t) => {
  for (const good of [
    'https://app.example.com/callback',
    'https://app.example.com/',
    'https://app.example.com:8443/callback?from=focus',
    'http://127.0.0.1/callback',
    'http://127.0.0.1:7777/callback',
    'http://localhost/',
    'http://[::1]:7777/callback',
  ]) {
    t.ok(isRedirectUri(good), good)
  }
  for (const bad of [
    '',
    'https://app.example.com',
    'https://app.example.com/callback#fragment',
    'https://app.example.com/callback#',
    'https://user@app.example.com/callback',
    'https://user:secret@app.example.com/callback',
    'https://@app.example.com/callback',
    'http://app.example.com/callback',
    'http://127.0.0.1.example.com/callback',
    'http://localhost.example.com/callback',
    'http://localhost@app.example.com/callback',
    'http://127.1/callback',
    'http://2130706433/callback',
    'HTTPS://app.example.com/callback',
    'https://APP.example.com/callback',
    'https://app.example.com:443/callback',
    'https://app.example.com/a/../callback',
    'https://app.example.com/call back',
    'https://app.example.com\\callback',
    ' https://app.example.com/callback',
    'https://app.example.com/callback\n',
    'https://*.example.com/callback',
    'https://a;b.example.com/callback',
    'https:app.example.com/callback',
    '//app.example.com/callback',
    '/callback',
    'com.example.app:/callback',
    'javascript:alert(1)',
    'data:text/html,x',
    `https://app.example.com/${'x'.repeat(1_000)}`,
  ]) {
    t.notOk(isRedirectUri(bad), bad)
  }
})

t.test(
  'a client is answered character by character at what it registered, but for the port of a loopback address',
  async (t) => {
    const registered = [
      'https://app.example.com/callback',
      'https://app.example.com/other?a=1',
      'http://127.0.0.1/callback',
      'http://localhost:3210/callback',
      'http://[::1]/callback',
    ]
    for (const good of [
      ...registered,
      'http://127.0.0.1:1/callback',
      'http://127.0.0.1:65535/callback',
      'http://localhost/callback',
      'http://localhost:9/callback',
      'http://[::1]:8080/callback',
    ]) {
      t.ok(isRegistered(good, registered), good)
    }
    for (const bad of [
      'https://app.example.com/callback/',
      'https://app.example.com//callback',
      'https://app.example.com/callback?',
      'https://app.example.com/callback?a=1',
      'https://app.example.com/callback#',
      'https://app.example.com/callback#a',
      'https://app.example.com/Callback',
      'https://app.example.com/%63allback',
      'https://app.example.com/callback/../callback',
      'https://app.example.com/callback/../../evil',
      'https://app.example.com:8443/callback',
      'https://app.example.com:443/callback',
      'https://app.example.com./callback',
      'https://user@app.example.com/callback',
      'https://app.example.com@evil.example.com/callback',
      'https://evil.example.com/callback',
      'https://evil.example.com/?https://app.example.com/callback',
      'https://app.example.com.evil.example.com/callback',
      'https://app.example.com/callback.evil',
      'http://app.example.com/callback',
      'https://app.example.com/other?a=1&b=2',
      'https://127.0.0.1/callback',
      'http://127.0.0.2/callback',
      'http://127.0.0.1:8080/other',
      'http://127.0.0.1:8080/callback?a=1',
      'http://127.0.0.1:8080@evil.example.com/callback',
      'http://127.0.0.1:80@evil.example.com/callback',
      'http://127.0.0.1:x/callback',
      'http://127.0.0.1:99999/callback',
      'http://user@127.0.0.1/callback',
      'http://localhost.evil.example.com/callback',
      'http://0.0.0.0/callback',
      'http://[::1]:8080/callback#',
      'http://[::ffff:127.0.0.1]/callback',
      'HTTP://127.0.0.1/callback',
      '',
    ]) {
      t.notOk(isRegistered(bad, registered), bad)
    }
    t.notOk(isRegistered('https://app.example.com/callback', []))
  },
)
