import fc from 'fast-check'
import t from 'tap'
import { allow } from '../../src/oauth/grants.ts'
import { logIn, newAddress, startLogin } from '../support/device.ts'
import { operations } from '../support/document.ts'
import { allowedRequest, type Drawn, forbiddenRequests } from '../support/requests.ts'
import { type App, type Person, personWith, start, unique } from '../support/start.ts'

/** The document is held against the service: what it allows is understood, what it forbids is refused. */

// The answers themselves are checked by app.inject of test/support/start.ts: status, media type, body.

/** How many allowed requests of each operation are sent: with values that exist, and with any. */
const EXISTING = 2
const ANY = 5

/** These succeed with more than the local identity has: a provider, X, Clerk, Stripe, an OAuth client, an app's server, our own sign-in page. */
const ELSEWHERE = new Set([
  ...['getOAuthToken', 'getXToken', 'getXMe', 'receiveClerkWebhook', 'createSession'],
  ...['requestToken', 'startDeviceAuthorization', 'authorize', 'introspectToken', 'receiveStripeEvent'],
])

/** What no schema can say: a redirect must be registered, for one. */
const SEMANTIC: Record<string, string[]> = {
  signInLocally: ['redirect_to'],
  createPurchase: ['return_to'],
  // One account, or a list; a list has its own cursors, and that of accounts below zero one order.
  listAccounts: ['clerk_id', 'q', 'cursor', 'sort'],
  // Overdue is a state of jobs in progress, whose list has other cursors.
  listAllJobs: ['overdue', 'cursor'],
  // Another list than that of a status.
  listAllPurchases: ['disputed'],
  // What Stripe charges of a currency, and its prices.
  setPack: ['price', 'stripe_price_id'],
  // At least the price of the pack.
  setAutoTopup: ['monthly_cap'],
  // Levels need it.
  createWebhookEndpoint: ['low_credits'],
  updateWebhookEndpoint: ['low_credits'],
  // At most 400 days, in order.
  getUsage: ['from', 'to'],
  getTotalUsage: ['from', 'to'],
  // Beside an app's key; a period needs a budget.
  createJob: ['account_id', 'grant_id'],
  changeGrant: ['period'],
  // The name has a character that can be shown.
  createToken: ['period', 'name'],
  changeToken: ['period', 'name'],
  // Either credits or percent: the requests that are drawn do not count properties.
  setApp: ['max_overage'],
  // Without a key, the caller's own.
  listJobs: ['account_id'],
  // Not 0.
  adjustCredits: ['amount'],
}

/** What others need is ended after them, in this order. */
const LAST = ['removeAutoTopup', 'deleteSession']

t.test('what the document allows is understood, and what it forbids is refused, by every operation', async (t) => {
  const { app, admin } = await start(t, { X_API_URL: 'http://127.0.0.1:9' })
  const administrator = await admin()
  const known = await prepare(app, administrator)
  const seed = Date.now() & 0xffffffff
  const place = ({ operation }: (typeof operations)[number]) => LAST.indexOf(operation.operationId ?? '')
  for (const { name, method, path, operation } of operations.toSorted((a, b) => place(a) - place(b))) {
    const { operationId = '' } = operation
    const send = ({ path: values, query, headers, type, body }: Drawn) => {
      const isForm = type === 'application/x-www-form-urlencoded'
      return app.inject({
        method: method as 'GET',
        url: path.replace(/\{(\w+)\}/g, (_, field) => encodeURIComponent(values[field] ?? '')),
        query,
        remoteAddress: newAddress(),
        headers: {
          ...headers,
          ...(operationId === 'getXMe' && { authorization: 'Bearer foreign' }),
          cookie: administrator.cookie,
          origin: app.config.publicUrl,
          ...(type && { 'content-type': type }),
        },
        ...(body !== undefined && {
          payload: isForm ? new URLSearchParams(body as Record<string, string>).toString() : JSON.stringify(body),
        }),
      })
    }

    const values = { ...known.everywhere, ...known.of[operationId] }
    const drawn = [true, false].flatMap((always) =>
      fc.sample(allowedRequest(operation, { values, always }), { seed, numRuns: always ? EXISTING : ANY }),
    )
    const statuses: number[] = []
    for (const request of drawn) {
      const reply = await send(request)
      statuses.push(reply.statusCode)
      const { error, field } = /json/.test(String(reply.headers['content-type'])) ? reply.json() : {}
      const isRefused = error === 'invalid_request' && !SEMANTIC[operationId]?.includes(field)
      if (!isRefused && error !== 'invalid_json' && reply.statusCode !== 500) continue
      t.fail(`${name} does not take what the document allows (seed ${seed}): ${reply.body} ${JSON.stringify(request)}`)
    }
    const succeeded = statuses.some((status) => status < 400)
    if (!ELSEWHERE.has(operationId)) t.ok(succeeded, `${name} succeeds (seed ${seed}): ${statuses}`)

    const first = drawn.find(({ body }) => operation.requestBody === undefined || body !== undefined)
    const place = ['paths', path, method.toLowerCase()]
    for (const { what, request } of first ? forbiddenRequests(operation, first, place) : []) {
      const { statusCode, body } = await send(request)
      if (statusCode >= 400 && statusCode < 500) continue
      t.fail(`${name} takes ${what}, which the document forbids (seed ${seed}): ${statusCode} ${body}`)
    }
  }
})

