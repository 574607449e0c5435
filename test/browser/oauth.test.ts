import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import type { Page } from 'playwright-core'
import { generate } from 'selfsigned'
import t, { type Test } from 'tap'
import { look, openBrowser, openPage, serve, serveElsewhere, signInByForm } from '../support/browser.ts'
import { registerClient, wallet } from '../support/oauth.ts'
import { unique } from '../support/start.ts'

/** Client libraries as they are on npm, against the service, with a person who decides in a real browser. */

const APP_HOST = 'video.focus.test'

/** Where an app is: it notes the addresses that people arrive at, and leads on from /callback where it is asked to. */
async function serveApp(t: Test, secure: boolean) {
  const arrived: URL[] = []
  let waiting: ((url: URL) => void) | undefined
  const state = { leadsTo: '' }
  const respond = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', secure ? `https://${APP_HOST}` : 'http://127.0.0.1')
    url.port = String((server.address() as AddressInfo).port)
    if (url.pathname === '/callback') {
      arrived.push(url)
      waiting?.(url)
      if (state.leadsTo) return void response.writeHead(302, { location: state.leadsTo }).end()
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<title>App</title><h1>The app</h1>')
  }
  const days = new Date(Date.now() + 86_400_000)
  const made = secure && (await generate([{ name: 'commonName', value: APP_HOST }], { notAfterDate: days }))
  const server = made ? createHttpsServer({ key: made.private, cert: made.cert }, respond) : createServer(respond)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    port,
    state,
    arrived,
    redirect_uri: `${secure ? `https://${APP_HOST}` : 'http://127.0.0.1'}:${port}/callback`,
    /** The address that the next person arrives at */
    next: () => new Promise<URL>((resolve) => (waiting = resolve)),
  }
}

const site = await serveApp(t, true)
const program = await serveApp(t, false)
const browser = await openBrowser(t, { [APP_HOST]: site.port })
let attack = ''
const attacker = await serveElsewhere(t, () => attack)
const { url, app, admin, db } = await serve(t)
const video = await registerClient(await admin(), { name: 'Video', redirect_uris: [site.redirect_uri] })
const native = await registerClient(await admin(), { name: 'Desk', redirect_uris: ['http://127.0.0.1/callback'] })

const discover = (client_id: string) =>
  openid.discovery(new URL(url), client_id, undefined, openid.None(), {
    algorithm: 'oauth2',
    // Tests have no https; everything else is as strict as it comes.
    execute: [openid.allowInsecureRequests],
  })

/** What a library says that the service answered; undefined: it was served. */
const refusal = (asked: Promise<unknown>): Promise<string | undefined> =>
  asked.then(
    () => undefined,
    (error) => error.error ?? error.cause?.error ?? String(error),
  )

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const email = () => `${unique('ada')}@example.com`

async function openSignedIn(t: Test) {
  const opened = await openPage(t, browser, { ignoreHTTPSErrors: true })
  const person = email()
  await signInByForm(opened.page, url, person)
  await opened.page.waitForURL(`${url}/account`)
  return { ...opened, person }
}

