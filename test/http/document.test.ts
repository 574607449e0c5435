import fc from 'fast-check'
import t from 'tap'
import { logIn, newAddress, startLogin } from '../support/device.ts'
import { operations } from '../support/document.ts'
import { allowedRequest, type Drawn, forbiddenRequests, type Known } from '../support/requests.ts'
import { type App, personWith, start, unique } from '../support/start.ts'

/** The document is held against the service: what it allows is understood, what it forbids is refused. */

// The answers themselves are checked by app.inject of test/support/start.ts: status, media type, body.

type Method = 'GET'

/** How often an allowed request of each operation is drawn. */
const RUNS = 12

/** These succeed with more than the local identity has: a provider, X, Clerk, an OAuth client, our own sign-in page. */
const ELSEWHERE = new Set([
  ...['getOAuthToken', 'getXToken', 'getXMe', 'receiveClerkWebhook', 'createSession'],
  ...['requestToken', 'startDeviceAuthorization', 'authorize'],
])

/** A redirect must be registered, which no schema can say. */
const SEMANTIC: Record<string, string[]> = {
  signInLocally: ['redirect_to'],
}

t.test('what the document allows is understood, and what it forbids is refused, by every operation', async (t) => {
  const { app, admin } = await start(t, { X_API_URL: 'http://127.0.0.1:9' })
  const known = await prepare(app)
  for (const { name, method, path, operation } of operations) {
    const { operationId = '' } = operation
    const administrator = await admin()
    const send = ({ path: values, query, headers, type, body }: Drawn) => {
      const isForm = type === 'application/x-www-form-urlencoded'
      return app.inject({
        method: method as Method,
        url: path.replace(/\{(\w+)\}/g, (_, field) => encodeURIComponent(values[field] ?? '')),
        query,
        remoteAddress: newAddress(),
        headers: {
          ...headers,
          ...(operationId.startsWith('get') && path === '/api/xMe' && { authorization: 'Bearer foreign' }),
          cookie: administrator.cookie,
          origin: app.config.publicUrl,
          ...(type && { 'content-type': type }),
        },
        ...(body !== undefined && {
          payload: isForm ? new URLSearchParams(body as Record<string, string>).toString() : JSON.stringify(body),
        }),
      })
    }

    const statuses = new Set<number>()
    const drawn = fc.sample(allowedRequest(operation, known), RUNS)
    for (const request of drawn) {
      const reply = await send(request)
      statuses.add(reply.statusCode)
      const asked = JSON.stringify(request).slice(0, 400)
      const { error, field } = /json/.test(String(reply.headers['content-type'])) ? reply.json() : {}
      const isRefused = error === 'invalid_request' && !SEMANTIC[operationId]?.includes(field)
      if (isRefused || error === 'invalid_json')
        t.fail(`${name} refuses what the document allows: ${reply.body} ${asked}`)
      if (reply.statusCode === 500) t.fail(`${name} fails: ${asked}`)
    }
    const succeeded = [...statuses].some((status) => status < 400)
    if (!ELSEWHERE.has(operationId)) t.ok(succeeded, `${name} succeeds: ${[...statuses]}`)

    const [first] = drawn.filter((request) => operation.requestBody === undefined || request.body !== undefined)
    if (!first) continue
    for (const { what, request } of forbiddenRequests(operation, first, ['paths', path, method.toLowerCase()])) {
      const { statusCode, body } = await send(request)
      if (statusCode < 400 || statusCode >= 500)
        t.fail(`${name} takes ${what}, which the document forbids: ${statusCode} ${body}`)
    }
  }
})

/** Things for the operations to find, by the names of fields and parameters. */
async function prepare(app: App): Promise<Known> {
  const ada = await personWith(app, 10_000)
  const administrator = await personWith(app, 10_000).then(async () => (await start(t)).admin())
  const slug = unique('app')
  await administrator.put(`/api/admin/apps/${slug}`, { starter_credits: 5 })
  await administrator.post('/api/admin/credits', {
    ...{
      clerk_id: administrator.clerkId,
      amount: 10_000,
      kind: 'topup',
      reference: unique('given'),
      reason: 'for a test',
    },
  })
  const hook = { url: 'https://hooks.example.com/focus', events: ['job.completed'] }
  const endpoints = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const reply = await administrator.post(`/api/admin/apps/${slug}/webhooks`, hook)
      return reply.json().endpoint.id as string
    }),
  )
  const jobs = await Promise.all(Array.from({ length: 8 }, async () => (await administrator.reserve(1)).json().job_id))
  await logIn(app, administrator)
  const { tokens } = (await administrator.get('/api/tokens')).json()
  const logins = await Promise.all(Array.from({ length: 4 }, () => startLogin(app)))
  return {
    slug: [slug],
    app: [slug],
    job_id: jobs,
    id: [...jobs, ...endpoints, ...tokens.map(({ id }: { id: string }) => id)],
    endpoint_id: endpoints,
    clerk_id: [ada.clerkId],
    device_code: logins.map(({ device_code }) => device_code),
    user_code: logins.map(({ user_code }) => user_code),
  }
}
