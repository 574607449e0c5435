import fc from 'fast-check'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { allow } from '../../src/oauth/grants.ts'
import { atConsole } from '../support/console.ts'
import { giveTokens, newAddress } from '../support/device.ts'
import { operations } from '../support/document.ts'
import { type Form, formsOf, JSON_VALUES, linksOf, pairs, routesOf, SEGMENTS } from '../support/hostile.ts'
import { OURS } from '../support/pages.ts'
import { allowedRequest, dereferenced } from '../support/requests.ts'
import { unique } from '../support/start.ts'

/** Whatever a path, a query or a form holds, the answer is not a failure of ours, and is as the document says. */

/** They answer for a provider that these tests do not have. */
const PROVIDERS = /^\/api\/(xMe|xToken|oauthToken)/

/** What ends what others need is sent last. */
const isLast = (path: string) => /(close|erase|remove|revoke(-all)?|signout|off)$/.test(path)

async function world(t: Test) {
  const here = await atConsole(t, { X_API_URL: 'http://127.0.0.1:9' })
  const { app, db, admin, personWith } = here
  const [slug, pack, client_id] = [unique('app'), unique('pack'), unique('client')]
  await admin.put(`/api/admin/apps/${slug}`, { starter_credits: 5, redirect_uris: ['https://a.example.com/back'] })
  await admin.put(`/api/admin/packs/${pack}`, { name: 'Ten', credits: 10, price: 100, currency: 'usd' })
  const given = { clerk_id: admin.clerkId, amount: 99, kind: 'topup', reference: unique('r'), reason: 'x' }
  await admin.post('/api/admin/credits', given)
  const ada = await personWith(99)
  const jobs: string[] = []
  // Pages of a list, and more than one of them.
  for (let n = 0; n < 12; n++) {
    jobs.push((await ada.reserve(2)).json().job_id)
    await ada.post('/api/purchases', { pack })
    await db.updateTable('purchases').set({ status: 'expired' }).where('account_id', '=', ada.id).execute()
  }
  const [job = '', ended = ''] = jobs
  await ada.complete(ended, 2)
  const own = (await admin.reserve(1)).json().job_id
  const hook = { url: 'https://hooks.example.com/focus', events: ['job.completed'] }
  const [endpoint, paused, lost] = await Promise.all(
    [1, 2, 3].map(
      async () => (await admin.post(`/api/admin/apps/${slug}/webhooks`, hook)).json().endpoint.id as string,
    ),
  )
  await db
    .updateTable('webhook_endpoints')
    .set({ paused_at: new Date() })
    .where('id', '=', paused ?? '')
    .execute()
  const dead = {
    account_id: ada.id,
    endpoint_id: lost ?? '',
    event: 'job.failed',
    payload: '{}',
    status: 'dead' as const,
  }
  await db.insertInto('webhook_messages').values(dead).execute()
  await sql`insert into webhook_delivery_state (endpoint_id, failures, retry_at) values (${lost}::uuid, 3, now() + interval '1 hour')
    on conflict (endpoint_id) do update set failures = 3, retry_at = excluded.retry_at`.execute(db)
  const key = (await admin.post('/api/admin/keys', { name: 'Server', scopes: ['topup'] })).json().key.id
  const { purchase } = (await admin.post('/api/purchases', { pack })).json()
  const [token = ''] = await giveTokens(app, admin, 1)
  await giveTokens(app, ada, 1)
  const asked = { client_id, app_slug: slug, resource: null, scopes: ['account' as const] }
  const grant = await allow(app, { ...asked, account_id: admin.id }, undefined)
  await allow(app, { ...asked, account_id: ada.id }, undefined)
  /** What stands behind a segment of a path */
  const ids: Record<string, string> = {
    ...{ accounts: ada.id, jobs: job, apps: slug, webhooks: endpoint ?? '', packs: pack, keys: key, tokens: token },
    ...{ grants: grant, purchases: purchase.id, local: purchase.id, docs: 'api', oauthToken: 'google' },
    ...{ '/account/jobs': own, '/api/jobs': own },
  }
  // The page that asks whether a change is meant.
  const asking = await here.send(`/console/apps/${slug}/key`, { settle_key: 'rotate' })
  // What a page shows depends on the state of its subject, so some pages are opened for several.
  const entrances = [
    String(asking.headers.location),
    `/console/accounts/${ada.id}`,
    ...[job, ended].map((id) => `/console/accounts/${ada.id}/jobs/${id}`),
    ...[endpoint, paused, lost].map((id) => `/console/webhooks/${id}`),
    ...[`/account/tokens/${token}`, `/account/jobs/${own}`],
    `/oauth/authorize?${new URLSearchParams({
      ...{ response_type: 'code', client_id: slug, redirect_uri: 'https://a.example.com/back', scope: 'account' },
      ...{ code_challenge: 'a'.repeat(43), code_challenge_method: 'S256', state: 'a' },
    })}`,
  ]
  return { ...here, ids, entrances }
}

