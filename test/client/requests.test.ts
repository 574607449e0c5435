import t from 'tap'
import { createFocus, NotSignedIn, SettleKeyRequired, SettleUnknown } from '../../client/src/index.ts'
import { clientIn, errorOf, listening, ready } from '../support/client.ts'
import { type Fate, startNetwork } from '../support/network.ts'
import { personWith, unique } from '../support/start.ts'

const render = { app: 'clips', action: 'render', cost_estimate: 5 }

t.test('repeatable requests are retried for a bounded time', async (t) => {
  const { network, person } = await ready(t)
  const { createFocus } = await clientIn({ speed: 200 })
  const focus = createFocus({ url: network.url, token: person.token, timeout: 2_000_000, retryFor: 300_000 })
  for (const fate of ['before', 'after', 'amid', { status: 502 }, { status: 200 }] as Fate[]) {
    const before = network.requests.length
    network.fate = () => (network.requests.length - before < 3 ? fate : 'pass')
    t.equal((await focus.getWallet()).account.id, person.id)
    t.equal(network.requests.length - before, 3, JSON.stringify(fate))
  }
  network.fate = () => 'before'
  const from = performance.now()
  t.match((await errorOf(focus.getWallet())).code, /^(network_error|timeout)$/)
  const took = (performance.now() - from) * 200
  t.ok(took > 20_000 && took < 2_000_000, `${took} ms`)
})

t.test('other requests are sent once, except after a 429', async (t) => {
  const { network, person } = await ready(t)
  const { createFocus } = await clientIn({ speed: 50 })
  const focus = createFocus({ url: network.url, token: person.token, timeout: 100_000 })
  const buy = () => focus.createPurchase({ pack: 'none' })
  for (const fate of ['before', 'after', 'amid', { status: 503, headers: { 'retry-after': '1' } }] as Fate[]) {
    const before = network.requests.length
    network.fate = () => fate
    await errorOf(buy())
    t.equal(network.requests.length - before, 1, JSON.stringify(fate))
  }
  const before = network.requests.length
  network.fate = () =>
    network.requests.length - before < 3 ? { status: 429, headers: { 'retry-after': '7' } } : 'pass'
  const from = performance.now()
  t.equal((await errorOf(buy())).code, 'pack_not_found')
  t.equal(network.requests.length - before, 3)
  t.ok((performance.now() - from) * 50 >= 14_000, 'after Retry-After')
  network.fate = () => ({ status: 429, headers: { 'retry-after': '3600' } })
  t.match(await errorOf(buy()), { status: 429, retryAfter: 3600 }, 'not an hour later')
})

t.test('requests end at their time limit and when their signal is aborted', async (t) => {
  const { network, focus } = await ready(t)
  network.fate = () => 'silent'
  t.equal((await errorOf(focus.getWallet({}, { timeout: 50, retryFor: 0 }))).code, 'timeout')
  const reason = new Error('left')
  const controller = new AbortController()
  const run = focus.getWallet({}, { signal: controller.signal })
  setTimeout(() => controller.abort(reason), 20)
  t.equal(await errorOf(run), reason)
  network.fate = () => ({ status: 503, headers: { 'retry-after': '20' } })
  const waiting = new AbortController()
  setTimeout(() => waiting.abort(reason), 100)
  t.equal(await errorOf(focus.getWallet({}, { signal: waiting.signal })), reason, 'while it waits for its next try')
  const asks = createFocus({ url: network.url, getToken: () => new Promise(() => {}), timeout: 50, retryFor: 0 })
  t.equal((await errorOf(asks.getWallet())).code, 'timeout', 'a token that does not come')
})

t.test('getToken is called once for concurrent requests, before the token expires, and once after a 401', async (t) => {
  const { service, network, person } = await ready(t)
  const asked: boolean[] = []
  let token: string | null = person.token
  const getToken = async ({ fresh }: { fresh: boolean }) => {
    asked.push(fresh)
    return token
  }
  const focus = createFocus({ url: network.url, getToken })
  await Promise.all([focus.getWallet(), focus.getWallet(), focus.listJobs()])
  t.strictSame(asked.splice(0), [false])

  const expired = `${btoa('{"alg":"RS256"}')}.${btoa(JSON.stringify({ iat: 1, exp: 9e9 }))}.x`
  token = expired
  const other = createFocus({ url: network.url, getToken })
  const run = other.getWallet()
  token = person.token
  await run
  t.strictSame(asked.splice(0), [false, true], 'again after a 401')
  token = expired
  t.ok((await errorOf(createFocus({ url: network.url, getToken }).createJob(render))) instanceof NotSignedIn)
  t.strictSame(asked.splice(0), [false, true], 'and not a third time')
  token = null
  t.equal((await errorOf(createFocus({ url: network.url, getToken }).getWallet())).code, 'not_signed_in')
  t.strictSame(asked.splice(0), [false], 'nobody is signed in')

  const broken = createFocus({
    url: network.url,
    retryFor: 0,
    getToken: () => Promise.reject(new Error('offline')),
  })
  t.match(await errorOf(broken.getWallet()), { code: 'token_unavailable', cause: { message: 'offline' } })

  for (const clockOff of [0, -3_600_000, 3_600_000]) {
    const { createFocus } = await clientIn({ speed: 600, clockOff })
    let count = 0
    const quick = createFocus({
      url: network.url,
      timeout: 600_000,
      getToken: async () => {
        count++
        return (await service.person(person.email)).token
      },
    })
    await quick.getWallet()
    await quick.getWallet()
    const first = count
    await new Promise((resolve) => setTimeout(resolve, 100)) // a minute for the client
    await quick.getWallet()
    t.equal(count, first + 1, `before it ends, with a clock that is off by ${clockOff} ms`)
  }
})

