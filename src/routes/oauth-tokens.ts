import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { readScopes } from '../access/scopes.ts'
import { revokeToken, tokenSecret } from '../access/tokens.ts'
import { type Polled, pollDevice } from '../device/client.ts'
import {
  codeExpired,
  codeUsed,
  loginDenied,
  slowDown,
  tooManyClientDocuments,
  tooManyRefreshes,
  unknownDeviceCode,
} from '../http/catalogue.ts'
import { ANY_ORIGIN } from '../http/headers.ts'
import { clientOf, resourceOf } from '../oauth/clients.ts'
import { redeemCode } from '../oauth/codes.ts'
import { FORM, type Form, needed, publicClientOf, readForm } from '../oauth/form.ts'
import { GRANT_SCOPES } from '../oauth/grants.ts'
import { endFamily, type Issued } from '../oauth/issue.ts'
import { findRevocable } from '../oauth/issued-tokens.ts'
import { DEVICE_GRANT } from '../oauth/metadata.ts'
import {
  anyForm,
  approvalDenied,
  authorizationPending,
  badCode,
  badDeviceCode,
  badDocument,
  badRefreshToken,
  deviceCodeExpired,
  invalidScope,
  invalidTarget,
  isCode,
  pollingTooFast,
  problems,
  redirectUriNotRegistered,
  tokenOfAnotherClient,
  unknownClient,
  unsupportedGrantType,
  widerScope,
} from '../oauth/problems.ts'
import { isRegistered } from '../oauth/redirect-uris.ts'
import { refresh } from '../oauth/refresh.ts'
import { RevocationForm, TokenForm, Tokens } from '../schemas/authorization-server.ts'

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

/** Where clients get tokens and revoke them. */
export const oauthTokenRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const secret = await tokenSecret(app.config, app.db)

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
            ...[badDocument, redirectUriNotRegistered],
            ...[tooManyRefreshes, tooManyClientDocuments],
            ...[invalidScope, widerScope, authorizationPending, pollingTooFast, approvalDenied, deviceCodeExpired],
          ),
        },
      },
    },
    async (request) => {
      const form = readForm(request.body, TOKEN_PARAMETERS)
      const grantType = needed(form, 'grant_type')
      const client_id = publicClientOf(form)
      if (grantType === DEVICE_GRANT) return byDeviceCode(needed(form, 'device_code'), client_id)
      if (grantType === 'authorization_code') return answer(await byCode(form, client_id, request.address))
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
      const client_id = publicClientOf(form)
      const found = await findRevocable(app, needed(form, 'token'))
      if (!found?.account_id) return {}
      const { account_id, token_id, authorization_id } = found
      if (found.client_id !== null && found.client_id !== client_id) throw tokenOfAnotherClient()
      if (token_id) await app.pats.revoking(account_id, () => revokeToken(app.db, account_id, token_id))
      else if (authorization_id) await endFamily(app, account_id, authorization_id)
      return {}
    },
  )

  type TokenRequest = Form<(typeof TOKEN_PARAMETERS)[number]>

  async function byCode(form: TokenRequest, client_id: string, address: string): Promise<Issued> {
    const { code, redirect_uri, code_verifier } = {
      code: needed(form, 'code'),
      redirect_uri: needed(form, 'redirect_uri'),
      code_verifier: needed(form, 'code_verifier'),
    }
    /** The client may have changed since the person approved it: its document, or what is registered. */
    async function check(granted: string | null) {
      const client = await clientOf(app, client_id, address)
      if (!isRegistered(redirect_uri, client.redirect_uris)) throw redirectUriNotRegistered()
      await checkResource(form, granted)
    }
    return redeemCode({ app, secret }, { code, redirect_uri, code_verifier, client_id, check })
  }

  async function byRefreshToken(form: TokenRequest, client_id: string): Promise<Issued> {
    const refresh_token = needed(form, 'refresh_token')
    const scopes = form.scope === undefined ? undefined : readScopes(form.scope, GRANT_SCOPES)
    if (form.scope !== undefined && !scopes) throw invalidScope(GRANT_SCOPES)
    const check = (granted: string | null) => checkResource(form, granted)
    return refresh({ app, secret }, { refresh_token, client_id, scopes, check })
  }

  /** Refuses another resource than the grant's; where the request names none, any is right. */
  async function checkResource({ resource }: TokenRequest, granted: string | null) {
    if (resource !== undefined && (await resourceOf(app, resource)).resource !== granted) throw invalidTarget()
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

const answer = ({ scopes, ...tokens }: Issued) => ({ ...tokens, token_type: 'Bearer', scope: scopes.join(' ') })