/** Things for the operations to find, by the names of their fields and parameters: for all operations, and for one. */
async function prepare(app: App, administrator: Person) {
  const [ada, bob] = await Promise.all([personWith(app, 10), personWith(app, 10)])
  const slug = unique('app')
  await administrator.put(`/api/admin/apps/${slug}`, { starter_credits: 5 })
  const credits = { amount: 10_000, kind: 'topup', reference: unique('given'), reason: 'for a test' }
  await administrator.post('/api/admin/credits', { clerk_id: administrator.clerkId, ...credits })
  const few = <T>(make: () => Promise<T>) => Promise.all(Array.from({ length: EXISTING * 2 }, make))
  const jobs = () => few(async () => (await administrator.reserve(1)).json().job_id as string)
  const ended = async () => {
    const ids = await jobs()
    for (const id of ids) await administrator.complete(id, 1)
    return ids
  }
  const logins = () => few(() => startLogin(app))
  const endpoints = () =>
    few(async () => {
      const endpoint = { url: 'https://hooks.example.com/focus', events: ['job.completed'] }
      return (await administrator.post(`/api/admin/apps/${slug}/webhooks`, endpoint)).json().endpoint.id as string
    })
  const packs = await few(async () => {
    const pack = unique('pack')
    await administrator.put(`/api/admin/packs/${pack}`, { name: 'Ten', credits: 10, price: 100, currency: 'usd' })
    return pack
  })
  const [pack] = packs.splice(0, 1)
  const { purchase } = (await administrator.post('/api/purchases', { pack })).json()
  const keys = () =>
    few(async () => {
      const key = { name: 'Payment server', scopes: ['topup'] }
      return (await administrator.post('/api/admin/keys', key)).json().key.id as string
    })
  const grants = () =>
    few(() => {
      const asked = { account_id: administrator.id, client_id: unique('client'), app_slug: slug, resource: null }
      return allow(app, { ...asked, scopes: ['spend'] }, { amount: 5, period: 'day' })
    })
  const patsOf = async (person: Person) => {
    await logIn(app, person)
    return (await person.get('/api/tokens?limit=1')).json().tokens.map(({ id }: { id: string }) => id)
  }
  await logIn(app, administrator)
  const { tokens } = (await administrator.get('/api/tokens')).json()
  const [running, waiting, kept] = await Promise.all([jobs(), logins(), endpoints()])
  const byId = { id: kept, endpoint_id: kept }
  const ofAccount = { id: [ada.id] }
  return {
    everywhere: { slug: [slug], app: [slug], clerk_id: [ada.clerkId], cost_estimate: [1, 5], actual_cost: [0, 1, 3] },
    of: {
      getJob: { id: running },
      getAnyJob: { id: running },
      getAccount: ofAccount,
      listAccountEntries: ofAccount,
      listAccountJobs: ofAccount,
      listAccountTokens: ofAccount,
      listAccountGrants: ofAccount,
      listAccountPurchases: ofAccount,
      heartbeatJob: { id: running },
      completeJob: { job_id: await jobs() },
      failJob: { job_id: await jobs() },
      endJob: { id: await jobs(), account_id: [administrator.id] },
      closeAccount: { clerk_id: [bob.clerkId] },
      refundJob: { id: await ended(), account_id: [administrator.id], amount: [1], part: [1, 2] },
      changeGrant: { id: await grants() },
      revokeGrant: { id: await grants() },
      revokeTokenOfAccount: { id: [administrator.id], token_id: await patsOf(administrator) },
      revokeGrantOfAccount: { id: [administrator.id], grant_id: await grants() },
      changeToken: {
        id: await few(async () => (await administrator.postFromOurPage('/api/tokens', { name: 'x' })).json().id),
      },
      revokeToken: { id: tokens.map(({ id }: { id: string }) => id) },
      pollDeviceLogin: { device_code: waiting.map(({ device_code }) => device_code) },
      pollDeviceLoginByQuery: { device_code: (await logins()).map(({ device_code }) => device_code) },
      completeDeviceLogin: { user_code: (await logins()).map(({ user_code }) => user_code) },
      eraseAccount: { clerk_id: [bob.clerkId] },
      createPurchase: { pack: [pack], return_to: [`${app.config.publicUrl}/account`] },
      getPurchase: { id: [purchase.id] },
      setPack: { slug: [pack], price: [100], currency: ['usd'] },
      removePack: { slug: packs },
      setAutoTopup: { pack: [pack], below: [0], monthly_cap: [5000] },
      revokeServiceKey: { id: await keys() },
      getWebhookEndpoint: byId,
      updateWebhookEndpoint: byId,
      rotateWebhookSecret: byId,
      sendTestWebhook: byId,
      listWebhookDeliveries: byId,
      listDeadWebhookMessages: byId,
      replayWebhookMessages: byId,
      dismissDeadWebhookMessages: byId,
      deleteWebhookEndpoint: { id: await endpoints() },
    } as Record<string, Record<string, unknown[]>>,
  }
}