/** What openid-client asks for, with its own verifier and state. */
async function begin(config: openid.Configuration, redirect_uri: string, scope = 'account') {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier()
  const expectedState = openid.randomState()
  const address = openid.buildAuthorizationUrl(config, {
    redirect_uri,
    scope,
    state: expectedState,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  return { address: address.href, checks: { pkceCodeVerifier, expectedState } }
}

t.test('openid-client: discovery, code with PKCE, refresh, revocation', async (t) => {
  const config = await discover(video.client_id)
  t.match(config.serverMetadata(), { issuer: url, token_endpoint: `${url}/oauth/token` })
  const { address, checks } = await begin(config, site.redirect_uri)
  const { page, complaints } = await openPage(t, browser, { ignoreHTTPSErrors: true })
  await page.goto(address)
  await page.getByText('An app asks for access').waitFor()
  const person = email()
  await signInByForm(page, url, person)
  await page.getByRole('heading', { name: 'Allow this app?' }).waitFor()
  const said = (await page.getByRole('main').textContent()) ?? ''
  for (const word of ['Video', `${APP_HOST}:${site.port}/callback`, person, 'spend credits'])
    t.ok(said.includes(word), word)
  const [approve, deny] = await Promise.all(
    ['Approve', 'Deny'].map((name) => page.getByRole('button', { name, exact: true }).boundingBox()),
  )
  t.strictSame([approve?.width, approve?.height], [deny?.width, deny?.height], 'two buttons of one size')
  await look(t, page, 'consent')

  const arrival = site.next()
  await press(page, 'Approve')
  const answered = await arrival
  t.equal(answered.searchParams.get('iss'), url)
  const tokens = await openid.authorizationCodeGrant(config, answered, checks)
  t.match(tokens, { token_type: 'bearer', expires_in: 3600, scope: 'account' })
  const seen = await openid.fetchProtectedResource(config, tokens.access_token, new URL('/api/wallet', url), 'GET')
  t.equal(seen.status, 200)
  t.equal(await refusal(openid.authorizationCodeGrant(config, answered, checks)), 'invalid_grant', 'a code once')

  const again = await begin(config, site.redirect_uri)
  const second = site.next()
  await page.goto(again.address)
  const first = await openid.authorizationCodeGrant(config, await second, again.checks)
  const next = await openid.refreshTokenGrant(config, first.refresh_token ?? '')
  t.match(next, { access_token: /^focus_at_/, refresh_token: /^focus_rt_/ })
  await openid.tokenRevocation(config, next.refresh_token ?? '')
  t.equal(await refusal(openid.refreshTokenGrant(config, next.refresh_token ?? '')), 'invalid_grant')
  t.equal((await wallet(app, next.access_token)).statusCode, 401)

  await page.goto(`${url}/account`)
  await page.getByRole('heading', { name: 'Apps that may use your account' }).waitFor()
  await look(t, page, 'account-with-app')
  const grants = page.getByRole('region', { name: 'Apps that may use your account' })
  await grants.getByText('Revoke Video').click()
  await grants.getByRole('button', { name: 'Revoke it' }).click()
  await grants.getByText('No app has access').waitFor()
  t.strictSame(complaints, [])
})

t.test('openid-client: whoever denies is not let in, and what is beyond a person is not asked', async (t) => {
  const config = await discover(video.client_id)
  const { page } = await openSignedIn(t)
  const denied = await begin(config, site.redirect_uri)
  await page.goto(denied.address)
  const arrival = site.next()
  await press(page, 'Deny')
  t.equal(await refusal(openid.authorizationCodeGrant(config, await arrival, denied.checks)), 'access_denied')

  const tooMuch = await begin(config, site.redirect_uri, 'account admin')
  const refused = site.next()
  await page.goto(tooMuch.address)
  t.equal(await refusal(openid.authorizationCodeGrant(config, await refused, tooMuch.checks)), 'invalid_scope')
})

t.test('Approve waits until the page has been in front for a second, from the last time that it was not', async (t) => {
  const { page } = await openSignedIn(t)
  const { address } = await begin(await discover(video.client_id), site.redirect_uri)
  await page.goto(address)
  const approve = page.getByRole('button', { name: 'Approve', exact: true })
  t.ok(await approve.isDisabled(), 'not at once')
  const inFront = page.locator('input[name="in_front"]')
  await page.locator('input[name="in_front"][value="yes"]').waitFor({ state: 'attached' })
  t.ok(await approve.isEnabled())
  for (const event of ['blur', 'focus', 'resize']) {
    await page.evaluate(`dispatchEvent(new Event('${event}'))`)
    t.ok(await approve.isDisabled(), event)
    t.equal(await inFront.inputValue(), '')
    await page.locator('input[name="in_front"][value="yes"]').waitFor({ state: 'attached' })
  }
  const without = await openPage(t, browser, { ignoreHTTPSErrors: true, javaScriptEnabled: false })
  await signInByForm(without.page, url, email())
  await without.page.goto(address)
  await press(without.page, 'Approve')
  await without.page.getByLabel('Yes, Video may use my account.').check()
  const arrived = site.next()
  await press(without.page, 'Approve')
  t.ok((await arrived).searchParams.get('code'), 'without scripts a box is ticked')
})

t.test("a link with somebody else's address leads nowhere", async (t) => {
  const { page } = await openSignedIn(t)
  const { address } = await begin(await discover(video.client_id), `${site.redirect_uri}/`)
  const before = site.arrived.length
  await page.goto(address)
  await page.getByRole('heading', { name: 'This link does not work' }).waitFor()
  await look(t, page, 'consent-refused')
  t.equal(site.arrived.length, before)
})

t.test('an app that was approved goes through the sign-in without a question, and its callback leads on', async (t) => {
  const config = await discover(video.client_id)
  const opened = await openSignedIn(t)
  const first = await begin(config, site.redirect_uri)
  await opened.page.goto(first.address)
  site.state.leadsTo = `https://${APP_HOST}:${site.port}/inside`
  t.teardown(() => (site.state.leadsTo = ''))
  await press(opened.page, 'Approve')
  await opened.page.waitForURL('**/inside')

  const { page, complaints } = await openPage(t, browser, { ignoreHTTPSErrors: true })
  await page.goto((await begin(config, site.redirect_uri)).address)
  await signInByForm(page, url, opened.person)
  await page.waitForURL('**/inside')
  t.strictSame([...opened.complaints, ...complaints], [], 'no policy stands in the way')
})

t.test('oauth4webapi: a program on this machine, which is asked for each time, and connected services', async (t) => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(url)
  const answer = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' })
  const server = await oauth.processDiscoveryResponse(issuer, answer)
  const found = await oauth.resourceDiscoveryRequest(issuer, insecure)
  t.match(await oauth.processResourceDiscoveryResponse(issuer, found), { authorization_servers: [url] })
  const client: oauth.Client = { client_id: native.client_id }
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const address = new URL(server.authorization_endpoint ?? '')
  for (const [name, value] of Object.entries({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: program.redirect_uri,
    scope: 'account oauth',
    resource: url,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })) {
    address.searchParams.set(name, value)
  }
  const { page, complaints } = await openSignedIn(t)
  await page.goto(address.href)
  await page.getByText('a program on this computer').first().waitFor()
  await look(t, page, 'consent-oauth')
  await press(page, 'Approve')
  t.match(page.url(), /oauth\/authorize/, 'one click is not enough for connected services')
  await page.getByLabel('Yes, Desk may use my connected services').check()
  const arrival = program.next()
  await press(page, 'Approve')
  const parameters = oauth.validateAuthResponse(server, client, await arrival, state)
  const tokens = await oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(),
      parameters,
      program.redirect_uri,
      verifier,
      insecure,
    ),
  )
  t.match(tokens, { access_token: /^focus_at_/, refresh_token: /^focus_rt_/, scope: 'account oauth' })
  const seen = await oauth.protectedResourceRequest(
    tokens.access_token,
    'GET',
    new URL('/api/wallet', url),
    undefined,
    undefined,
    insecure,
  )
  t.equal(seen.status, 200)
  const refresh = (token = '') => oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, insecure)
  const next = await oauth.processRefreshTokenResponse(server, client, await refresh(tokens.refresh_token))
  const last = await oauth.processRefreshTokenResponse(server, client, await refresh(next.refresh_token))
  t.equal(
    await refusal(oauth.processRefreshTokenResponse(server, client, await refresh(tokens.refresh_token))),
    'invalid_grant',
    'a refresh token that comes again',
  )
  t.equal(
    await refusal(oauth.processRefreshTokenResponse(server, client, await refresh(last.refresh_token))),
    'invalid_grant',
  )
  const revoked = await oauth.revocationRequest(server, client, oauth.None(), last.access_token, insecure)
  await oauth.processRevocationResponse(revoked)

  await page.goto(address.href)
  await page.getByRole('heading', { name: 'Allow this app?' }).waitFor()
  t.strictSame(complaints, [])
})

