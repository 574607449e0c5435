import formbody from '@fastify/formbody'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { readScopes, SCOPES } from '../access/scopes.ts'
import { revokeToken, tokenSecret } from '../access/tokens.ts'
import { cleanName, startDevice } from '../device/approval.ts'
import { type Polled, pollDevice } from '../device/client.ts'
import {
  bodyTooLarge,
  codeExpired,
  codeUsed,
  databaseUnavailable,
  internalError,
  localIdentityOnly,
  loginDenied,
  overloaded,
  rateLimited,
  slowDown,
  tooManyLogins,
  tooManyRefreshes,
  unknownDeviceCode,
} from '../http/catalogue.ts'
import { ANY_ORIGIN } from '../http/headers.ts'
import { anyRequest, refusals } from '../http/refusals.ts'
import { clientOf, targetOf } from '../oauth/clients.ts'
import { endFamily, findRevocable, type Issued, redeemCode, refresh } from '../oauth/exchange.ts'
import { type Form, needed, readForm } from '../oauth/form.ts'
import { GRANT_SCOPES } from '../oauth/grants.ts'
import { DEVICE_GRANT, resourceMetadata, serverMetadata } from '../oauth/metadata.ts'
import {
  approvalDenied,
  authorizationPending,
  badCode,
  badDeviceCode,
  badParameter,
  badRefreshToken,
  deviceCodeExpired,
  invalidScope,
  invalidTarget,
  isCode,
  notAForm,
  pollingTooFast,
  postOnly,
  problems,
  publicClientsOnly,
  secretNotTaken,
  sendProblem,
  tokenOfAnotherClient,
  unknownClient,
  unsupportedGrantType,
  widerScope,
} from '../oauth/problems.ts'
import {
  DeviceAuthorization,
  DeviceAuthorizationForm,
  ResourceMetadata,
  RevocationForm,
  ServerMetadata,
  TokenForm,
  Tokens,
} from '../schemas/authorization-server.ts'

const TOKEN_PARAMETERS = [
  'grant_type',
  'client_id',
  'client_secret',
  'code',
  'redirect_uri',
  'code_verifier',
  'refresh_token',
  'device_code',
  'scope',
  'resource',
] as const

/** Browser apps call these from wherever they are. */
const OF_ANY_ORIGIN = [
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-protected-resource',
  '/oauth/token',
  '/oauth/revoke',
]

const MAX_CLIENT_ID = 1_000