/** A path with its parameters in place; `hostile` for one of them. */
function filled(ids: Record<string, string>, path: string, hostile?: { at: number; segment: string }) {
  const segments = path.split('/')
  return segments
    .map((segment, at) => {
      if (!/^:|^\*$/.test(segment)) return segment
      if (hostile?.at === at) return hostile.segment
      return ids[segments.slice(0, at).join('/')] ?? ids[segments[at - 1] ?? ''] ?? crypto.randomUUID()
    })
    .join('/')
}

/** What a form takes where it has nothing yet, or takes only something else. */
const TYPED: Record<string, () => string> = {
  ...{
    name: () => unique('name'),
    slug: () => unique('slug'),
    url: () => `https://hooks.example.com/${unique('hook')}`,
  },
  ...{ amount: () => '1', starter_credits: () => '7', credits: () => '100', price: () => '500', currency: () => 'usd' },
  ...{ low_credits: () => '5', overage: () => '5', stripe_price_id: () => '', origins: () => 'https://a.example.com' },
  ...{
    redirect_uris: () => 'https://a.example.com/back',
    return_paths: () => '/',
    resources: () => '',
    kind: () => 'topup',
  },
}
const typed = (fields: [string, string][]) =>
  fields.map(([name, value]): [string, string] => [name, TYPED[name]?.() ?? value])

const encoded = (fields: [string, string][]) =>
  fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')