t.test('openid-client: a device waits, is told to slow down, and gets its token', async (t) => {
  const config = await discover('a television')
  const { page } = await openSignedIn(t)
  const started = await openid.initiateDeviceAuthorization(config, { scope: 'account' })
  const ask = () =>
    app.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        client_id: 'a television',
        device_code: started.device_code,
      }).toString(),
    })
  t.equal((await ask()).json().error, 'authorization_pending')
  const [tokens] = await Promise.all([openid.pollDeviceAuthorizationGrant(config, started), approve()])
  t.match(tokens, { access_token: /^focus_pat_/, token_type: 'bearer', scope: 'account' })
  t.equal((await wallet(app, tokens.access_token)).statusCode, 200)

  async function approve() {
    await page.goto(started.verification_uri_complete ?? '')
    await page.getByText('a television').first().waitFor()
    // Somebody else polls with the same code just before: the library is told to slow down, and goes on.
    while ((await ask()).json().error !== 'slow_down') await sleep(500)
    await press(page, 'Approve')
    await page.getByRole('heading', { name: 'Device approved' }).waitFor()
  }
})

t.test('openid-client: a device that was denied, and one that was forgotten', async (t) => {
  const config = await discover('a television')
  const { page } = await openSignedIn(t)
  const denied = await openid.initiateDeviceAuthorization(config, {})
  await page.goto(denied.verification_uri_complete ?? '')
  await press(page, 'Deny')
  await page.getByRole('heading', { name: 'Device denied' }).waitFor()
  const late = await openid.initiateDeviceAuthorization(config, {})
  await db
    .updateTable('device_codes')
    .set({ expires_at: new Date(Date.now() - 1_000) })
    .where('user_code', '=', late.user_code)
    .execute()
  const polls = [denied, late].map((login) => refusal(openid.pollDeviceAuthorizationGrant(config, login)))
  t.strictSame(await Promise.all(polls), ['access_denied', 'expired_token'])
})

