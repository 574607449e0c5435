import t from 'tap'
import { start } from '../support/start.ts'

t.test('the metadata is of the address that people know, and every endpoint in it is there', async (t) => {
  const { app } = await start(t, { PUBLIC_URL: 'http://127.0.0.1:4000' })
  const server = (await app.inject('/.well-known/oauth-authorization-server')).json()
  t.match(server, {
    issuer: 'http://127.0.0.1:4000',
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none'],
    authorization_response_iss_parameter_supported: true,
    scopes_supported: ['account', 'oauth', 'spend'],
    client_id_metadata_document_supported: true,
  })
  for (const [name, method] of Object.entries({
    authorization_endpoint: 'GET',
    token_endpoint: 'POST',
    device_authorization_endpoint: 'POST',
    revocation_endpoint: 'POST',
    introspection_endpoint: 'POST',
  } as const)) {
    const url = new URL(server[name])
    t.equal(url.origin, server.issuer, name)
    t.match((await app.inject({ method, url: url.pathname })).statusCode, /^40[01]$/, `${name} is there`)
  }
  const resource = (await app.inject('/.well-known/oauth-protected-resource')).json()
  t.match(resource, { resource: server.issuer, authorization_servers: [server.issuer] })
  t.strictSame(server.protected_resources, [resource.resource])
})

t.test('a 401 of the API says where to learn who issues its tokens', async (t) => {
  const { app, config } = await start(t)
  for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: `Bearer focus_at_${'0'.repeat(49)}` }]) {
    const refused = await app.inject({ url: '/api/wallet', headers })
    t.equal(refused.statusCode, 401)
    const [, address = ''] = /resource_metadata="([^"]+)"/.exec(String(refused.headers['www-authenticate'])) ?? []
    t.equal(new URL(address).origin, config.publicUrl)
    t.match((await app.inject(new URL(address).pathname)).json(), { authorization_servers: [config.publicUrl] })
  }
})
