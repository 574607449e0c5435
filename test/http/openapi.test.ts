import t from 'tap'
import { EVENTS } from '../../src/webhooks/outbox.ts'
import { startClerk } from '../support/clerk-stand-in.ts'
import { type Document, operations, document as snapshot } from '../support/document.ts'
import { start } from '../support/start.ts'

t.test('the document is the committed one in every configuration, but for the servers', async (t) => {
  const clerk = await startClerk(t, 'https://account.example.com')
  for (const [env, url] of [
    [{}, 'http://localhost:3000'],
    [{ PUBLIC_URL: 'http://127.0.0.1:4000', ALLOWED_ORIGINS: 'https://a.example.com' }, 'http://127.0.0.1:4000'],
    [{ LOCAL_IDENTITY: 'expose', TOPUP_URL: 'https://pay.example.com' }, 'http://localhost:3000'],
    [{ ...clerk.env, CLERK_JWT_KEY: clerk.jwtKey, CLERK_WEBHOOK_SECRET: 'whsec_dGVzdA==' }, clerk.env.PUBLIC_URL],
  ] as const) {
    const { app } = await start(t, env)
    const reply = await app.inject('/api/openapi.json')
    t.equal(reply.statusCode, 200)
    t.match(reply.headers['content-type'], /^application\/json/)
    const served: Document = reply.json()
    t.strictSame(served.servers, [{ url }])
    t.strictSame({ ...served, servers: snapshot.servers }, snapshot, 'run `npm run openapi` after a change')
  }
})

t.test('it is OpenAPI 3.0.3 with readable names and both ways to sign in', async (t) => {
  t.equal(snapshot.openapi, '3.0.3')
  t.match(Object.keys(snapshot.components.securitySchemes), [
    'bearerAuth',
    'twitterBearer',
    'appKey',
    'appBasic',
    'sessionCookie',
  ])
  t.strictSame(
    Object.keys(snapshot.components.schemas).filter((name) => !/^[A-Z]\w+$/.test(name)),
    [],
  )
  t.notMatch(JSON.stringify(snapshot), /"type":"null"|"type":\[|"const":|def-\d/, 'nothing that 3.0.3 does not know')
})

t.test(
  'every operation has an id that a client can use as a name, a summary, a description and a described tag',
  async (t) => {
    const described = snapshot.tags.filter(({ description }) => description).map(({ name }) => name)
    const ids = new Map<string, string>()
    const webhooks = Object.entries(snapshot['x-webhooks']).map(([name, { post }]) => ({ name, operation: post }))
    for (const { name, operation } of [...operations, ...webhooks]) {
      const { operationId = '', summary, description, tags = [] } = operation
      t.match(operationId, /^[a-z][a-zA-Z0-9]+$/, `${name} has an operationId`)
      t.notOk(ids.has(operationId), `${name} has an operationId of its own, not that of ${ids.get(operationId)}`)
      ids.set(operationId, name)
      t.ok(summary && description, `${name} has a summary and a description`)
      t.ok(tags.length && tags.every((tag) => described.includes(tag)), `${name} has a tag that is described`)
    }
  },
)

t.test('every error response lists its codes, and types the fields that come with them', async (t) => {
  for (const { name, path, operation } of operations) {
    for (const [status, { content = {} }] of Object.entries(operation.responses)) {
      const media = content['application/json']
      if (Number(status) < 400 || (!media && content['text/html'])) continue
      const { properties = {}, required = [] } = media?.schema ?? {}
      t.strictSame(properties.error?.enum, Object.keys(media?.examples ?? {}), `${name} ${status} lists its codes`)
      for (const { value } of Object.values(media?.examples ?? {})) {
        const { error, message, error_description, request_id, ...fields } = value as Record<string, unknown>
        t.ok(
          error && (path.startsWith('/oauth/') ? error_description : message) && request_id,
          `${name} ${status} has a full example`,
        )
        for (const field of Object.keys(fields)) t.ok(properties[field], `${name} ${status} ${error} types ${field}`)
      }
      if (status === '401' && !path.startsWith('/oauth/'))
        t.ok(operation.responses[status]?.headers?.['WWW-Authenticate'], `${name} 401 says how to authenticate`)
      if (status === '401' && !path.startsWith('/oauth/')) t.ok(required.includes('signin_url'))
      if (status === '402') t.match(required, ['error', 'required', 'available'])
    }
  }
})

t.test('a body is required unless the operation works without one', async (t) => {
  const optional = operations.filter(({ operation }) => operation.requestBody?.required === false)
  t.strictSame(optional.map(({ operation }) => operation.operationId).sort(), ['heartbeatJob', 'startDeviceLogin'])
})

t.test('the document has the requests that are sent to webhook endpoints', async (t) => {
  t.strictSame(Object.keys(snapshot['x-webhooks']), [...EVENTS])
  for (const [event, { post }] of Object.entries(snapshot['x-webhooks'])) {
    t.strictSame(post.requestBody?.content['application/json']?.schema?.properties?.type?.enum, [event])
  }
})

t.test('every reference leads somewhere', async (t) => {
  for (const [, name = ''] of JSON.stringify(snapshot).matchAll(/"\$ref":"([^"]*)"/g)) {
    t.ok(snapshot.components.schemas[name.replace('#/components/schemas/', '')], name)
  }
})