t.test('oauth4webapi: the device grant, with each of its errors', async (t) => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const issuer = new URL(url)
  const found = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' })
  const server = await oauth.processDiscoveryResponse(issuer, found)
  const client: oauth.Client = { client_id: 'a-cli' }
  const start = async () =>
    oauth.processDeviceAuthorizationResponse(
      server,
      client,
      await oauth.deviceAuthorizationRequest(server, client, oauth.None(), {}, insecure),
    )
  const ask = async ({ device_code }: { device_code: string }) =>
    oauth.processDeviceCodeResponse(
      server,
      client,
      await oauth.deviceCodeGrantRequest(server, client, oauth.None(), device_code, insecure),
    )
  const { page } = await openSignedIn(t)
  const [approved, denied] = [await start(), await start()]
  t.equal(await refusal(ask(approved)), 'authorization_pending')
  t.equal(await refusal(ask(approved)), 'slow_down')
  await page.goto(approved.verification_uri_complete ?? '')
  await press(page, 'Approve')
  await page.getByRole('heading', { name: 'Device approved' }).waitFor()
  t.match(await ask(approved), { access_token: /^focus_pat_/, token_type: 'bearer' })
  await page.goto(denied.verification_uri_complete ?? '')
  await press(page, 'Deny')
  await page.getByRole('heading', { name: 'Device denied' }).waitFor()
  t.equal(await refusal(ask(denied)), 'access_denied')
})

t.test('the consent page in a frame of another page shows nothing that could be clicked', async (t) => {
  const { page } = await openSignedIn(t)
  const { address } = await begin(await discover(video.client_id), site.redirect_uri)
  for (const origin of [attacker.sameSite, attacker.otherSite]) {
    attack = `<title>Attack</title><iframe src="${address.replaceAll('&', '&amp;')}" width="600" height="600"></iframe>`
    await page.goto(origin)
    await page.waitForTimeout(500)
    for (const frame of page.frames().slice(1)) {
      t.equal(await frame.getByRole('button').count(), 0, origin)
    }
  }
})
