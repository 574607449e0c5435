import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import {
  Client,
  type OAuthClientProvider,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client'
import type { Locator, Page } from 'playwright-core'
import { generate } from 'selfsigned'
import t from 'tap'
import { look, openBrowser, openPage, serve, signInByForm } from '../support/browser.ts'
import { freePort } from '../support/free-port.ts'
import { clientOf, registerClient } from '../support/oauth.ts'
import { unique } from '../support/start.ts'

/** An MCP client as it is on npm, against the example of a paid MCP server, with a person who decides in a real browser. */

/** The provider of the client library that a desktop assistant would have: it keeps everything in memory. */
class Assistant implements OAuthClientProvider {
  readonly redirectUrl: string
  readonly clientMetadataUrl: string
  #kept: { client?: StoredOAuthClientInformation; tokens?: StoredOAuthTokens; verifier?: string } = {}
  /** Where it would open the browser */
  opened: URL | undefined
  constructor(redirectUrl: string, clientMetadataUrl: string) {
    this.redirectUrl = redirectUrl
    this.clientMetadataUrl = clientMetadataUrl
  }
  get clientMetadata() {
    return { client_name: 'Assistant', redirect_uris: [this.redirectUrl], token_endpoint_auth_method: 'none' }
  }
  state = () => 'a-state'
  clientInformation = () => this.#kept.client
  saveClientInformation(client: StoredOAuthClientInformation) {
    this.#kept.client = client
  }
  tokens = () => this.#kept.tokens
  saveTokens(tokens: StoredOAuthTokens) {
    this.#kept.tokens = tokens
  }
  redirectToAuthorization(url: URL) {
    this.opened = url
  }
  saveCodeVerifier(verifier: string) {
    this.#kept.verifier = verifier
  }
  codeVerifier = () => this.#kept.verifier ?? ''
  invalidateCredentials() {
    const { client } = this.#kept
    this.#kept = client ? { client } : {}
  }
}

/** The document that the assistant describes itself by, at https as everywhere: this process trusts its certificate. */
async function serveDocument(redirect_uri: string): Promise<string> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  })
  setDefaultCACertificates([...getCACertificates('default'), cert])
  const server = createHttpsServer({ key, cert }, (_, response) => {
    const document = { client_id, client_name: 'Assistant', redirect_uris: [redirect_uri] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const client_id = `https://localhost:${(server.address() as AddressInfo).port}/assistant.json`
  return client_id
}

const arrivals: ((url: URL) => void)[] = []
const program = createServer((request, response) => {
  response.end('You can close this window.')
  if (request.url?.startsWith('/callback')) arrivals.shift()?.(new URL(request.url, 'http://127.0.0.1'))
})
await once(program.listen(0, '127.0.0.1'), 'listening')
t.teardown(() => {
  program.closeAllConnections()
  program.close()
})
const arrival = () => new Promise<URL>((resolve) => arrivals.push(resolve))

const browser = await openBrowser(t)
const { url, app, admin, db } = await serve(t)
const port = await freePort()
const mcpUrl = `http://localhost:${port}/mcp`
const example = spawn(
  process.execPath,
  [fileURLToPath(new URL('../../examples/mcp-server/start.ts', import.meta.url))],
  {
    env: { PATH: process.env.PATH, FOCUS_URL: url, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  },
)
t.teardown(() => example.kill())
await once(createInterface(example.stdout), 'line')

const redirect = `http://127.0.0.1:${(program.address() as AddressInfo).port}/callback`
const documentUrl = await serveDocument('http://127.0.0.1/callback')

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

const textOf = async (part: Locator) => ((await part.textContent()) ?? '').replace(/\s+/g, ' ').trim()

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
}
const ask = (token?: string) =>
  fetch(mcpUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(initialize),
  })

t.test(
  '401, metadata, sign-in, consent with a budget, paid tool calls, budget spent and raised, revoked, 401',
  async (t) => {
    const told: string[] = []
    const note = (line: string) => told.push(line)
    const provider = new Assistant(redirect, documentUrl)
    const { page, complaints } = await openPage(t, browser)

    const refused = await ask()
    const challenge = refused.headers.get('www-authenticate') ?? ''
    note(`POST ${mcpUrl} without a token: ${refused.status}, ${challenge}`)
    t.equal(refused.status, 401)
    const metadataUrl = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? ''
    const metadata = (await (await fetch(metadataUrl)).json()) as { authorization_servers: string[] }
    note(`GET ${metadataUrl}: ${JSON.stringify(metadata)}`)
    t.match(metadata, { resource: mcpUrl, authorization_servers: [/^http:\/\/localhost/], scopes_supported: ['spend'] })

    const connect = async () => {
      const client = new Client({ name: 'assistant', version: '1.0.0' })
      const transport = new StreamableHTTPClientTransport(new URL(mcpUrl), { authProvider: provider })
      t.teardown(() => client.close())
      return { client, transport }
    }
    const first = await connect()
    await t.rejects(first.client.connect(first.transport), UnauthorizedError)
    const asked = Object.fromEntries(provider.opened?.searchParams ?? [])
    note(
      `the client opens ${provider.opened?.origin}${provider.opened?.pathname} with ${JSON.stringify({ ...asked, code_challenge: '…' })}`,
    )
    t.match(asked, { client_id: documentUrl, resource: mcpUrl, code_challenge_method: 'S256', scope: 'spend' })

    await page.goto(provider.opened?.href ?? '')
    await page.getByText('An app asks for access').waitFor()
    await signInByForm(page, url, `${unique('ada')}@example.com`)
    await page.getByRole('heading', { name: 'Allow this app?' }).waitFor()
    const said = await textOf(page.getByRole('main'))
    note(`the consent page says: ${said}`)
    t.match(said, new RegExp(`^Allow this app\\? ${new URL(documentUrl).host}, which calls itself “Assistant”,`))
    t.match(said, 'a program on this computer')
    t.match(said, mcpUrl)
    await look(t, page, 'consent-mcp')
    await press(page, 'Approve')
    t.match(page.url(), `${url}/oauth/authorize`, 'no click approves without a budget')
    await page.getByLabel('Credits it may spend').fill('7')
    await page.locator('select[name="period"]').selectOption('in all')
    const arrived = arrival()
    await press(page, 'Approve')
    const { searchParams } = await arrived
    note(
      `7 credits in all are typed, Approve is pressed; the browser arrives with ${[...searchParams.keys()].join(', ')}`,
    )
    await first.transport.finishAuth(searchParams)
    t.match(provider.tokens(), { access_token: /^focus_at_/, refresh_token: /^focus_rt_/, scope: 'spend' })

    const { client, transport } = await connect()
    await client.connect(transport)
    const { tools } = await client.listTools()
    t.match(tools, [{ name: 'haiku' }])
    const call = async () => {
      const result = await client.callTool({ name: 'haiku', arguments: { about: 'rain' } })
      const [{ text = '' } = {}] = result.content as { text?: string }[]
      note(`haiku: ${result.isError ? 'error: ' : ''}${text.replaceAll('\n', ' / ')}`)
      return { text, isError: result.isError === true }
    }
    const credits = async () => {
      await page.goto(`${url}/account`)
      const balance = await textOf(page.locator('.balance'))
      note(`the account page says: ${balance}`)
      return balance
    }
    t.match(await call(), { text: /Nothing but rain/, isError: false })
    t.equal(await credits(), '17 credits to spend', 'the starter credits, and three are gone')
    t.match(await call(), { isError: false })
    const spent = await call()
    t.equal(spent.isError, true)
    t.match(spent.text, /^The budget is 7 credits, of which 6 are spent\..* http:\/\/localhost:\d+\/account#apps$/)

    await page.goto('about:blank')
    await page.goto(/http\S+$/.exec(spent.text)?.[0] ?? '')
    const apps = page.getByRole('region', { name: 'Apps that may use your account' })
    t.match(await textOf(apps), /up to 7 credits in all, 6 spent/)
    await look(t, page, 'account-with-budget')
    await apps.getByText('Change budget').click()
    await look(t, page, 'account-change-budget')
    await apps.getByLabel('Credits it may spend').fill('100')
    await apps.locator('select').selectOption('a month')
    await press(page, 'Change it')
    await apps.getByText('up to 100 credits a month, 6 spent').waitFor()
    note('the budget is raised to 100 credits a month on the account page')
    t.match(await call(), { isError: false })
    t.equal(await credits(), '11 credits to spend')

    const { access_token = '' } = provider.tokens() ?? {}
    await apps.getByText('Revoke localhost').click()
    await press(page, 'Revoke it')
    await apps.getByText('No app has access').waitFor()
    t.equal((await ask(access_token)).status, 401)
    provider.opened = undefined
    await t.rejects(call(), UnauthorizedError)
    t.ok(provider.opened, 'the client asks the person again')
    note(
      `revoked on the account page: the token gets ${(await ask(access_token)).status}, and the client opens the browser again`,
    )
    t.strictSame(complaints, [])
    for (const line of told) t.comment(line)
  },
)

t.test('tokens for others open nothing at this server, and its tokens nothing elsewhere', async (t) => {
  const root = await admin()
  const ada = await admin()
  const other = await registerClient(root, { resources: ['https://other-mcp.example.com/mcp'] })
  const client = clientOf(app, other)
  const forUs = (await client.logIn(ada)).access_token
  const forOther = (await client.logIn(ada, { resource: 'https://other-mcp.example.com/mcp', scope: 'spend' }))
    .access_token
  const forHaiku = (await client.logIn(ada, { resource: mcpUrl, scope: 'spend' })).access_token
  const cannotSpend = (await client.logIn(ada, { resource: mcpUrl, scope: 'account' })).access_token
  t.equal((await ask(forHaiku)).status, 200)
  for (const token of [forUs, forOther, ada.token, 'x']) t.equal((await ask(token)).status, 401)
  t.equal((await ask(cannotSpend)).status, 403, 'insufficient_scope')
  const wallet = await app.inject({ url: '/api/wallet', headers: { authorization: `Bearer ${forHaiku}` } })
  t.equal(wallet.statusCode, 401)
  // DNS rebinding of the server: a page of another name that leads here.
  const rebound = await new Promise<number | undefined>((resolve, reject) => {
    import('node:http').then(({ request }) =>
      request(
        { port, host: '127.0.0.1', path: '/mcp', method: 'POST', headers: { host: 'evil.example.com' } },
        (answer) => resolve(answer.statusCode),
      )
        .on('error', reject)
        .end(),
    )
  })
  t.equal(rebound, 403)
  t.equal((await db.selectFrom('jobs').select('id').where('account_id', '=', ada.id).execute()).length, 0)
})

t.test('the page where an app itself is allowed to spend', async (t) => {
  const { page, complaints } = await openPage(t, browser)
  await page.goto(`${url}/grant?app=haiku`)
  await signInByForm(page, url, `${unique('bob')}@example.com`)
  await page.getByRole('heading', { name: 'Let this app spend your credits?' }).waitFor()
  await look(t, page, 'grant')
  await press(page, 'Allow it')
  await page.getByRole('heading', { name: 'Let this app spend your credits?' }).waitFor()
  await page.getByLabel('Credits it may spend').fill('50')
  await press(page, 'Allow it')
  await page.getByText('up to 50 credits a month, 0 spent').waitFor()
  await look(t, page, 'grant-given')
  t.strictSame(complaints, [])
})