/** What any of the endpoints can answer. */
const anyForm = [
  badParameter,
  notAForm,
  publicClientsOnly,
  secretNotTaken,
  localIdentityOnly,
  bodyTooLarge,
  rateLimited,
  internalError,
  databaseUnavailable,
  overloaded,
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
  const secret = await tokenSecret(app.config, app.db)
  app.removeContentTypeParser('application/json')
  await app.register(formbody)
  app.setErrorHandler(sendProblem)
  // The schemas are for the document: what is wrong is said with the errors of the RFCs.
  app.setValidatorCompiler(() => () => true)
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  // Behind the limit, so that refusals count.
  app.addHook('preValidation', async ({ headers }) => {
    if (headers.authorization !== undefined) throw publicClientsOnly()
  })

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
      const client_id = clientIdOf(form)
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
      const verification_uri = `${app.config.publicUrl}/device`
      return {
        ...started,
        verification_uri,
        verification_uri_complete: `${verification_uri}?user_code=${started.user_code}`,
      }
    },
  )

  app.post(
    '/oauth/token',
    {
      config: { cors: ANY_ORIGIN },
      schema: {
        tags: ['OAuth'],
        operationId: 'requestToken',
        summary: 'Exchange a code, a refresh token or a device code for tokens (RFC 6749, RFC 7636, RFC 8628)',
        description:
          'Access tokens live for an hour. A refresh token works once and is replaced by the next; used again after 10 seconds, it ends all tokens of its login. A device gets a personal access token and no refresh token.',
        security: [],
        consumes: FORM,
        body: TokenForm,
        response: {
          200: Tokens,
          ...problems(
            anyForm,
            ...[unsupportedGrantType, unknownClient, badCode, badRefreshToken, badDeviceCode, invalidTarget],
            tooManyRefreshes,
            ...[invalidScope, widerScope, authorizationPending, pollingTooFast, approvalDenied, deviceCodeExpired],
          ),
        },
      },
    },
    async (request) => {
      const form = readForm(request.body, TOKEN_PARAMETERS)
      const grantType = needed(form, 'grant_type')
      const client_id = clientIdOf(form)
      if (grantType === DEVICE_GRANT) return byDeviceCode(needed(form, 'device_code'), client_id)
      if (grantType === 'authorization_code') return answer(await byCode(form, client_id))
      if (grantType === 'refresh_token') return answer(await byRefreshToken(form, client_id))
      throw unsupportedGrantType()
    },
  )

  app.post(
    '/oauth/revoke',
    {
      config: { cors: ANY_ORIGIN },
      schema: {
        tags: ['OAuth'],
        operationId: 'revokeOAuthToken',
        summary: 'Revoke a token (RFC 7009)',
        description: 'Answers 200 for a token that does not exist, too.',
        security: [],
        consumes: FORM,
        body: RevocationForm,
        response: {
          200: Type.Object({}, { description: 'The token does not work any more', examples: [{}] }),
          ...problems(anyForm, tokenOfAnotherClient),
        },
      },
    },
    async (request) => {
      const form = readForm(request.body, ['token', 'client_id', 'client_secret'])
      const client_id = clientIdOf(form)
      const found = await findRevocable(app, needed(form, 'token'))
      if (!found?.account_id) return {}
      const { account_id, token_id, authorization_id } = found
      if (found.client_id !== null && found.client_id !== client_id) throw tokenOfAnotherClient()
      if (token_id) await app.pats.revoking(account_id, () => revokeToken(app.db, account_id, token_id))
      else if (authorization_id) await endFamily(app, account_id, authorization_id)
      return {}
    },
  )

  // Their parameters would end up in logs, so a GET is no second way.
  for (const url of ['/oauth/device_authorization', '/oauth/token', '/oauth/revoke']) {
    app.get(url, { schema: { hide: true } }, () => {
      throw postOnly()
    })
  }

  type TokenRequest = Form<(typeof TOKEN_PARAMETERS)[number]>

  async function byCode(form: TokenRequest, client_id: string): Promise<Issued> {
    const { code, redirect_uri, code_verifier } = {
      code: needed(form, 'code'),
      redirect_uri: needed(form, 'redirect_uri'),
      code_verifier: needed(form, 'code_verifier'),
    }
    const takes = await takesOnly(form, client_id)
    return redeemCode({ app, secret }, { code, redirect_uri, code_verifier, client_id, takes })
  }

  async function byRefreshToken(form: TokenRequest, client_id: string): Promise<Issued> {
    const refresh_token = needed(form, 'refresh_token')
    const scopes = form.scope === undefined ? undefined : readScopes(form.scope, GRANT_SCOPES)
    if (form.scope !== undefined && !scopes) throw invalidScope(GRANT_SCOPES)
    const takes = await takesOnly(form, client_id)
    return refresh({ app, secret }, { refresh_token, client_id, scopes, takes })
  }

  /** Refuses another resource than the one that the request names; where it names none, any is right. */
  async function takesOnly({ resource }: TokenRequest, client_id: string) {
    const client = await clientOf(app.db, client_id)
    if (resource === undefined) return () => {}
    const target = await targetOf(app, client, resource)
    return (granted: string | null) => {
      if (granted !== target.resource) throw invalidTarget()
    }
  }

  async function byDeviceCode(deviceCode: string, client_id: string) {
    const polled = await pollDevice(app.db, deviceCode, { secret, ttlDays: app.config.patTtlDays }, client_id).catch(
      (error): Polled => {
        if (isCode(error, slowDown)) throw pollingTooFast(Number(error.details.interval), error.headers)
        if (isCode(error, loginDenied)) throw approvalDenied()
        if (isCode(error, codeExpired)) throw deviceCodeExpired()
        if (isCode(error, unknownDeviceCode) || isCode(error, codeUsed)) throw badDeviceCode()
        throw error
      },
    )
    if ('interval' in polled) throw authorizationPending()
    const { token, expires_at, scopes, name } = polled
    const expires_in = Math.max(0, Math.floor((expires_at.getTime() - Date.now()) / 1000))
    const granted = { access_token: token, token_type: 'Bearer', expires_in, scope: scopes.join(' ') }
    return name === null ? granted : { ...granted, name }
  }
}

const FORM = ['application/x-www-form-urlencoded']

const answer = ({ scopes, ...tokens }: Issued) => ({ ...tokens, token_type: 'Bearer', scope: scopes.join(' ') })

/** @throws {ApiError} 400 invalid_request without one; invalid_client beside a secret, which nobody should send us */
function clientIdOf(form: Form<'client_id' | 'client_secret'>): string {
  const client_id = needed(form, 'client_id')
  if (client_id.length > MAX_CLIENT_ID) throw badParameter('client_id', `is longer than ${MAX_CLIENT_ID} characters`)
  if (form.client_secret !== undefined) throw secretNotTaken()
  return client_id
}
