import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { documentUrl, fetchDocument, readDocument } from '../../src/oauth/client-documents.ts'
import { newAddress } from '../support/device.ts'
import { startNameServer } from '../support/name-server.ts'
import { clientOf } from '../support/oauth.ts'
import { HOSTILE } from '../support/pages.ts'
import { start, startOwn } from '../support/start.ts'

const REDIRECT = 'https://assistant.example.com/callback'

/** Where a client's document is; `answer` can be changed as a client changes its document. */
async function serveDocument(t: Test) {
  const state = { asked: 0, answer: undefined as RequestListener | undefined, document: {} as Record<string, unknown> }
  const server = createServer((request, response) => {
    state.asked++
    if (state.answer) return state.answer(request, response)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(state.document))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const client_id = `http://127.0.0.1:${(server.address() as AddressInfo).port}/client.json`
  state.document = { client_id, client_name: 'Assistant', redirect_uris: [REDIRECT] }
  return { client_id, state, redirect_uri: REDIRECT }
}

t.test('which URLs can name a client', async (t) => {
  const here = { production: false, publicUrl: 'http://localhost:3000' }
  const live = { production: true, publicUrl: 'https://account.example.com' }
  for (const [url, isLocal, isLive] of [
    ['https://assistant.example.com/client.json', true, true],
    ['https://assistant.example.com:8443/a?b=c', true, true],
    ['http://127.0.0.1:1234/client.json', true, false],
    ['http://localhost/client.json', true, false],
    ['http://assistant.example.com/client.json', false, false],
    ['https://assistant.example.com', false, false],
    ['https://assistant.example.com/', false, false],
    ['https://assistant.example.com/client.json#a', false, false],
    ['https://user@assistant.example.com/client.json', false, false],
    ['https://assistant.example.com/../client.json', false, false],
    ['https://assistant.example.com/%2e%2e/client.json', false, false],
    ['https://ASSISTANT.example.com/client.json', false, false],
    ['https://assistant.example.com:443/client.json', false, false],
    ['https:/assistant.example.com/client.json', false, false],
    ['https://assistant.example.com\\client.json', false, false],
    [`https://assistant.example.com/${'x'.repeat(500)}`, false, false],
    ['http://localhost:3000/oauth/authorize', false, false],
    ['https://account.example.com/oauth/authorize', true, false],
  ] as const) {
    t.equal(documentUrl(url, here) !== undefined, isLocal, `${url} here`)
    t.equal(documentUrl(url, live) !== undefined, isLive, `${url} in production`)
  }
})

t.test('what a document may say', async (t) => {
  const client_id = 'https://assistant.example.com/client.json'
  const good = { client_id, client_name: 'Assistant', redirect_uris: [REDIRECT] }
  t.strictSame(readDocument(client_id, JSON.stringify(good)), { client_name: 'Assistant', redirect_uris: [REDIRECT] })
  for (const [change, fault] of [
    [{ client_id: `${client_id}/` }, /same client_id/],
    [{ client_id: undefined }, /same client_id/],
    [{ token_endpoint_auth_method: 'client_secret_basic' }, /no secret/],
    [{ token_endpoint_auth_method: 'private_key_jwt' }, /no secret/],
    [{ client_secret: 'x' }, /no secret/],
    [{ redirect_uris: undefined }, /no redirect_uris/],
    [{ redirect_uris: ['cursor://callback', 'http://assistant.example.com/', 7] }, /no redirect_uris/],
    [{ redirect_uris: Array.from({ length: 31 }, () => REDIRECT) }, /more than 30/],
  ] as const) {
    t.throws(() => readDocument(client_id, JSON.stringify({ ...good, ...change })), {
      code: 'invalid_client',
      message: fault,
    })
  }
  for (const text of ['', '[]', 'null', '"x"', '{'])
    t.throws(() => readDocument(client_id, text), { code: 'invalid_client' })
  const odd = { ...good, client_name: 'As\u202esis\u0000tant', redirect_uris: ['cursor://a', REDIRECT] }
  t.strictSame(readDocument(client_id, JSON.stringify(odd)), { client_name: 'As sis tant', redirect_uris: [REDIRECT] })
})

t.test('a document that redirects, fails or is huge is refused', async (t) => {
  const { client_id, state } = await serveDocument(t)
  const refusal = () =>
    fetchDocument(client_id, false).then(
      () => 'taken',
      (error) => error.message,
    )
  t.match(await fetchDocument(client_id, false), { client_name: 'Assistant', kept: 300 })
  for (const [header, kept] of [
    ['max-age=600', 600],
    ['private, max-age=5', 60],
    ['no-store', 60],
    ['max-age=99999999', 900],
  ] as const) {
    state.answer = (_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'cache-control': header })
        .end(JSON.stringify(state.document))
    t.equal((await fetchDocument(client_id, false)).kept, kept, header)
  }
  for (const [status, headers, body, fault] of [
    [302, { location: client_id }, '', /redirects/],
    [301, { location: 'https://elsewhere.example.com/' }, '', /redirects/],
    [404, {}, '{}', /404/],
    [203, { 'content-type': 'application/json' }, JSON.stringify(state.document), /203/],
    [200, { 'content-type': 'text/html' }, JSON.stringify(state.document), /Content-Type/],
    [200, { 'content-type': 'application/json' }, ' '.repeat(65_537), /larger than 64 KiB/],
  ] as const) {
    state.answer = (_, response) => response.writeHead(status, headers).end(body)
    t.match(await refusal(), fault)
  }
  state.answer = (request) => request.socket.destroy()
  t.match(await refusal(), /cannot be fetched/)
})

