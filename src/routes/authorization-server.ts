import formbody from '@fastify/formbody'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readScopes, SCOPES } from '../access/scopes.ts'
import { cleanName, startDevice, verificationUris } from '../device/approval.ts'
import { tooManyLogins } from '../http/catalogue.ts'
import { ANY_ORIGIN } from '../http/headers.ts'
import { anyRequest, refusals } from '../http/refusals.ts'
import { FORM, publicClientOf, readForm } from '../oauth/form.ts'
import { resourceMetadata, serverMetadata } from '../oauth/metadata.ts'
import {
  anyForm,
  badParameter,
  invalidScope,
  postOnly,
  problems,
  publicClientsOnly,
  sendProblem,
} from '../oauth/problems.ts'
import { DeviceAuthorizationForm, ResourceMetadata, ServerMetadata } from '../schemas/authorization-server.ts'
import { DeviceAuthorization } from '../schemas/device.ts'
import { introspectionRoutes } from './introspection.ts'
import { oauthTokenRoutes } from './oauth-tokens.ts'

/** Browser apps call these from wherever they are. */
const OF_ANY_ORIGIN = [
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-protected-resource',
  '/oauth/token',
  '/oauth/revoke',
]

/** OAuth for programs: metadata and the endpoints that they call themselves. People decide at pages/consent.ts. */
export const authorizationServerRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/.well-known/oauth-authorization-server',
    {
      config: { cors: ANY_ORIGIN },
      schema: {
        tags: ['OAuth'],
        operationId: 'getAuthorizationServerMetadata',
        summary: 'Metadata of the authorization server (RFC 8414)',
        description: 'Where the endpoints are and what they support. Client libraries call it discovery.',
        security: [],
        response: { 200: ServerMetadata, ...refusals(anyRequest) },
      },
    },
    async () => serverMetadata(app.config),
  )
  app.get(
    '/.well-known/oauth-protected-resource',
    {
      config: { cors: ANY_ORIGIN },
      schema: {
        tags: ['OAuth'],
        operationId: 'getProtectedResourceMetadata',
        summary: 'Metadata of this API as a protected resource (RFC 9728)',
        description: 'Which authorization server issues tokens for this API, and with which scopes.',
        security: [],
        response: { 200: ResourceMetadata, ...refusals(anyRequest) },
      },
    },
    async () => resourceMetadata(app.config),
  )
  await app.register(endpoints)

  // Preflight requests: @fastify/cors answers them before they get here.
  for (const url of OF_ANY_ORIGIN) app.options(url, { config: { cors: ANY_ORIGIN }, schema: { hide: true } }, () => '')
}

const endpoints: FastifyPluginAsyncTypebox = async (app) => {
  app.removeContentTypeParser('application/json')
  await app.register(formbody)
  app.setErrorHandler(sendProblem)
  // The schemas are for the document: what is wrong is said with the errors of the RFCs.
  app.setValidatorCompiler(() => () => true)
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  await app.register(publicEndpoints)
  await app.register(introspectionRoutes)
  // Their parameters would end up in logs, so a GET is no second way.
  for (const url of ['/oauth/device_authorization', '/oauth/token', '/oauth/revoke', '/oauth/introspect']) {
    app.get(url, { schema: { hide: true } }, () => {
      throw postOnly()
    })
  }
}

/** What clients call: they have no secret. */
const publicEndpoints: FastifyPluginAsyncTypebox = async (app) => {
  // Behind the limit, so that refusals count.
  app.addHook('preValidation', async ({ headers }) => {
    if (headers.authorization !== undefined) throw publicClientsOnly()
  })
  await app.register(oauthTokenRoutes)

  app.post(
    '/oauth/device_authorization',
    {
      schema: {
        tags: ['OAuth'],
        operationId: 'startDeviceAuthorization',
        summary: 'Start a device login (RFC 8628)',
        description: 'The same logins as /api/device/start: either endpoint answers the token of the other.',
        security: [],
        consumes: FORM,
        body: DeviceAuthorizationForm,
        response: { 200: DeviceAuthorization, ...problems(anyForm, invalidScope, tooManyLogins) },
      },
    },
    async (request) => {
      const form = readForm(request.body, ['client_id', 'client_secret', 'client_name', 'scope'])
      const client_id = publicClientOf(form)
      const { client_name } = form
      if (client_name && client_name.length > 100) throw badParameter('client_name', 'is longer than 100 characters')
      const scopes = readScopes(form.scope, SCOPES)
      if (!scopes) throw invalidScope(SCOPES)
      const name = cleanName(client_name ?? client_id)?.slice(0, 100) ?? null
      const started = await startDevice(app.db, {
        client_name: name,
        scopes,
        requested_from: request.address,
        client_id,
      })
      return { ...started, ...verificationUris(app.config, started) }
    },
  )
}