t.test('every response of every operation has a schema and an example', async (t) => {
  const bodiless = ['204', '303']
  for (const { name, operation } of operations) {
    for (const [status, { description, content = {} }] of Object.entries(operation.responses)) {
      t.ok(description && description !== 'Default Response', `${name} ${status} is described`)
      if (bodiless.includes(status)) continue
      t.ok(Object.keys(content).length, `${name} ${status} has a body`)
      for (const [type, media] of Object.entries(content)) {
        t.ok(media.schema, `${name} ${status} ${type} has a schema`)
        t.ok(media.example !== undefined || media.examples !== undefined, `${name} ${status} ${type} has an example`)
      }
    }
    for (const [type, media] of Object.entries(operation.requestBody?.content ?? {})) {
      t.ok(media.schema, `${name} takes ${type} with a schema`)
      t.ok(media.example !== undefined || media.examples !== undefined || '$ref' in (media.schema ?? {}), name)
    }
  }
})

t.test('what any operation of its kind can answer is listed', async (t) => {
  for (const { name, path, operation } of operations) {
    const listed = Object.keys(operation.responses)
    t.ok(
      listed.some((status) => status.startsWith('2') || status === '303'),
      `${name} can succeed`,
    )
    if (path.startsWith('/api/') && operation.security === undefined) {
      for (const status of ['400', '401', '403', '429', '500', '503'])
        t.ok(listed.includes(status), `${name} ${status}`)
    }
    if (operation.requestBody) {
      // A body that is no form gets the 400 of its RFC.
      const media = 'application/json' in operation.requestBody.content ? ['415'] : []
      for (const status of ['400', '413', ...media]) t.ok(listed.includes(status), `${name} ${status}`)
    }
    for (const status of ['429', '503']) {
      const content = operation.responses[status]?.content
      if (!content?.['application/json']) continue
      t.ok('Retry-After' in (operation.responses[status]?.headers ?? {}), `${name} ${status} has Retry-After`)
    }
  }
})

t.test('the documentation page works: its scripts and styles are served and its policy lets them run', async (t) => {
  const { app } = await start(t)
  const page = await app.inject('/api/docs')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  const policy = String(page.headers['content-security-policy'])
  for (const directive of ['script-src', 'style-src', 'connect-src']) {
    const rule = policy.match(new RegExp(`(?:^|;)\\s*(?:${directive}) ([^;]*)`)) ?? policy.match(/default-src ([^;]*)/)
    t.match(rule?.[1], /'self'/, directive)
  }
  t.notMatch(policy, /upgrade-insecure-requests/, 'served by http')
  const sources = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source = '']) => source)
  t.ok(sources.some((source) => source.endsWith('.js')))
  for (const source of sources) {
    const { pathname } = new URL(source, 'http://localhost:3000/api/docs')
    t.equal((await app.inject(pathname)).statusCode, 200, pathname)
  }
  t.equal((await app.inject('/api/docs/json')).json().openapi, '3.0.3')
})