t.test('in production only public addresses are connected to, whatever a name says', async (t) => {
  await startNameServer(t, (name, type) =>
    type === 'A' ? [name.startsWith('metadata') ? '169.254.169.254' : '10.0.0.7'] : [],
  )
  for (const host of [
    '127.0.0.1',
    '[::1]',
    '169.254.169.254',
    '[::ffff:10.0.0.1]',
    'localhost',
    'intranet.example.com',
    'metadata.example.com',
  ])
    await t.rejects(fetchDocument(`https://${host}/client.json`, true), {
      code: 'invalid_client',
      message: /is not at a public address/,
    })
  await t.rejects(fetchDocument('http://127.0.0.1/client.json', true), { message: /cannot be fetched/ })
})

t.test('a client with a document logs people in; it is named by its host, and asks each time', async (t) => {
  const { app, person, db } = await start(t)
  const registered = await serveDocument(t)
  registered.state.document.client_name = `Claude ${HOSTILE}`
  const ada = await person()
  const client = clientOf(app, registered)
  const { host } = new URL(registered.client_id)
  const { body, statusCode } = await client.visit(ada)
  t.equal(statusCode, 200)
  t.ok(body.indexOf(host) > 0 && body.indexOf(host) < body.indexOf('calls itself'), 'the host comes first')
  t.notMatch(body, '<script>alert(1)')
  t.match((await client.press(ada, 'approve')).body, /Enter how many credits/, 'nobody has registered it')
  const tokens = await client.logIn(ada, { budget: '5' })
  t.match((await client.refresh(tokens.refresh_token)).statusCode, 200)
  t.equal((await client.visit(ada)).statusCode, 200, 'asked again')
  t.equal(registered.state.asked, 1, 'it was fetched once')
  const { grants } = { grants: await db.selectFrom('grants').selectAll().where('account_id', '=', ada.id).execute() }
  t.match(grants, [{ client_id: registered.client_id, app_slug: null, resource: null }])
  const account = await app.inject({ url: '/account', headers: { cookie: ada.cookie } })
  t.match(account.body, host)
  for (const wrong of [{ scope: 'account spend' }, { response_type: 'token' }, { resource: 'https://a.example.com' }]) {
    const refused = await client.visit(undefined, wrong)
    t.match(
      [refused.statusCode, refused.headers.location],
      [400, undefined],
      'no link of ours leads anywhere by itself',
    )
    t.match(
      refused.body,
      /<a href="https:\/\/assistant\.example\.com\/callback\?error=\w+&amp;[^"]*" rel="noreferrer">/,
    )
  }
})

