import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { personWith, start } from '../support/start.ts'

interface Request {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  url: string
  /** What the body should have been */
  body: Record<string, unknown>
}

/** Somebody with a job under way, an administrator, and every endpoint that takes a body, each with a good one. */
async function world(t: Test) {
  const { app, admin } = await start(t)
  const ada = await personWith(app, 100)
  const { job_id } = (await ada.reserve(5)).json()
  const operator = await admin()
  const endpoints: Record<string, Request> = {
    create: { method: 'POST', url: '/api/jobs', body: { app: 'clips', action: 'render', cost_estimate: 1 } },
    complete: { method: 'POST', url: '/api/jobs/complete', body: { job_id, actual_cost: 1 } },
    fail: { method: 'POST', url: '/api/jobs/fail', body: { job_id } },
    register: { method: 'PUT', url: '/api/admin/apps/bad', body: { name: 'Bad', starter_credits: 1 } },
    credits: {
      method: 'POST',
      url: '/api/admin/credits',
      body: { clerk_id: ada.clerkId, amount: 1, kind: 'topup', reference: 'bad', reason: 'Never' },
    },
    session: { method: 'POST', url: '/api/session', body: { token: 'x' } },
    signin: { method: 'POST', url: '/signin', body: { email: 'bad@example.com' } },
  }
  return { app, ada, operator, job_id: job_id as string, endpoints }
}

type World = Awaited<ReturnType<typeof world>>

/** Everything that must stay as it was */
async function everything({ ada, operator }: World) {
  const [balance, jobs, entries, apps] = await Promise.all([
    ada.balance(),
    ada.get('/api/jobs'),
    ada.get('/api/wallet/entries'),
    operator.get('/api/admin/apps'),
  ])
  return { balance, jobs: jobs.json(), entries: entries.json(), apps: apps.json() }
}