t.test(
  'a request is not sent after its time limit, and getToken is called again after an unanswered call',
  async (t) => {
    const sent: RequestInit[] = []
    const fetch = async (_url: unknown, init: RequestInit = {}) => {
      sent.push(init)
      return Response.json({})
    }
    let give = (_token: string): void => {}
    let asked = 0
    const getToken = () => {
      asked++
      return new Promise<string>((resolve) => {
        give = resolve
      })
    }
    const { createFocus } = await clientIn({ speed: 1_000 })
    const focus = createFocus({ url: 'https://account.example.com', fetch, getToken, timeout: 20_000, retryFor: 0 })
    t.equal((await errorOf(focus.createPurchase({ pack: 'a' }))).code, 'timeout')
    give('late')
    await new Promise(setImmediate)
    t.equal(sent.length, 0)
    await errorOf(focus.getWallet())
    const run = focus.getWallet()
    give('now')
    await run
    t.ok(asked >= 2, `asked ${asked} times`)
    t.notOk('credentials' in (sent[0] ?? {}), 'workers know no credentials')
  },
)

t.test('a retry after signing out does not use the old token', async (t) => {
  const seen: (string | null)[] = []
  const fetch = async (_url: unknown, init: RequestInit = {}) => {
    seen.push(new Headers(init.headers).get('authorization'))
    return seen.length === 1 ? Response.json({ error: 'token_expired' }, { status: 401 }) : Response.json({})
  }
  const tokens = ['a', null]
  await createFocus({ url: 'https://account.example.com', fetch, getToken: () => tokens.shift() }).getWallet()
  t.strictSame(seen, ['Bearer a', null])
})

t.test('secrets are refused in a browser', async (t) => {
  const { createFocus } = await clientIn({ userAgent: 'Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0' })
  const url = 'https://account.example.com'
  for (const options of [{ appKey: 'focus_app_video_00' }, { token: 'focus_pat_00' }, { token: 'focus_key_00' }]) {
    t.throws(() => createFocus({ url, ...options }), { code: 'secret_in_browser', message: /Every visitor/ })
  }
  const focus = createFocus({ url, getToken: () => 'focus_pat_00' })
  t.equal((await errorOf(focus.getWallet())).code, 'secret_in_browser')
  createFocus({ url, token: 'focus_at_00' })
  const modes: unknown[] = []
  const fetch = async (_url: unknown, init?: RequestInit) => {
    modes.push(init?.credentials)
    return Response.json({})
  }
  await createFocus({ url, fetch }).getWallet()
  await createFocus({ url, fetch, token: 'focus_at_00' }).getWallet()
  t.strictSame(modes, ['include', 'omit'], 'the cookie goes along where there is no token')
})

t.test("where an app has a key, its server settles, with the key and the job's account", async (t) => {
  const service = await listening(t)
  const network = await startNetwork(t, service.url)
  const somebody = await personWith(service.app, 100)
  const app = unique('keyed')
  const set = await (await service.admin()).put(`/api/admin/apps/${app}`, { settle_key: 'rotate' })
  const { settle_key } = set.json().app as { settle_key: string }
  const focus = createFocus({ url: network.url, token: somebody.token })
  const server = createFocus({ url: network.url, appKey: settle_key })
  const { job_id, account_id } = await focus.createJob({ ...render, app })
  t.ok((await errorOf(focus.completeJob({ job_id, actual_cost: 1 }))) instanceof SettleKeyRequired)
  t.equal((await server.heartbeatJob({ id: job_id, account_id })).job.id, job_id)
  const bound = createFocus({ url: network.url, appKey: settle_key, accountId: account_id })
  t.equal((await bound.getJob({ id: job_id })).job.status, 'started')
  t.equal((await bound.completeJob({ job_id, actual_cost: 1 })).job.actual_cost, 1)

  const both = createFocus({ url: network.url, token: somebody.token, appKey: settle_key })
  await both.withHold({ app, action: 'render', estimate: 5, ttlSeconds: 60 }, (job) => job.cost(2))
  const error = await errorOf(focus.withHold({ app, action: 'render', estimate: 5 }, (job) => job.cost(3)))
  t.ok(error instanceof SettleUnknown)
  t.ok(error.cause instanceof SettleKeyRequired)
  await server.resume(error.token)
  t.same(await somebody.balance(), { credits: 94, held: 0 })
  const keys = network.requests.filter(({ headers }) => headers['x-app-key'] !== undefined)
  t.ok(keys.every(({ path }) => path.startsWith('/api/jobs')))
})