t.test('no client is answered at an address of our own, which would take the answer for a link of ours', async (t) => {
  const { app, person } = await start(t)
  const registered = await serveDocument(t)
  const ours = 'http://localhost:3000/device?user_code=BCDF-1234'
  registered.state.document.redirect_uris = [ours, 'http://localhost/device']
  const ada = await person()
  for (const redirect_uri of [ours, 'http://localhost:3000/device']) {
    const client = clientOf(app, { ...registered, redirect_uri })
    const answers = [await client.visit(ada), await client.press(ada, 'deny'), await client.visit(ada, { scope: 'x' })]
    for (const { statusCode, headers } of answers) t.match([statusCode, headers.location], [400, undefined])
  }
  const local = clientOf(app, { ...registered, redirect_uri: 'http://localhost:49152/device' })
  t.equal((await local.visit(ada)).statusCode, 200, 'another port is another program')
})

t.test(
  'a document that has changed is noticed when it is read again: by the page, the button and the exchange',
  async (t) => {
    const before = await start(t)
    const registered = await serveDocument(t)
    const ada = await before.person()
    const first = clientOf(before.app, registered)
    const code = await first.code(ada, { budget: '5' })
    const { code_verifier } = first
    registered.state.document.redirect_uris = ['https://attacker.example.com/callback']
    // An instance that has read nothing yet.
    const { app } = await startOwn(t)
    const client = clientOf(app, registered)
    t.match([(await client.visit(ada)).statusCode, (await client.press(ada, 'approve')).statusCode], [400, 400])
    t.match((await client.redeem(code, { code_verifier })).json(), {
      error: 'invalid_request',
      error_description: /redirect_uri/,
    })
    const moved = clientOf(app, { ...registered, redirect_uri: 'https://attacker.example.com/callback' })
    t.match(
      (await moved.redeem(code, { code_verifier })).json(),
      { error: 'invalid_grant' },
      'a code stays at its address',
    )
    registered.state.document.client_id = 'https://else.example.com/client.json'
    const last = await startOwn(t)
    const refused = await clientOf(last.app, registered).visit(ada)
    t.match([refused.statusCode, refused.headers.location, refused.body], [400, undefined, /same client_id/])
  },
)

t.test(
  'one address makes us fetch thirty documents a minute, two at once; one that was refused is not asked for again at once',
  async (t) => {
    const { app } = await start(t)
    const { client_id, state } = await serveDocument(t)
    const visit = (path: string, remoteAddress: string) =>
      app.inject({
        url: '/oauth/authorize',
        query: { client_id: client_id + path, redirect_uri: REDIRECT },
        remoteAddress,
      })
    const address = newAddress()
    let waiting: (() => void)[] = []
    state.answer = (_, response) => waiting.push(() => response.writeHead(404).end())
    const many = Array.from({ length: 6 }, (_, n) => visit(`?at-once=${n}`, address))
    const statuses = Promise.all(many.map(async (answer) => (await answer).statusCode))
    await t.resolveMatch(
      Promise.all(many.slice(2)),
      [429, 429, 429, 429].map((statusCode) => ({ statusCode })),
    )
    const same = visit('?at-once=0', newAddress())
    while (waiting.length < 2) await new Promise(setImmediate)
    for (const answer of waiting) answer()
    t.strictSame((await statuses).slice(0, 2), [400, 400])
    t.equal((await same).statusCode, 400)
    t.equal(state.asked, 2, 'two who ask for the same share a fetch')
    state.answer = (_, response) => response.writeHead(404).end()
    for (let n = 0; n < 28; n++) t.equal((await visit(`?${n}`, address)).statusCode, 400)
    const before = state.asked
    const late = await visit('?late', address)
    t.match([late.statusCode, late.headers['retry-after']], [429, /^\d+$/])
    t.equal((await visit('?27', address)).statusCode, 400)
    t.equal(state.asked, before, 'neither was fetched')
    waiting = []
  },
)