/** Sends each request as an allowed caller, expects the status, and at the end that nothing has changed. */
async function refused(
  t: Test,
  here: World,
  requests: {
    name: string
    request: Omit<Request, 'body'>
    payload?: string
    headers?: object
    status: number
    match?: object
  }[],
): Promise<void> {
  const before = await everything(here)
  for (const { name, request, payload, headers, status, match } of requests) {
    const reply = await here.app.inject({
      method: request.method,
      url: request.url,
      headers: {
        authorization: here.operator.authorization,
        origin: 'http://localhost:3000',
        ...(payload !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload !== undefined && { payload }),
    })
    t.equal(reply.statusCode, status, name)
    if (request.method === 'HEAD') continue
    t.match(reply.headers['content-type'], /^application\/json/, name)
    t.match(reply.json(), { error: /^[a-z_]+$/, message: /\w/, ...match }, name)
    t.notMatch(reply.body, /node_modules|select |insert |FST_|ajv/i, name)
  }
  t.strictSame(await everything(here), before)
}

/** As Ada, whose job it is, or as the administrator */
const as = ({ ada, operator }: World, endpoint: string): { authorization: string } => ({
  authorization: (endpoint === 'register' || endpoint === 'credits' ? operator : ada).authorization,
})

const NOT_INTEGERS = ['"5"', '"five"', '""', 'null', 'true', 'false', '1.5', '0.1', '[]', '[1]', '{}', '{"$gt":0}']
const TOO_LARGE = ['1e300', '9007199254740993', '9007199254740992', '1e400', '18446744073709551616', '1e16']

t.test('integers are integers, neither coerced nor cut', async (t) => {
  const here = await world(t)
  const fields: [endpoint: string, field: string, bad: string[]][] = [
    ['create', 'cost_estimate', [...NOT_INTEGERS, ...TOO_LARGE, '-1', '-0.5', '-1e300', '-9007199254740993']],
    ['complete', 'actual_cost', [...NOT_INTEGERS, ...TOO_LARGE, '-1', '-0.5', '-1e300']],
    ['register', 'starter_credits', [...NOT_INTEGERS, ...TOO_LARGE, '-1', '-1e300']],
    ['credits', 'amount', [...NOT_INTEGERS, ...TOO_LARGE, '0', '-0', '0.0', '-1.5', '-1e300', '-9007199254740993']],
  ]
  for (const [endpoint, field, bad] of fields) {
    const request = here.endpoints[endpoint] as Request
    await refused(
      t,
      here,
      [...bad, ...(endpoint === 'register' ? [] : [undefined])].map((value) => {
        const rest = JSON.stringify({ ...request.body, [field]: undefined })
        return {
          name: `${field}: ${value}`,
          request,
          payload: value === undefined ? rest : rest.replace('{', `{"${field}":${value},`),
          headers: as(here, endpoint),
          status: 400,
          match: { error: 'invalid_request', field },
        }
      }),
    )
  }
  // The same values are fine where they are integers after all.
  for (const fine of ['1.0', '1e0', '10e-1', '-0']) {
    const payload = `{"app":"clips","action":"a","cost_estimate":${fine}}`
    t.equal((await here.ada.post('/api/jobs', payload)).statusCode, 200, fine)
  }
})

t.test('every other field has its type, and says so', async (t) => {
  const here = await world(t)
  const text = [null, 1, true, [], ['x'], {}, '']
  const unstorable = ['a\0', '\0', '\ud800', 'a\udfffb']
  const uuids = [
    'x',
    here.job_id.slice(1),
    `urn:uuid:${here.job_id}`,
    `{${here.job_id}}`,
    here.job_id.replaceAll('-', ''),
  ]
  const fields: [endpoint: string, field: string, bad: unknown[]][] = [
    ['create', 'app', [...text, ...unstorable, 'A', 'a_b', '-a', 'x'.repeat(64), 'a\n']],
    ['create', 'action', [...text, ...unstorable, 'x'.repeat(201)]],
    ['complete', 'job_id', [...text, ...unstorable, ...uuids, ` ${here.job_id}`, `${here.job_id}\n`]],
    ['fail', 'job_id', [...text, ...unstorable, ...uuids]],
    ['fail', 'refund', [null, 'true', 'false', '', 0, 1, [], {}]],
    ['register', 'name', [...text, ...unstorable, 'x'.repeat(201)]],
    ['register', 'origins', [null, 'https://a.example.com', {}, 1, ['x'], ['https://a.example.com/']]],
    ['credits', 'clerk_id', [...text, ...unstorable, 'x', 'user_', 'user_ä', 'user_a b', `user_${'x'.repeat(65)}`]],
    ['credits', 'kind', [...text, 'starter_grant', 'job_refund', 'TOPUP']],
    ['credits', 'reference', [...text, ...unstorable, 'x'.repeat(256), 'starter_grant:video']],
    ['credits', 'reason', [...text, ...unstorable, 'x'.repeat(1001)]],
    ['credits', 'allow_negative', [null, 'true', 1, [], {}]],
    ['session', 'token', [null, 1, true, [], {}, 'x'.repeat(8193), ...unstorable]],
    ['signin', 'email', [...text, ...unstorable, 'x', 'a b@c', `${'x'.repeat(250)}@x.yz`]],
    ['signin', 'redirect_to', [null, 1, [], {}, ...unstorable, 'javascript:alert(1)', 'https://evil.example.com']],
    ['signin', 'token_in', [null, 1, [], {}, ...unstorable, 'cookie']],
  ]
  for (const [endpoint, field, bad] of fields) {
    const request = here.endpoints[endpoint] as Request
    await refused(
      t,
      here,
      bad.map((value) => ({
        name: `${endpoint} ${field}: ${JSON.stringify(value)?.slice(0, 80)}`,
        request,
        payload: JSON.stringify({ ...request.body, [field]: value }),
        headers: as(here, endpoint),
        status: 400,
        match: { error: 'invalid_request', field: new RegExp(`^${field}(\\.0)?$`) },
      })),
    )
  }
})

t.test('what is required is missed by name', async (t) => {
  const here = await world(t)
  for (const [endpoint, request] of Object.entries(here.endpoints)) {
    // Nothing of an app is required.
    if (endpoint === 'register') continue
    await refused(
      t,
      here,
      Object.keys(request.body).map((field) => ({
        name: `${endpoint} without ${field}`,
        request,
        payload: JSON.stringify({ ...request.body, [field]: undefined }),
        headers: as(here, endpoint),
        status: 400,
        match: { error: 'invalid_request', message: `${field} is missing`, field },
      })),
    )
  }
})

t.test('a slip of a field name is refused, because what is ignored may move money', async (t) => {
  const here = await world(t)
  const slips: [endpoint: string, slip: string, meant: string][] = [
    ['fail', 'refunds', 'refund'],
    ['fail', 'Refund', 'refund'],
    ['fail', 'refnud', 'refund'],
    ['fail', 'meta_data', 'metadata'],
    ['fail', 'metadate', 'metadata'],
    ['fail', 'accountId', 'account_id'],
    ['create', 'ttlSeconds', 'ttl_seconds'],
    ['create', 'ttl_second', 'ttl_seconds'],
    ['create', 'costEstimates', 'cost_estimate'],
    ['complete', 'actualCost', 'actual_cost'],
    ['register', 'startercredits', 'starter_credits'],
    ['register', 'settleKey', 'settle_key'],
    ['register', 'origin', 'origins'],
    ['credits', 'allowNegative', 'allow_negative'],
    ['session', 'tokens', 'token'],
  ]
  await refused(
    t,
    here,
    slips.map(([endpoint, slip, meant]) => ({
      name: `${slip} for ${meant}`,
      request: here.endpoints[endpoint] as Request,
      payload: JSON.stringify({ ...here.endpoints[endpoint]?.body, [meant]: undefined, [slip]: false }),
      headers: as(here, endpoint),
      status: 400,
      match: { error: 'invalid_request', field: slip, did_you_mean: meant },
    })),
  )
  const { ada, app } = here
  const heartbeat = `/api/jobs/${here.job_id}/heartbeat`
  t.match((await ada.post(heartbeat, { ttlSeconds: 600 })).json(), { did_you_mean: 'ttl_seconds' })
  for (const unlike of ['status', 'reserved', 'note', 'apple', 'reference', 'ttl', '__proto__', '']) {
    const payload = `{"app":"clips","action":"a","cost_estimate":0,${JSON.stringify(unlike)}:1}`
    t.equal((await ada.post('/api/jobs', payload)).statusCode, 200, `${unlike} is ignored`)
  }
  const form = await app.inject({ method: 'POST', url: '/signin', payload: { email: 'a@example.com', emails: 'x' } })
  t.equal(form.statusCode, 303, 'pages ignore what they do not know')
})

t.test('lists refuse a parameter that they do not know, and the rest of the service ignores it', async (t) => {
  const here = await world(t)
  const { ada, app, operator } = here
  const lists: [person: typeof ada, path: string][] = [
    [ada, '/api/jobs'],
    [ada, '/api/wallet/entries'],
    [operator, '/api/admin/apps'],
    [operator, '/api/admin/webhooks/dead'],
  ]
  for (const [person, path] of lists) {
    for (const parameter of ['stauts', 'apps', 'from', 'Limit', 'page']) {
      const reply = await person.get(`${path}?${parameter}=1`)
      t.match([reply.statusCode, reply.json()], [400, { error: 'invalid_request', field: parameter }], path)
    }
    t.equal((await person.get(`${path}?_=123&_t=1`)).statusCode, 200, `${path}: cache busters are ignored`)
  }
  for (const url of ['/api/wallet?apps=clips', `/api/jobs/${here.job_id}?x=1`, '/api/tokens?x=1'])
    t.equal((await ada.get(url)).statusCode, 200, url)
  t.equal((await app.inject('/signin?x=1')).statusCode, 200)
})

t.test('a body is one JSON object, of a size', async (t) => {
  const here = await world(t)
  for (const [endpoint, request] of Object.entries(here.endpoints)) {
    const good = JSON.stringify(request.body)
    const broken = [
      '',
      '{',
      '}',
      good.slice(0, -1),
      `${good}x`,
      `${good}${good}`,
      "{'a':1}",
      '{"a":NaN}',
      '{"a":01}',
      '\0',
    ]
    const wrong = ['null', '1', 'true', '"text"', '[]', `[${good}]`, JSON.stringify(good)]
    const large = [
      good.replace('{', `{"filler":"${'x'.repeat(65_536)}",`),
      ' '.repeat(65_537),
      `{"metadata":"${'x'.repeat(1_048_576)}"}`,
    ]
    const cases = [
      ...broken.map((payload) => ({ payload, status: 400, match: { error: 'invalid_json' } })),
      ...wrong.map((payload) => ({ payload, status: 400, match: { error: 'invalid_request', field: 'body' } })),
      ...large.map((payload) => ({ payload, status: 413, match: { error: 'body_too_large' } })),
    ]
    await refused(
      t,
      here,
      cases.map((each) => ({
        ...each,
        name: `${endpoint}: ${each.payload.slice(0, 40)} (${each.payload.length})`,
        request,
        headers: { ...as(here, endpoint), 'content-type': 'application/json' },
      })),
    )
  }
})

t.test('a body of another type is refused', async (t) => {
  const here = await world(t)
  const types = [
    'text/plain',
    'text/html',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
  ]
  const odd = ['application/jsonp', 'json', 'application/', 'text/json', '']
  for (const [endpoint, request] of Object.entries(here.endpoints)) {
    if (endpoint === 'signin') continue
    await refused(
      t,
      here,
      [...types, ...odd].map((type) => ({
        name: `${endpoint} as ${type || 'nothing'}`,
        request,
        payload: type.includes('form-urlencoded') ? 'a=b' : JSON.stringify(request.body),
        headers: { ...as(here, endpoint), 'content-type': type },
        status: 415,
        match: { error: 'unsupported_media_type' },
      })),
    )
  }
  const charset = { 'content-type': 'Application/JSON; charset=utf-8' }
  const { body } = here.endpoints.create as Request
  t.equal((await here.ada.post('/api/jobs', JSON.stringify(body), charset)).statusCode, 200)
})

t.test('what is not there is 404 in JSON, whatever is asked', async (t) => {
  const here = await world(t)
  const missing: [method: Request['method'], url: string][] = [
    ['GET', '/api'],
    ['GET', '/api/'],
    ['GET', '/api/nothing'],
    ['GET', '/api/Wallet'],
    ['GET', '/api//wallet'],
    ['GET', '/api/wallet/'],
    ['POST', '/api/nothing'],
    ['GET', '/api/admin/nothing'],
    ['GET', '/../../etc/passwd'],
    ['GET', '/assets/../../package.json'],
    ['GET', '/assets/%2e%2e/%2e%2e/package.json'],
    ['GET', `/api/${'x'.repeat(5_000)}`],
    ['HEAD', '/api/nothing'],
  ]
  await refused(
    t,
    here,
    missing.map(([method, url]) => ({
      name: `${method} ${url.slice(0, 60)}`,
      request: { method, url },
      status: 404,
      match: { error: 'not_found' },
    })),
  )
})

t.test('malformed paths are refused in JSON', async (t) => {
  const here = await world(t)
  const bad = ['/%', '/%zz', '/api/jobs/%', '/api/jobs/%E0%A4%A', '/api/jobs/%ff', '/api/admin/apps/%c0%af']
  await refused(
    t,
    here,
    bad.map((url) => ({
      name: url,
      request: { method: 'GET', url },
      status: 400,
      match: { error: 'invalid_request' },
    })),
  )
  const ids = ['x', '1', `urn:uuid:${here.job_id}`, `${here.job_id}x`, here.job_id.slice(1), '%00', "'", 'x'.repeat(90)]
  await refused(
    t,
    here,
    ids.map((id) => ({
      name: `the job ${id}`,
      request: { method: 'GET', url: `/api/jobs/${id}` },
      status: 400,
      match: { error: 'invalid_request', field: 'id' },
    })),
  )
})

t.test('long and repeated queries do no harm', async (t) => {
  const here = await world(t)
  const repeated = ['app=a&app=b', 'app[]=a', 'app=a&app=a'].map((query) => `/api/wallet?${query}`)
  const [pair, bracket, same] = repeated
  for (const url of [pair, same]) {
    await refused(t, here, [
      { name: String(url), request: { method: 'GET', url: String(url) }, status: 400, match: { field: 'app' } },
    ])
  }
  t.equal((await here.ada.get(String(bracket))).json().app_grant, null, 'another name is another parameter')
  const many = Array.from({ length: 2_000 }, (_, n) => `p${n}=${n}`).join('&')
  for (const query of [`filler=${'x'.repeat(12_000)}`, many, '&&&&', '=', '__proto__=1&constructor=2', '%zz=%zz']) {
    for (const url of ['/api/wallet', '/api/jobs', '/api/wallet/entries']) {
      const harmless = url === '/api/wallet' || query === '&&&&'
      const { statusCode } = await here.ada.get(`${url}?${query}`)
      t.equal(statusCode, harmless ? 200 : 400, `${url}?${query.slice(0, 30)}`)
    }
  }
})

t.test('what is not even HTTP is answered, and the service lives on', async (t) => {
  const { app } = await start(t)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const status = async (raw: string) => {
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'connect')
    socket.end(raw)
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(await text(socket))?.[1])
  }
  const host = 'Host: localhost\r\nConnection: close\r\n'
  t.equal(await status('nonsense\r\n\r\n'), 400)
  t.equal(await status(`GET /healthz?${'x'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`), 431)
  t.equal(await status(`GET /healthz HTTP/1.1\r\n${host}X: ${'x'.repeat(20_000)}\r\n\r\n`), 431)
  t.equal(await status(`POST /signin HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`), 400)
  t.equal(await status(`GET /healthz HTTP/1.1\r\n${host}\r\n`), 200)
})

t.test('numbers of a query are whole, and within their limits', async (t) => {
  const here = await world(t)
  const bad = ['0', '-1', '201', 'abc', '1.5', '', '1e9', 'Infinity', '-Infinity', '1e999', 'NaN', '٣', '0x1ff']
  await refused(
    t,
    here,
    ['/api/jobs', '/api/wallet/entries'].flatMap((url) =>
      bad.map((limit) => ({
        name: `${url} limit ${limit}`,
        request: { method: 'GET' as const, url: `${url}?limit=${encodeURIComponent(limit)}` },
        status: 400,
        match: { error: 'invalid_request', field: 'limit' },
      })),
    ),
  )
})