t.test('whatever a path, a query, a form or a body holds, nothing fails', async (t) => {
  const here = await world(t)
  const { app, ids } = here
  const failures = new Set<string>()
  let sent = 0
  const confirmed = new Set<string | undefined>()
  let { cookie } = here.admin

  /** Sends a request as the administrator. A failure, or an answer that is not as the document says, is noted. @param after what was sent before */
  async function send(method: string, url: string, body?: { type: string; payload: string }, after = '') {
    const headers = { cookie, origin: OURS, accept: 'text/html', ...(body && { 'content-type': body.type }) }
    const request = { method: method as 'GET', url, headers, remoteAddress: newAddress() }
    sent++
    try {
      const reply = await app.inject({ ...request, ...(body && { payload: body.payload }) })
      if (reply.statusCode < 500 || PROVIDERS.test(url)) return reply
      note(`${reply.statusCode}`)
    } catch (error) {
      note((error as Error).message)
    }
    return undefined

    function note(what: string) {
      failures.add(
        `${method} ${url.slice(0, 150)} ${body?.payload.slice(0, 150) ?? ''} ${after.slice(0, 300)}: ${what.slice(0, 200)}`,
      )
    }
  }
  async function signIn() {
    const reply = await app.inject({
      method: 'POST',
      url: '/signin',
      payload: { email: here.admin.email },
      remoteAddress: newAddress(),
    })
    return reply.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
  }
  const sendForm = (action: string, payload: string, after?: string) =>
    send('POST', action, { type: 'application/x-www-form-urlencoded', payload }, after)

  const routes = routesOf(app).toSorted((a, b) => Number(isLast(a.path)) - Number(isLast(b.path)))
  t.ok(routes.length > 120, `${routes.length} routes`)

  // Paths.
  for (const { method, path } of routes) {
    const places = path.split('/').flatMap((segment, at) => (/^:|^\*$/.test(segment) ? [at] : []))
    for (const at of places)
      for (const segment of SEGMENTS) {
        const isPage = !path.startsWith('/api/')
        const url = filled(ids, path, { at, segment })
        await send(
          method,
          url,
          isPage && method === 'POST' ? { type: 'application/x-www-form-urlencoded', payload: 'a=b' } : undefined,
        )
      }
  }

  // Pages, as far as their links and forms lead.
  const { pages, forms } = await crawl()
  const addresses: Record<string, string[]> = {
    GET: [...pages, ...forms.get],
    POST: forms.post.map(({ action }) => action),
  }
  const missed = routes.filter(
    ({ method, path }) =>
      /^\/(console|account|oauth\/authorize)/.test(path) &&
      !path.includes('*') &&
      !addresses[method]?.some((seen) => shapeOf(path).test(seen)),
  )
  t.strictSame(missed, [], 'the crawl finds every page and every form of the console and of the account')
  for (const page of [...pages, ...forms.get]) {
    const [path = '', query] = page.split('?')
    for (const [name, value] of new URLSearchParams(query))
      for (const pair of pairs(name, value)) await send('GET', `${path}?${pair}`)
  }
  for (const { action, fields } of forms.post.toSorted((a, b) => Number(isLast(a.action)) - Number(isLast(b.action)))) {
    for (const [name, value] of fields) {
      const others = fields.filter(([other]) => other !== name)
      for (const pair of pairs(name, value))
        await press(action, [encoded(typed(others)), pair].filter(Boolean).join('&'))
    }
    // The fields of the page that asks whether it is meant.
    for (const name of ['draft', 'reason'])
      for (const pair of pairs(name, 'a1')) await press(action, encoded(typed(fields)), { name, pair })
  }

  cookie = await signIn()
  // What the document says of queries and bodies.
  for (const { method, path, operation } of operations) {
    const url = filled(ids, path.replaceAll(/\{(\w+)\}/g, ':$1'))
    for (const { in: place, name } of operation.parameters ?? []) {
      if (place !== 'query') continue
      for (const pair of pairs(name)) await send(method, `${url}?${pair}`)
    }
    const [type = '', media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
    if (!media?.schema) continue
    const values = { slug: [ids.apps], app: [ids.apps], clerk_id: [here.ada.clerkId], job_id: [ids['/api/jobs']] }
    const known = { values, always: true }
    const [drawn] = fc.sample(allowedRequest(operation, known), { seed: 1, numRuns: 1 })
    const body = (drawn?.body ?? {}) as Record<string, unknown>
    for (const name of Object.keys(dereferenced(media.schema).properties ?? {})) {
      const { [name]: _, ...others } = body
      if (type !== 'application/json') {
        const rest = encoded(Object.entries(others).map(([name, value]) => [name, String(value)]))
        for (const pair of pairs(name)) await send(method, url, { type, payload: `${rest}&${pair}` })
        continue
      }
      const rest = JSON.stringify(others).slice(1)
      for (const value of JSON_VALUES)
        await send(method, url, { type, payload: `{"${name}":${value}${rest === '}' ? '' : ','}${rest}` })
    }
  }
  const unconfirmed = routes.filter(
    ({ method, path }) => method === 'POST' && path.startsWith('/console/') && !confirmed.has(path),
  )
  t.strictSame(
    unconfirmed.map(({ path }) => path),
    ['/console/change', '/console/verify'],
    'every form of the console asked at least once whether it is meant',
  )
  t.strictSame([...failures], [], `${sent} requests`)

  /** Sends a form, and the one that asks whether it is meant. @param instead of that one's own field of this name */
  async function press(action: string, payload: string, instead?: { name: string; pair: string }) {
    const asked = await sendForm(action, payload)
    if (String(asked?.headers.location).includes('/signin')) cookie = await signIn()
    const to = String(asked?.headers.location ?? '')
    const page = to.startsWith('/console/change?') ? await send('GET', to) : asked
    const isConfirming = ({ fields }: Form) => fields.some(([name]) => name === 'draft')
    const confirming = formsOf(page?.body ?? '', action).find(isConfirming)
    if (!confirming) return
    confirmed.add(routeOf(pathOf(action)))
    const fields = confirming.fields.filter(([name]) => name !== instead?.name)
    const rest = encoded(fields)
    await sendForm(confirming.action, instead ? `${rest}&${instead.pair}` : rest, `after ${action} ${payload}`)
  }

  /** One page of each route and choice of parameters, and its forms; those with GET as an address. */
  async function crawl() {
    const pages = new Map<string, string>()
    const get = new Map<string, string>()
    const post = new Map<string, Form>()
    const waiting = ['/', '/account', '/buy', '/device', '/console', '/signin', ...here.entrances]
    for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
      const path = pathOf(url)
      const route = routeOf(path)
      const parameters = [...new URLSearchParams(url.slice(path.length)).keys()].sort()
      const name = here.entrances.includes(url) ? url : `${route} ${parameters}`
      if (!route || pages.has(name) || /^\/(api|assets|docs)\b/.test(path)) continue
      pages.set(name, url)
      const page = await send('GET', url)
      if (!/html/.test(String(page?.headers['content-type']))) continue
      waiting.push(...linksOf(page?.body ?? ''))
      for (const form of formsOf(page?.body ?? '', url)) {
        const action = pathOf(form.action)
        const name = `${routeOf(action)} ${form.fields.map(([name]) => name)}`
        // The first one: it is of somebody else, and not of the administrator.
        if (form.method === 'post') post.set(name, post.get(name) ?? form)
        else get.set(name, `${action}?${encoded(form.fields)}`)
      }
    }
    return { pages: [...pages.values()], forms: { get: [...get.values()], post: [...post.values()] } }
  }

  function routeOf(path: string): string | undefined {
    return routes.find((route) => !route.path.includes('*') && shapeOf(route.path).test(path))?.path
  }
})

const pathOf = (url: string) => url.split('?', 1)[0] ?? ''
const shapeOf = (path: string) => new RegExp(`^${path.replaceAll(/:\w+/g, '[^/?]+')}(\\?.*)?$`)
